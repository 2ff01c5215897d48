/** Reads ESMTP parameters (`SIZE=1000`, `BODY=8BITMIME`, `SMTPUTF8`). */

/** The values by name, in upper case; null for a parameter without a value. RFC 5321 4.1.1.11. */
export function param2dict(params: readonly string[]): Record<string, string | null> {
  const found: Record<string, string | null> = {};
  for (const param of params) {
    const at = param.indexOf('=');
    if (at < 0) found[param.toUpperCase()] = null;
    else found[param.slice(0, at).toUpperCase()] = param.slice(at + 1);
  }
  return found;
}

/** As {@link param2dict}, without the parameters that have no value. */
export function dictfromlist(params: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(param2dict(params)).filter((entry) => entry[1] !== null),
  ) as Record<string, string>;
}

/**
 * Calls an envelope handler as pymilter does: parameters without a value are arguments, the others an object at the end.
 * `envcallback(fn, ['<a@b>', 'SMTPUTF8', 'SIZE=9'])` calls `fn('<a@b>', 'SMTPUTF8', { SIZE: '9' })`.
 */
export function envcallback<T>(
  callback: (...args: (string | Record<string, string>)[]) => T,
  args: readonly string[],
): T {
  const [address, ...params] = args;
  const positional = params.filter((param) => !param.includes('='));
  return callback(address ?? '', ...positional, dictfromlist(params));
}
