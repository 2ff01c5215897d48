/** A list in DNS, and what its answers mean. */
import { DnsError } from '../dns/index.js';
import { badArgument } from '../internal/errors.js';
import { checkOptions, checkWord, type OptionNames } from '../internal/validate.js';
import { inNetwork, networkOf, readIp } from '../utils/ip.js';

/** A list that is asked. */
export interface DnsblList {
  /** The zone of the list, such as `bl.example`. */
  readonly zone: string;
  /**
   * What the answers of the list mean, by address or network: `{ '127.0.0.2': 'spam source', '127.0.0.4/30': 'exploited' }`. The
   * first that matches counts. `null`: an answer that is no listing. Any other answer is an error, because the list has changed.
   * Default: every address in 127.0.0.0/8 means `listed`.
   */
  readonly codes?: Readonly<Record<string, string | null>>;
  /** Address families of a list of addresses; others are not asked. Default: `[4, 6]`. */
  readonly families?: readonly (4 | 6)[];
}

const OPTIONS: OptionNames<DnsblList> = { zone: true, codes: true, families: true };

/**
 * Answers by which lists say that they do not answer: 127.255.255.0/24 (Spamhaus and others: a mistyped zone, a public resolver, too
 * many queries), and 127.0.0.1 (URIBL and others), which RFC 5782 2.1 does not allow for listings.
 */
const REFUSALS = ['127.255.255.0/24', '127.0.0.1'];
const LOOPBACK = '127.0.0.0/8';
const ZONE = /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?$/i;

/** The options of well-known lists for {@link DnsblList.codes}. Their operators may change them. */
export const knownCodes = {
  /** zen.spamhaus.org */
  zen: {
    '127.0.0.2': 'SBL: spam source',
    '127.0.0.3': 'CSS: spam source',
    '127.0.0.4/30': 'XBL: exploited host',
    '127.0.0.9': 'DROP: hijacked network',
    '127.0.0.10/31': 'PBL: not a mail server',
  },
  /** dbl.spamhaus.org */
  dbl: {
    '127.0.1.2': 'spam domain',
    '127.0.1.4': 'phishing domain',
    '127.0.1.5': 'malware domain',
    '127.0.1.6': 'botnet control',
    '127.0.1.102': 'abused legitimate domain: spam',
    '127.0.1.103': 'abused redirector',
    '127.0.1.104': 'abused legitimate domain: phishing',
    '127.0.1.105': 'abused legitimate domain: malware',
    '127.0.1.106': 'abused legitimate domain: botnet control',
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>;

/** @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid list */
export function checkList(list: DnsblList): void {
  checkOptions('dnsbl: list', list, OPTIONS);
  checkWord('dnsbl: zone', list.zone);
  if (!ZONE.test(list.zone)) throw badArgument(`dnsbl: ${JSON.stringify(list.zone)} is not a zone`);
  for (const code of Object.keys(list.codes ?? {})) {
    if (!covers(LOOPBACK, code.split('/', 1)[0] as string) || parsed(code) === undefined) {
      throw badArgument(`dnsbl: ${JSON.stringify(code)} is not an address or a network in ${LOOPBACK}`);
    }
  }
}

/**
 * What an answer means.
 *
 * @returns undefined if it is no listing
 * @throws DnsError EREFUSED if the list refuses to answer, EBADRESP if the answer is not one of the list: it would otherwise be
 *   taken for a listing of everybody
 */
export function meaningOf({ zone, codes }: DnsblList, address: string, name: string): string | undefined {
  if (!covers(LOOPBACK, address)) {
    throw new DnsError(
      'EBADRESP',
      'A',
      name,
      `${zone} answered ${address}, which is not in ${LOOPBACK}; is it still in service?`,
    );
  }
  const code = Object.keys(codes ?? {}).find((network) => covers(network, address));
  if (code !== undefined) return codes?.[code] ?? undefined;
  if (REFUSALS.some((network) => covers(network, address))) {
    throw new DnsError('EREFUSED', 'A', name, `${zone} refuses to answer this resolver: ${address}`);
  }
  if (codes !== undefined) {
    throw new DnsError('EBADRESP', 'A', name, `${zone} answered ${address}, which is not in its codes`);
  }
  return 'listed';
}

function parsed(network: string) {
  const [base = '', bits, ...more] = network.split('/');
  if (more.length > 0 || (bits !== undefined && !/^\d{1,2}$/.test(bits))) return undefined;
  return networkOf(base, bits === undefined ? undefined : Number(bits));
}

function covers(network: string, address: string): boolean {
  const [range, ip] = [parsed(network), readIp(address)];
  return range !== undefined && ip !== undefined && inNetwork(ip, range);
}
