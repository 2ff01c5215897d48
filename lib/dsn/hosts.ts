/** Finds the mail servers of a domain. */
import { isIP } from 'node:net';
import type { MxRecord } from '../dns/index.js';
import { parseUnmappedIp } from '../internal/parse-ip.js';
import { inNetwork, type Network, networkOf } from '../utils/ip.js';

/** The DNS resolver that is used: a DnsSession, or a Resolver of node:dns/promises. */
export interface DsnResolver {
  resolveMx(name: string): Promise<MxRecord[]>;
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
}

/** A mail server and one of its addresses. */
export interface MailHost {
  readonly name: string;
  readonly address: string;
}

/** Thrown if a domain has no mail server; `reply` is what an SMTP client can be told. */
export class NoMailHost extends Error {
  readonly reply: readonly [code: number, text: string];

  constructor(code: number, text: string) {
    super(text);
    this.reply = [code, text];
  }
}

/**
 * The mail servers of a domain in order (RFC 5321 5.1): those of its MX records by preference, or the domain itself if it has
 * none.
 *
 * @param privateHosts whether to include addresses that are not public. An untrusted domain can point its MX record at any
 *   host in your network.
 * @throws NoMailHost
 */
export async function* mailHosts(
  domain: string,
  resolver: DsnResolver,
  privateHosts: boolean,
): AsyncGenerator<MailHost> {
  const literal = literalOf(domain);
  const names = literal === undefined ? await mailExchangers(domain, resolver) : [domain];
  let unknown: NoMailHost | undefined;
  let any = false;
  for (const name of names) {
    const lookups = literal === undefined ? addressesOf(name, resolver) : [Promise.resolve([literal])];
    for (const lookup of await Promise.allSettled(lookups)) {
      if (lookup.status === 'rejected') {
        // Another lookup may still find an address, so the error is thrown only if none does.
        if (!(lookup.reason instanceof NoMailHost)) throw lookup.reason;
        unknown = lookup.reason;
        continue;
      }
      for (const address of lookup.value) {
        if (!privateHosts && !isPublic(address)) continue;
        any = true;
        yield { name, address };
      }
    }
  }
  if (!any) throw unknown ?? new NoMailHost(550, `5.4.4 no mail server of ${domain} has an address`);
}

/** The address in an address literal such as `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 4.1.3). */
function literalOf(domain: string): string | undefined {
  const address = /^\[(?:IPv6:)?([0-9a-f.:]+)\]$/i.exec(domain)?.[1];
  return address !== undefined && isIP(address) !== 0 ? address : undefined;
}

async function mailExchangers(domain: string, resolver: DsnResolver): Promise<string[]> {
  const records = await recordsOrEmpty(domain, resolver.resolveMx(domain));
  if (records.length === 0) return [domain];
  const names = records
    .filter(({ exchange }) => exchange !== '' && exchange !== '.')
    .sort((one, other) => one.priority - other.priority)
    .map(({ exchange }) => exchange);
  if (names.length === 0) throw new NoMailHost(556, `5.1.10 ${domain} does not accept mail (RFC 7505)`);
  return names;
}

function addressesOf(name: string, resolver: DsnResolver): Promise<string[]>[] {
  return [recordsOrEmpty(name, resolver.resolve4(name)), recordsOrEmpty(name, resolver.resolve6(name))];
}

const NO_RECORD_CODES = ['ENOTFOUND', 'ENODATA', 'EBADNAME'];

/** The records of a lookup, or an empty array if there are none. @throws NoMailHost if the lookup fails */
async function recordsOrEmpty<T>(name: string, lookup: Promise<T[]>): Promise<T[]> {
  try {
    return await lookup;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error; // a programming error in a custom resolver
    if (NO_RECORD_CODES.includes(code)) return [];
    throw new NoMailHost(451, `4.4.3 DNS lookup of ${name} failed (${code})`);
  }
}

/** Addresses with an IPv4 address behind 96 zeros are not routed any more (RFC 4291 2.5.5.1). */
const IPV4_COMPATIBLE = networkOf('::', 96) as Network;

function isPublic(address: string): boolean {
  const ip = parseUnmappedIp(address);
  return ip.range() === 'unicast' && !inNetwork(ip, IPV4_COMPATIBLE);
}
