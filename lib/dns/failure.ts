/** What the error of a lookup means for those who need the records. */

/**
 * - `nonexistent`: the name does not exist (NXDOMAIN), or cannot exist.
 * - `nodata`: the name exists, but has no record of the type.
 * - `temporary`: DNS cannot tell at present, or the time of the session is used up: temperror in RFC 6376, 7208, 8601 and 9989.
 * - `permanent`: asking again will not help, because a limit is exceeded by the number of questions, aliases or records:
 *   permerror in RFC 7208. Checks whose limit a sender could use up to the harm of another domain treat it as temporary.
 */
export type DnsFailure = 'nonexistent' | 'nodata' | 'temporary' | 'permanent';

const ABSENCE: Partial<Record<string, DnsFailure>> = {
  ENOTFOUND: 'nonexistent',
  EBADNAME: 'nonexistent',
  ENODATA: 'nodata',
};

/**
 * The meaning of an error that a resolver has thrown: a {@link DnsSession}, or a Resolver of node:dns/promises, which has the
 * same codes.
 *
 * @returns undefined for an error without a `code`: not a failed lookup, but a mistake in a resolver, to be thrown again
 */
export function dnsFailureOf(error: unknown): DnsFailure | undefined {
  const { code, temporary } = (error ?? {}) as { code?: unknown; temporary?: unknown };
  if (typeof code !== 'string') return undefined;
  return ABSENCE[code] ?? (temporary === false ? 'permanent' : 'temporary');
}
