/** Asks lists about addresses and domains. */
import { isIP } from 'node:net';
import { DnsSession } from '../dns/index.js';
import { MAX_NAME_LENGTH } from '../dns/names.js';
import { badArgument } from '../internal/errors.js';
import { checkBoolean, checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { requireIp } from '../utils/ip.js';
import { domainSpellings } from '../utils/spellings.js';
import { checkList, type DnsblList, meaningOf } from './list.js';

/** The part of a DnsSession that is used. */
export interface DnsblResolver {
  resolve4(name: string): Promise<string[]>;
  resolveTxt(name: string): Promise<string[][]>;
}

/** How lists are asked. */
export interface DnsblOptions {
  /**
   * The DNS session of the message, so that lists, SPF and DKIM share one budget of questions and time. Default: a new DnsSession.
   */
  readonly dns?: DnsblResolver;
  /** Whether the reason of a listing is asked for, too (TXT). Default: false. */
  readonly reasons?: boolean;
  /** Maximum number of names that are asked for a domain: itself and its parents. Default: 4. */
  readonly maxParents?: number;
}

/** An address or a domain that is on a list. */
export interface DnsblListing {
  /** The zone of the list. */
  readonly zone: string;
  /** What is listed: the address, the domain, or the parent of it that the list has. */
  readonly listed: string;
  /** The answers of the list, such as 127.0.0.2. */
  readonly codes: readonly string[];
  /** What they mean. */
  readonly meanings: readonly string[];
  /** The reason that the list gives: text of the list's operator, at most 500 characters. undefined without `reasons`. */
  readonly reason: string | undefined;
}

/** A list that could not be asked, or gave an answer that cannot be one. */
export interface DnsblFailure {
  readonly zone: string;
  /** EREFUSED: the list refuses this resolver; EBADRESP: an answer that lists do not give; others as of DnsSession.resolve. */
  readonly error: Error & { readonly code: string };
}

/** What all lists have said. */
export interface DnsblResult {
  readonly listings: readonly DnsblListing[];
  /** Failures are never listings. Report them: a list that refuses this resolver does so until its configuration changes. */
  readonly failures: readonly DnsblFailure[];
}

const OPTIONS: OptionNames<DnsblOptions> = { dns: true, reasons: true, maxParents: true };
const MAX_REASON_LENGTH = 500;

/**
 * Asks lists about an IPv4 or IPv6 address (RFC 5782 2.1, 2.4), all of them at the same time.
 *
 * @param ip the address, for example of the client
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid address, list or option. DNS never makes it throw
 */
export async function checkIp(
  ip: string,
  lists: readonly DnsblList[],
  options: DnsblOptions = {},
): Promise<DnsblResult> {
  const settings = settingsOf(lists, options);
  const { family, prefix } = questionOf(ip);
  const asked = lists.filter(({ families = [4, 6] }) => families.includes(family));
  return askAll(asked, [{ listed: ip, prefix }], settings);
}

/** `1.2.0.192` for 192.0.2.1, and the 32 digits of an IPv6 address in the same way. */
export function questionOf(ip: string): { family: 4 | 6; prefix: string } {
  const address = requireIp('checkIp', ip);
  const isIpv4 = address.kind() === 'ipv4';
  const bytes = address.toByteArray();
  const labels = isIpv4 ? bytes.map(String) : [...Buffer.from(bytes).toString('hex')];
  return { family: isIpv4 ? 4 : 6, prefix: labels.reverse().join('.') };
}

/**
 * Asks lists about a domain, for example of the sender, of HELO, or of a link in the message (RFC 5782 3). Lists of domains have some
 * names as registered, others below that; so the name itself is asked, and its parents with two labels or more.
 *
 * @param domain in Unicode or ASCII. An untrusted one may have any form: what cannot be a name in DNS is on no list
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid list or option. Neither the domain nor DNS makes it throw
 */
export async function checkDomain(
  domain: string,
  lists: readonly DnsblList[],
  options: DnsblOptions = {},
): Promise<DnsblResult> {
  const settings = settingsOf(lists, options);
  const ascii = domainSpellings(domain).find((name) => /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)+$/.test(name));
  if (ascii === undefined || isIP(ascii) !== 0) return { listings: [], failures: [] };
  const labels = ascii.split('.');
  const names = labels.slice(0, -1).map((_, at) => labels.slice(at).join('.'));
  const nearest = names.slice(-settings.maxParents);
  return askAll(
    lists,
    nearest.map((name) => ({ listed: name, prefix: name })),
    settings,
  );
}

