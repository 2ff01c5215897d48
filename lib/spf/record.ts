/** Parses an SPF record (RFC 7208 4.6.1, 5, 6 and 12). The whole record is checked before any of it is evaluated. */
import { isIPv4, isIPv6 } from 'node:net';
import { validDnsName } from '../dns/names.js';
import { parseIp } from '../internal/parse-ip.js';
import type { Network } from '../utils/ip.js';
import { MacroString } from './macro-string.js';
import { isTopLabel, truncatedName } from './names.js';
import { SpfError } from './spf-error.js';
import { isPrintable, quoted } from './text.js';

/** A mechanism. A target of null is the record's own domain. */
export type Mechanism =
  | { readonly kind: 'all' }
  | { readonly kind: 'include' | 'exists'; readonly target: MacroString }
  | { readonly kind: 'ptr'; readonly target: MacroString | null }
  | { readonly kind: 'a' | 'mx'; readonly target: MacroString | null; readonly bits: Bits }
  | { readonly kind: 'ip4' | 'ip6'; readonly network: Network };

/** The prefix lengths for IPv4 and IPv6 addresses. */
export interface Bits {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** A mechanism, and the result if it matches. */
export interface Directive {
  readonly result: 'pass' | 'fail' | 'softfail' | 'neutral';
  readonly mechanism: Mechanism;
  /** The mechanism as it is written in the record. */
  readonly text: string;
}

export interface SpfRecord {
  readonly directives: readonly Directive[];
  readonly redirect: MacroString | null;
  /** The name whose TXT record explains a fail. */
  readonly exp: MacroString | null;
}

const RESULTS = { '+': 'pass', '-': 'fail', '~': 'softfail', '?': 'neutral' } as const;

/** Any name and an equals sign. Unknown modifiers are ignored (RFC 7208 6). */
const MODIFIER = /^([a-z][a-z0-9._-]*)=/i;
const DIRECTIVE = /^([+?~-]?)([a-z0-9]+)/i;
const BITS = /^(?:0|[1-9]\d{0,2})$/;
/** The length of an IPv6 address that ends with an IPv4 address. */
const MAX_ADDRESS_LENGTH = 45;

/** Whether a TXT record is an SPF record (RFC 7208 4.5). */
export function isSpfRecord(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

/** @throws SpfError permerror for a syntax error */
export function readRecord(text: string): SpfRecord {
  if (!isPrintable(text)) throw syntaxError('character that is not printable ASCII', text);
  const directives: Directive[] = [];
  const modifiers = new Map<string, MacroString>();
  const [, ...terms] = text.split(' ');
  for (const term of terms) {
    if (term === '') continue; // several spaces between two terms
    const name = MODIFIER.exec(term)?.[1];
    if (name === undefined) directives.push(directiveOf(term));
    else readModifier(name.toLowerCase(), term, modifiers);
  }
  return {
    directives,
    redirect: modifiers.get('redirect') ?? null,
    exp: modifiers.get('exp') ?? null,
  };
}

function readModifier(name: string, term: string, known: Map<string, MacroString>): void {
  const value = term.slice(name.length + 1);
  if (name !== 'redirect' && name !== 'exp') {
    if (MacroString.read(value) === undefined) throw syntaxError('invalid macro', term);
    return;
  }
  if (known.has(name)) throw syntaxError('duplicate modifier', term); // RFC 7208 6
  known.set(name, domainSpecOf(value, term));
}

function directiveOf(term: string): Directive {
  const [head, qualifier = '', name = ''] = DIRECTIVE.exec(term) ?? [''];
  const text = term.slice(qualifier.length);
  const mechanism = mechanismOf(name.toLowerCase(), term.slice(head.length), term);
  return { result: RESULTS[(qualifier || '+') as '+' | '-' | '~' | '?'], mechanism, text };
}

/** @param rest what follows the mechanism's name */
function mechanismOf(kind: string, rest: string, term: string): Mechanism {
  switch (kind) {
    case 'all':
      if (rest !== '') throw syntaxError('unexpected text after "all"', term);
      return { kind };
    case 'include':
    case 'exists':
      return { kind, target: domainSpecOf(afterColon(rest, term), term) };
    case 'ptr':
      return { kind, target: targetOf(rest, term) };
    case 'a':
    case 'mx': {
      const [target, bits] = withoutBits(rest, term);
      return { kind, target: targetOf(target, term), bits };
    }
    case 'ip4':
    case 'ip6':
      return { kind, network: networkOf(kind, afterColon(rest, term), term) };
    default:
      throw syntaxError('unknown mechanism', term);
  }
}

function afterColon(rest: string, term: string): string {
  if (!rest.startsWith(':')) throw syntaxError('missing colon after the mechanism', term);
  return rest.slice(1);
}

function targetOf(rest: string, term: string): MacroString | null {
  return rest === '' ? null : domainSpecOf(afterColon(rest, term), term);
}

/** Parses a `domain-spec`, which ends with a macro, or with a dot and a top label (RFC 7208 7.1). */
function domainSpecOf(text: string, term: string): MacroString {
  const spec = MacroString.read(text);
  if (spec === undefined) throw syntaxError('invalid macro', term);
  if (spec.uses('c', 'r', 't')) throw syntaxError('macro that is allowed only in explanations', term); // 7.2
  if (text === '' || (spec.tail !== null && !endsWithTopLabel(spec.tail))) {
    throw syntaxError('invalid domain name', term);
  }
  // RFC 7208 4.8 leaves malformed names open. Without a macro, only the record itself can be wrong.
  if (spec.plain && validDnsName(truncatedName(text)) === undefined) {
    throw syntaxError('domain name that is not valid in DNS', term);
  }
  return spec;
}

function endsWithTopLabel(tail: string): boolean {
  const name = tail.endsWith('.') ? tail.slice(0, -1) : tail;
  const dot = name.lastIndexOf('.');
  return dot >= 0 && isTopLabel(name.slice(dot + 1));
}

/** Splits off a `dual-cidr-length`: `/24`, `//64` or `/24//64`. */
function withoutBits(rest: string, term: string): [rest: string, bits: Bits] {
  const six = /\/\/(\d+)$/.exec(rest);
  const before = rest.slice(0, six?.index);
  const four = /\/(\d+)$/.exec(before);
  const bits = { ipv4: bitsOf(four?.[1] ?? '32', 32, term), ipv6: bitsOf(six?.[1] ?? '128', 128, term) };
  return [before.slice(0, four?.index), bits];
}

function bitsOf(text: string, maxBits: number, term: string): number {
  if (!BITS.test(text) || Number(text) > maxBits) throw syntaxError('invalid prefix length', term);
  return Number(text);
}

function networkOf(kind: 'ip4' | 'ip6', text: string, term: string): Network {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const maxBits = kind === 'ip4' ? 32 : 128;
  const right = kind === 'ip4' ? isIPv4 : isIPv6;
  // isIPv6 accepts any text as a zone, as in fe80::1%eth0, but zones have no meaning in DNS.
  if (address.length > MAX_ADDRESS_LENGTH || address.includes('%') || !right(address)) {
    throw syntaxError('invalid IP address', term);
  }
  return [parseIp(address), slash < 0 ? maxBits : bitsOf(text.slice(slash + 1), maxBits, term)];
}

function syntaxError(what: string, term: string): SpfError {
  return new SpfError('permerror', `${what}: ${quoted(term)}`);
}
