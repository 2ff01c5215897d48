/** What each mechanism matches (RFC 7208 5). */
import { askableName } from '../dns/names.js';
import type { Client } from './client.js';
import type { Lookups } from './lookups.js';
import type { MacroString } from './macro-string.js';
import { fittedName } from './names.js';
import type { Directive, Mechanism } from './record.js';
import { SpfError } from './spf-error.js';
import { quoted } from './text.js';
import type { ValidatedNames } from './validated-names.js';

/** Where a mechanism is evaluated. */
export interface Scope {
  /** The domain of the record. */
  readonly domain: string;
  readonly client: Client;
  readonly lookups: Lookups;
  readonly names: ValidatedNames;
  readonly maxMx: number;
  /** The text of a name; undefined where it matches nothing. */
  expand(spec: MacroString): Promise<string | undefined>;
  /** Whether the record of another domain has the client pass. */
  includes(domain: string, term: string): Promise<boolean>;
}

type Kind = Mechanism['kind'];
type Of<K extends Kind> = Extract<Mechanism, { readonly kind: K }>;

/** @throws SpfError */
export async function matches({ mechanism, text }: Directive, scope: Scope): Promise<boolean> {
  const { client, lookups } = scope;
  switch (mechanism.kind) {
    case 'all':
      return true;
    case 'ip4':
    case 'ip6':
      return client.isIn(mechanism.network);
    default:
      lookups.begin(text);
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
  // A name that has become one that DNS cannot have is a name that is not there (RFC 7208 4.8 leaves it open).
  const name = askableName(fittedName(target));
  if (name === undefined) return false;
  const { client, lookups, names } = scope;
  switch (mechanism.kind) {
    case 'a':
      return client.isNear(await lookups.addresses(name, client.family), mechanism.bits);
    case 'mx':
      return matchesMx(name, mechanism, term, scope);
    case 'ptr':
      return names.anyWithin(name);
    case 'exists': // IPv4 always, whatever the client has (5.7)
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
  // Before any is looked at: the result must not hang on the order of equals.
  if (exchangers.length > maxMx) {
    throw new SpfError('permerror', `more than ${maxMx} mail servers (maxMx): ${quoted(term)}`);
  }
  for (const exchanger of exchangers) {
    const host = askableName(exchanger); // a null MX (RFC 7505) has none
    if (host !== undefined && client.isNear(await lookups.addresses(host, client.family), bits)) return true;
  }
  return false;
}
