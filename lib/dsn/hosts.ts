/** Where mail for a domain goes. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { MxRecord } from '../dns/index.js';

/** What is asked of DNS; a DnsSession fits, so does a Resolver of node:dns/promises. */
export interface DsnResolver {
  resolveMx(name: string): Promise<MxRecord[]>;
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
}

/** A host that takes mail, by one of its addresses. */
export interface MailHost {
  readonly name: string;
  readonly address: string;
}

/** Why mail for a domain goes nowhere: what a client would be told. */
export class NoMailHost extends Error {
  readonly reply: readonly [code: number, text: string];

  constructor(code: number, text: string) {
    super(text);
    this.reply = [code, text];
  }
}

/**
 * The hosts for a domain's mail, the best first (RFC 5321 5.1): those of its MX records by preference, or without any the
 * domain itself.
 *
 * @param privateHosts whether addresses within one's own network are taken. A stranger chooses where his MX leads.
 * @throws NoMailHost
 */
export async function* mailHosts(
  domain: string,
  resolver: DsnResolver,
  privateHosts: boolean,
): AsyncGenerator<MailHost> {
  const literal = literalOf(domain);
  const names = literal === undefined ? await exchangers(domain, resolver) : [domain];
  let unknown: NoMailHost | undefined;
  let any = false;
  for (const name of names) {
    const lookups = literal === undefined ? addressesOf(name, resolver) : [Promise.resolve([literal])];
    for (const lookup of await Promise.allSettled(lookups)) {
      if (lookup.status === 'rejected') {
        // Another address may do: this matters only where there is none.
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

/** `[192.0.2.1]` and `[IPv6:2001:db8::1]` (RFC 5321 4.1.3). */
function literalOf(domain: string): string | undefined {
  const address = /^\[(?:IPv6:)?([0-9a-f.:]+)\]$/i.exec(domain)?.[1];
  return address !== undefined && isIP(address) !== 0 ? address : undefined;
}

async function exchangers(domain: string, resolver: DsnResolver): Promise<string[]> {
  const records = await found(domain, resolver.resolveMx(domain));
  if (records.length === 0) return [domain];
  const names = records
    .filter(({ exchange }) => exchange !== '' && exchange !== '.')
    .sort((one, other) => one.priority - other.priority)
    .map(({ exchange }) => exchange);
  if (names.length === 0) throw new NoMailHost(556, `5.1.10 ${domain} takes no mail (RFC 7505)`);
  return names;
}

function addressesOf(name: string, resolver: DsnResolver): Promise<string[]>[] {
  return [found(name, resolver.resolve4(name)), found(name, resolver.resolve6(name))];
}

const NOTHING = ['ENOTFOUND', 'ENODATA', 'EBADNAME'];

/** What is there; nothing is an empty list. @throws NoMailHost where DNS cannot tell now */
async function found<T>(name: string, lookup: Promise<T[]>): Promise<T[]> {
  try {
    return await lookup;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error; // a mistake in a resolver, and not an answer
    if (NOTHING.includes(code)) return [];
    throw new NoMailHost(451, `4.4.3 DNS has no answer about ${name} now (${code})`);
  }
}

function isPublic(address: string): boolean {
  return ipaddr.process(address).range() === 'unicast';
}
