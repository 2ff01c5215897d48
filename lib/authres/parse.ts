/** Reading Authentication-Results fields, also those of the broken forms that stand in mail (RFC 8601 2.2). */
import { type Token, tokenize } from './tokens.js';
import type { AuthRes, AuthResProperty, AuthResResult } from './types.js';

/** Longest field that is read, in characters: fields come from untrusted senders. */
const MAX_LENGTH = 65_536;
const KEYWORD = /^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$/;
const VERSION = /^[0-9]{1,9}$/;

/**
 * Reads the value of an Authentication-Results field, or, without its instance, of an ARC-Authentication-Results field.
 *
 * Method, result, ptype and property come in lower case; values as they are written, without quotes. A result that
 * cannot be read is left out, the others stay. Comments are dropped: nothing in them is to be relied on.
 *
 * @returns undefined if not even the authserv-id can be read, or if a control character occurs anywhere. Nothing is thrown.
 */
export function parseAuthRes(value: string): AuthRes | undefined {
  const sections = sectionsOf(value);
  if (!sections) return undefined;
  const [[id, version, ...more] = [], ...rest] = sections;
  // The id is one word, and nothing but a version may follow: another reader could take a part of it for the id.
  if (id === undefined || id.kind === 'separator' || more.length > 0) return undefined;
  if (version && !(version.kind === 'word' && version.isApart && VERSION.test(version.text)))
    return undefined;
  const results = rest.flatMap((section) => resultOf(section) ?? []);
  return { id: id.text, ...(version ? { version: Number(version.text) } : {}), results };
}

/** The field's tokens, without comments, cut at its semicolons. */
function sectionsOf(value: string): Token[][] | undefined {
  if (value.length > MAX_LENGTH) return undefined;
  const tokens = tokenize(value);
  if (!tokens) return undefined;
  const sections: Token[][] = [[]];
  for (const token of tokens) {
    if (isSeparator(token, ';')) sections.push([]);
    else sections.at(-1)?.push(token);
  }
  return sections;
}

const isSeparator = (token: Token | undefined, text: string): boolean =>
  token?.kind === 'separator' && token.text === text;

/** One value out of adjoining tokens (`a/b`, `user@example.com`, `[IPv6:::1]`); undefined for none. */
function wordsOf(tokens: readonly Token[]): string | undefined {
  return tokens.length === 0 ? undefined : tokens.map(({ text }) => text).join('');
}

/** The text of a keyword in lower case, or undefined. */
function keyword(token: Token | undefined): string | undefined {
  return token?.kind === 'word' && KEYWORD.test(token.text) ? token.text.toLowerCase() : undefined;
}

/** `method [/ version] = result [reason = value] [ptype . property = value]…` */
function resultOf(section: readonly Token[]): AuthResResult | undefined {
  const method = keyword(section[0]);
  if (method === undefined) return undefined;
  let at = 1;
  let methodVersion: number | undefined;
  if (isSeparator(section[at], '/')) {
    const version = section[at + 1];
    if (version?.kind !== 'word' || !VERSION.test(version.text)) return undefined;
    methodVersion = Number(version.text);
    at += 2;
  }
  const result = keyword(section[at + 1]);
  if (!isSeparator(section[at], '=') || result === undefined) return undefined;
  const { reason, properties } = restOf(section.slice(at + 2));
  return {
    method,
    ...(methodVersion === undefined ? {} : { methodVersion }),
    result,
    ...(reason === undefined ? {} : { reason }),
    ...(properties.length > 0 ? { properties } : {}),
  };
}

/** What stands behind a result: assignments, each up to the name of the next. */
function restOf(tokens: readonly Token[]): { reason: string | undefined; properties: AuthResProperty[] } {
  const properties: AuthResProperty[] = [];
  let reason: string | undefined;
  let name = nextName(tokens, 0);
  while (name) {
    const next = nextName(tokens, name.equals + 1);
    const value = wordsOf(tokens.slice(name.equals + 1, next?.start)) ?? '';
    if (name.property) properties.push({ ...name.property, value });
    else reason ??= value;
    name = next;
  }
  return { reason, properties };
}

/** The name of an assignment: `reason` if it is none of a property. */
interface Name {
  /** The index of its first token, and that of the `=` behind it. */
  readonly start: number;
  readonly equals: number;
  readonly property?: Omit<AuthResProperty, 'value'>;
}

/** The first name from an index on. */
function nextName(tokens: readonly Token[], from: number): Name | undefined {
  for (let at = from + 1; at < tokens.length; at++) {
    const name = isSeparator(tokens[at], '=') ? nameBefore(tokens, from, at) : undefined;
    if (name) return name;
  }
  return undefined;
}

/**
 * The name in front of an `=`. White space or a comment stands before it: in a value, such as an address, the same word is a part of
 * that. White space and comments may stand around its dot, which makes it three tokens at most.
 */
function nameBefore(tokens: readonly Token[], from: number, equals: number): Name | undefined {
  let text = '';
  for (let start = equals - 1; start >= Math.max(from, equals - 3); start--) {
    const token = tokens[start] as Token;
    const continues = text === '' || text.startsWith('.') || token.text.endsWith('.');
    if (token.kind !== 'word' || !continues) return undefined;
    text = token.text + text;
    if (!token.isApart) continue;
    const property = propertyOf(text);
    if (property) return { start, equals, property };
    if (text.toLowerCase() === 'reason') return { start, equals };
  }
  return undefined;
}

function propertyOf(text: string): Omit<AuthResProperty, 'value'> | undefined {
  const [ptype = '', property = '', ...more] = text.split('.');
  if (more.length > 0 || !KEYWORD.test(ptype) || !KEYWORD.test(property)) return undefined;
  return { ptype: ptype.toLowerCase(), property: property.toLowerCase() };
}