interface Settings {
  readonly dns: DnsblResolver;
  readonly reasons: boolean;
  readonly maxParents: number;
}

export function settingsOf(lists: readonly DnsblList[], options: DnsblOptions): Settings {
  checkOptions('dnsbl', options, OPTIONS);
  if (!Array.isArray(lists)) throw badArgument('dnsbl: the lists must be an array');
  for (const list of lists) checkList(list);
  const { dns = new DnsSession(), reasons = false, maxParents = 4 } = options;
  checkBoolean('dnsbl: reasons', reasons);
  checkInteger('dnsbl: maxParents', maxParents, 1, 127);
  return { dns, reasons, maxParents };
}

interface Question {
  readonly listed: string;
  readonly prefix: string;
}

export async function askAll(
  lists: readonly DnsblList[],
  questions: readonly Question[],
  settings: Settings,
): Promise<DnsblResult> {
  const listings: DnsblListing[] = [];
  const failures: DnsblFailure[] = [];
  await Promise.all(
    lists.map(async (list) => {
      try {
        const answers = await Promise.all(questions.map((question) => ask(list, question, settings)));
        // The most specific name; that its parents are listed as well says nothing more.
        const listing = answers.find((answer) => answer !== undefined);
        if (listing) listings.push(listing);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === undefined) throw error; // a programming error in a custom resolver
        failures.push({ zone: list.zone, error: error as Error & { code: string } });
      }
    }),
  );
  return { listings: inOrder(lists, listings), failures: inOrder(lists, failures) };
}

/** Results in the order of the lists, not of their answers. */
function inOrder<T extends { readonly zone: string }>(
  lists: readonly DnsblList[],
  results: readonly T[],
): T[] {
  return lists.flatMap(({ zone }, at) =>
    lists.findIndex((other) => other.zone === zone) === at
      ? results.filter((result) => result.zone === zone)
      : [],
  );
}

async function ask(
  list: DnsblList,
  { listed, prefix }: Question,
  { dns, reasons }: Settings,
): Promise<DnsblListing | undefined> {
  const name = `${prefix}.${list.zone}`;
  if (name.length > MAX_NAME_LENGTH) return undefined;
  const codes = await found(dns.resolve4(name));
  // Each code is looked at before the first counts: one that is an error makes the others worthless.
  const meanings = codes
    .map((code) => meaningOf(list, code, name))
    .filter((meaning) => meaning !== undefined);
  if (meanings.length === 0) return undefined;
  return {
    zone: list.zone,
    listed,
    codes,
    meanings: [...new Set(meanings)],
    reason: reasons ? await reasonOf(name, dns) : undefined,
  };
}

/** The records of a lookup, or none if there are none. */
async function found<T>(lookup: Promise<T[]>): Promise<T[]> {
  try {
    return await lookup;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTFOUND' || code === 'ENODATA') return [];
    throw error;
  }
}

/** The reason of a listing. It is not worth a failure. */
async function reasonOf(name: string, dns: DnsblResolver): Promise<string | undefined> {
  const records = await dns.resolveTxt(name).catch(() => []);
  const reason = records.map((strings) => strings.join('')).join(' ');
  return reason === '' ? undefined : reason.slice(0, MAX_REASON_LENGTH);
}
