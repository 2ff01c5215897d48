/** Evaluation of mechanisms (RFC 7208 5). */
import { canonicalName } from '../dns/names.js';
import type { Client } from './client.js';
import type { Lookups } from './lookups.js';
import type { MacroString } from './macro-string.js';
import { askableName } from './names.js';
import type { Directive, Mechanism } from './record.js';
import { SpfError } from './spf-error.js';
import { quoted } from './text.js';
import type { ValidatedNames } from './validated-names.js';

/** The context in which a mechanism is evaluated. */
export interface Scope {
  /** The domain of the record. */
  readonly domain: string;
  readonly client: Client;
  readonly lookups: Lookups;
  readonly names: ValidatedNames;
  readonly maxMx: number;
  /** Expands a domain name; undefined if the term matches nothing. */
  expand(spec: MacroString): Promise<string | undefined>;
  /** Whether the client passes the record of another domain. */
  includes(domain: string, term: string): Promise<boolean>;
}

type Kind = Mechanism['kind'];
type Of<K extends Kind> = Extract<Mechanism, { readonly kind: K }>;

/** Whether a mechanism matches the client. @throws SpfError */
export async function matches({ mechanism, text }: Directive, scope: Scope): Promise<boolean> {
  const { client, lookups } = scope;
  switch (mechanism.kind) {
    case 'all':
      return true;
    case 'ip4':
    case 'ip6':
      return client.isIn(mechanism.network);
    default:
      lookups.countTerm(text);
      return matchesByDns(mechanism, text, scope);
  }
}

async function matchesByDns(
  mechanism: Of<'include' | 'a' | 'mx' | 'ptr' | 'exists'>,
  term: string,
  scope: Scope,
): Promise<boolean> {
  const target = mechanism.target === null ? scope.domain : await scope.expand(mechanism.target);
  if (target === undefined) return false;
  if (mechanism.kind === 'include') return scope.includes(target, term);
  // A name that is not valid in DNS after expansion does not match. RFC 7208 4.8 leaves this open.
  const name = askableName(target);
  if (name === undefined) return false;
  const { client, lookups, names } = scope;
  switch (mechanism.kind) {
    case 'a':
      return client.sharesPrefixWith(await lookups.addresses(name, client.family), mechanism.bits);
    case 'mx':
      return matchesMx(name, mechanism, term, scope);
    case 'ptr':
      return names.anyWithin(name);
    case 'exists': // always by A records, also for IPv6 clients (RFC 7208 5.7)
      return (await lookups.addresses(name, 'ipv4')).length > 0;
  }
}

async function matchesMx(
  name: string,
  { bits }: Of<'a' | 'mx'>,
  term: string,
  scope: Scope,
): Promise<boolean> {
  const { client, lookups, maxMx } = scope;
  const exchangers = await lookups.exchangers(name);
  // Checked before any lookup, so that the result does not depend on the order of servers with equal preference.
  if (exchangers.length > maxMx) {
    throw new SpfError('permerror', `more than ${maxMx} mail servers (maxMx): ${quoted(term)}`);
  }
  for (const exchanger of exchangers) {
    const host = canonicalName(exchanger); // undefined for a null MX (RFC 7505)
    if (host !== undefined && client.sharesPrefixWith(await lookups.addresses(host, client.family), bits))
      return true;
  }
  return false;
}
