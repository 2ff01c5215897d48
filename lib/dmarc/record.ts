/** DMARC policy records (RFC 9989 4.7 and 4.8). */
import { trimSpace } from '../dkim/tag-list.js';

/** What a domain wants done with mail that fails, from mild to strict. */
export type DmarcPolicy = 'none' | 'quarantine' | 'reject';

/** `r`: relaxed, the organizational domains are the same. `s`: strict, the domains are. */
export type DmarcAlignment = 'r' | 's';

/** Where reports are to be sent. */
export interface DmarcUri {
  /** Such as `mailto:reports@example.com`. */
  readonly uri: string;
  /** The largest report that is wanted, in octets as it is mailed (RFC 7489 6.2). Without one, any. */
  readonly maxBytes?: number;
}

/** A policy record. Tags that are missing or invalid have their defaults. */
export interface DmarcRecord {
  /**
   * Whether it has valid policies, or asks for reports. DMARC does not apply to mail under another record, which may say
   * all the same whether its domain is a public suffix (RFC 9989 4.10.1).
   */
  readonly usable: boolean;
  /** `p=`; `none` if it, `sp=` or `np=` is invalid, or it is missing. */
  readonly p: DmarcPolicy;
  /** `sp=`: for subdomains. */
  readonly sp?: DmarcPolicy;
  /** `np=`: for subdomains that do not exist. */
  readonly np?: DmarcPolicy;
  readonly adkim: DmarcAlignment;
  readonly aspf: DmarcAlignment;
  /** `t=y`: the domain tries its policy out, and wants the next milder one applied. */
  readonly testing: boolean;
  /** `pct=` of RFC 7489: the percentage of failing messages that the policy is to be applied to. 100 in newer records. */
  readonly percentage: number;
  /** `psd=`: whether it is a public suffix (`y`), an organizational domain (`n`), or does not say so (`u`). */
  readonly psd: 'y' | 'n' | 'u';
  /** `rua=`: the addresses for aggregate reports. */
  readonly rua: readonly DmarcUri[];
  /** `ruf=`: the addresses for failure reports. */
  readonly ruf: readonly DmarcUri[];
  /** `fo=`: when failure reports are asked for. */
  readonly fo: string;
}

/** Tags that are read; a record with more was not written by hand. */
const MAX_TAGS = 64;
/** Addresses of a report that are looked at. */
const MAX_URIS = 20;
const MAX_URI_LENGTH = 1024;

const VERSION = /^v[\t ]*=[\t ]*DMARC1[\t ]*(?:;|$)/i;
const TAG_NAME = /^[A-Za-z]{1,16}$/;
const PERCENTAGE = /^[0-9]{1,3}$/;
const FAILURE_OPTIONS = /^[01ds](?::[01ds]){0,3}$/;
/** A scheme (RFC 3986 3.1), and printable ASCII without what has to be encoded (RFC 9989 4.8). */
const URI = /^[A-Za-z][A-Za-z0-9+.-]{0,30}:[\x22-\x2b\x2d-\x7e]+$/;
/** The size limit behind a URI, which RFC 9989 no longer has (4.8), and RFC 9990 says to heed. */
const SIZE_LIMIT = /!([0-9]{1,15})([kmgt]?)$/i;
const UNITS = ['', 'k', 'm', 'g', 't'];

/**
 * Reads a policy record. Syntax errors behind the version are passed over (RFC 9989 4.8).
 *
 * @param text the strings of a TXT record put together
 * @returns undefined for what is not a DMARC record of this version
 */
export function parseDmarcRecord(text: string): DmarcRecord | undefined {
  const tags = tagsOf(text);
  if (!tags) return undefined;
  const rua = urisOf(tags.get('rua'));
  const [p, sp, np] = ['p', 'sp', 'np'].map((name) => policyOf(tags.get(name)));
  const valid = p !== undefined && p !== 'invalid' && sp !== 'invalid' && np !== 'invalid';
  const policies = valid
    ? { p, ...(sp === undefined ? {} : { sp }), ...(np === undefined ? {} : { np }) }
    : { p: 'none' as const };
  return {
    usable: valid || rua.length > 0,
    ...policies,
    adkim: oneOf(tags.get('adkim'), ['r', 's'], 'r'),
    aspf: oneOf(tags.get('aspf'), ['r', 's'], 'r'),
    testing: oneOf(tags.get('t'), ['y', 'n'], 'n') === 'y',
    percentage: percentageOf(tags.get('pct')),
    psd: oneOf(tags.get('psd'), ['y', 'n', 'u'], 'u'),
    rua,
    ruf: urisOf(tags.get('ruf')),
    fo: failureOptionsOf(tags.get('fo')),
  };
}

/** The tags of a text that begins with this version; the first of each name counts. */
export function tagsOf(text: string): ReadonlyMap<string, string> | undefined {
  // The value of v= is case-sensitive, its name is not (4.8).
  if (
    !VERSION.test(text) ||
    !text
      .slice(1)
      .replace(/[\t =]/g, '')
      .startsWith('DMARC1')
  )
    return undefined;
  const tags = new Map<string, string>();
  for (const spec of text.split(';', MAX_TAGS)) {
    const equals = spec.indexOf('=');
    const name = equals < 0 ? '' : trimSpace(spec.slice(0, equals)).toLowerCase();
    if (TAG_NAME.test(name) && !tags.has(name)) tags.set(name, trimSpace(spec.slice(equals + 1)));
  }
  return tags;
}

function policyOf(value: string | undefined): DmarcPolicy | 'invalid' | undefined {
  if (value === undefined) return undefined;
  const word = value.toLowerCase();
  return word === 'none' || word === 'quarantine' || word === 'reject' ? word : 'invalid';
}

function oneOf<T extends string>(value: string | undefined, words: readonly T[], otherwise: T): T {
  const word = value?.toLowerCase();
  return words.find((known) => known === word) ?? otherwise;
}

function percentageOf(value: string | undefined): number {
  const number = value !== undefined && PERCENTAGE.test(value) ? Number(value) : 100;
  return number <= 100 ? number : 100;
}

function failureOptionsOf(value: string | undefined): string {
  const word = value?.toLowerCase().replace(/[\t ]/g, '') ?? '';
  return FAILURE_OPTIONS.test(word) ? word : '0';
}

/** The valid URIs of a list. One that is invalid does not hide the others. */
export function urisOf(list: string | undefined): DmarcUri[] {
  if (list === undefined) return [];
  return list.split(',', MAX_URIS).flatMap((item) => {
    const text = trimSpace(item);
    const limit = SIZE_LIMIT.exec(text);
    const uri = limit ? text.slice(0, limit.index) : text;
    if (uri.length > MAX_URI_LENGTH || !URI.test(uri) || uri.includes('!')) return [];
    if (!limit) return [{ uri }];
    const [, number = '', unit = ''] = limit;
    return [{ uri, maxBytes: Number(number) * 1024 ** UNITS.indexOf(unit.toLowerCase()) }];
  });
}
