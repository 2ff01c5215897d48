/** The syntax of a record (RFC 7208 4.6.1, 5, 6 and 12). All of it is checked before any of it counts. */
import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { askableName } from '../dns/names.js';
import type { Network } from '../utils/ip.js';
import { MacroString } from './macro-string.js';
import { fittedName, isTopLabel } from './names.js';
import { SpfError } from './spf-error.js';
import { isPrintable, quoted } from './text.js';

/** What a mechanism matches. A target that is null is the record's own domain. */
export type Mechanism =
  | { readonly kind: 'all' }
  | { readonly kind: 'include' | 'exists'; readonly target: MacroString }
  | { readonly kind: 'ptr'; readonly target: MacroString | null }
  | { readonly kind: 'a' | 'mx'; readonly target: MacroString | null; readonly bits: Bits }
  | { readonly kind: 'ip4' | 'ip6'; readonly network: Network };

/** The bits that count of an IPv4 and of an IPv6 address. */
export interface Bits {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** A mechanism, and the result where it matches. */
export interface Directive {
  readonly result: 'pass' | 'fail' | 'softfail' | 'neutral';
  readonly mechanism: Mechanism;
  /** The mechanism as the record has it. */
  readonly text: string;
}

export interface SpfRecord {
  readonly directives: readonly Directive[];
  readonly redirect: MacroString | null;
  /** Where the explanation of a fail is. */
  readonly exp: MacroString | null;
}

const RESULTS = { '+': 'pass', '-': 'fail', '~': 'softfail', '?': 'neutral' } as const;

/** A name and an equals sign, whatever the name: those that are not known are passed over (RFC 7208 6). */
const MODIFIER = /^([a-z][a-z0-9._-]*)=/i;
const DIRECTIVE = /^([+?~-]?)([a-z0-9]+)/i;
const BITS = /^(?:0|[1-9]\d{0,2})$/;
/** Longest text of an address: that of an IPv6 address with an IPv4 address at its end. */
const MAX_ADDRESS_LENGTH = 45;

/** Whether a TXT record is an SPF record (RFC 7208 4.5). */
export function isSpfRecord(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

/** @throws SpfError permerror */
export function readRecord(text: string): SpfRecord {
  if (!isPrintable(text)) throw syntaxError('a character that is not printable ASCII', text);
  const directives: Directive[] = [];
  const modifiers = new Map<string, MacroString>();
  const [, ...terms] = text.split(' ');
  for (const term of terms) {
    if (term === '') continue; // one space more
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
    if (MacroString.read(value) === undefined) throw syntaxError('a macro that is none', term);
    return;
  }
  if (known.has(name)) throw syntaxError('a modifier that is there already', term); // RFC 7208 6
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
      if (rest !== '') throw syntaxError('more than "all"', term);
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
      throw syntaxError('an unknown mechanism', term);
  }
}

function afterColon(rest: string, term: string): string {
  if (!rest.startsWith(':')) throw syntaxError('a mechanism without its colon', term);
  return rest.slice(1);
}

function targetOf(rest: string, term: string): MacroString | null {
  return rest === '' ? null : domainSpecOf(afterColon(rest, term), term);
}

/** `domain-spec`: it ends with a macro, or with a dot and a top label (RFC 7208 7.1). */
function domainSpecOf(text: string, term: string): MacroString {
  const spec = MacroString.read(text);
  if (spec === undefined) throw syntaxError('a macro that is none', term);
  if (spec.uses('c', 'r', 't')) throw syntaxError('a macro that is for explanations only', term); // 7.2
  if (text === '' || (spec.tail !== null && !endsWithTopLabel(spec.tail))) {
    throw syntaxError('a name that is not one', term);
  }
  // What becomes of a bad name is left open by 4.8. Where no macro can be the cause, the owner of the record is.
  if (spec.plain && askableName(fittedName(text)) === undefined) {
    throw syntaxError('a name that DNS cannot have', term);
  }
  return spec;
}

function endsWithTopLabel(tail: string): boolean {
  const name = tail.endsWith('.') ? tail.slice(0, -1) : tail;
  const dot = name.lastIndexOf('.');
  return dot >= 0 && isTopLabel(name.slice(dot + 1));
}

/** Takes `dual-cidr-length` off the end: `/24`, `//64` or `/24//64`. */
function withoutBits(rest: string, term: string): [rest: string, bits: Bits] {
  const six = /\/\/(\d+)$/.exec(rest);
  const before = rest.slice(0, six?.index);
  const four = /\/(\d+)$/.exec(before);
  const bits = { ipv4: bitsOf(four?.[1] ?? '32', 32, term), ipv6: bitsOf(six?.[1] ?? '128', 128, term) };
  return [before.slice(0, four?.index), bits];
}

function bitsOf(text: string, most: number, term: string): number {
  if (!BITS.test(text) || Number(text) > most) throw syntaxError('a number of bits that is not one', term);
  return Number(text);
}

function networkOf(kind: 'ip4' | 'ip6', text: string, term: string): Network {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const most = kind === 'ip4' ? 32 : 128;
  const right = kind === 'ip4' ? isIPv4 : isIPv6;
  // An address with a zone, fe80::1%eth0, has none in DNS; and node takes any text for the zone.
  if (address.length > MAX_ADDRESS_LENGTH || address.includes('%') || !right(address)) {
    throw syntaxError('an address that is not one', term);
  }
  return [ipaddr.parse(address), slash < 0 ? most : bitsOf(text.slice(slash + 1), most, term)];
}

function syntaxError(what: string, term: string): SpfError {
  return new SpfError('permerror', `${what}: ${quoted(term)}`);
}
