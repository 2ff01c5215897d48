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
  const [head = [], ...rest] = sections;
  const last = head[head.length - 1];
  const version =
    head.length > 1 && last?.kind === 'word' && VERSION.test(last.text) ? Number(last.text) : undefined;
  const id = wordsOf(version === undefined ? head : head.slice(0, -1));
  if (id === undefined) return undefined;
  const results = rest.flatMap((section) => resultOf(section) ?? []);
  return { id, ...(version === undefined ? {} : { version }), results };
}

/** The field's tokens, without comments, cut at its semicolons. */
function sectionsOf(value: string): Token[][] | undefined {
  if (value.length > MAX_LENGTH) return undefined;
  const tokens = tokenize(value);
  if (!tokens) return undefined;
  const sections: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === 'comment') continue;
    const section = sections[sections.length - 1] as Token[];
    const before = section[section.length - 1];
    if (isSeparator(token, ';')) sections.push([]);
    else if (isDotted(before, token)) section.splice(-1, 1, { kind: 'word', text: before.text + token.text });
    else section.push(token);
  }
  return sections;
}

/** White space and comments may stand around the dot of `header.from`. */
function isDotted(before: Token | undefined, token: Token): before is Token {
  return (
    before?.kind === 'word' &&
    token.kind === 'word' &&
    (before.text.endsWith('.') || token.text.startsWith('.'))
  );
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
  let equals = tokens.findIndex((token) => isSeparator(token, '='));
  while (equals > 0) {
    const name = tokens[equals - 1] as Token;
    const next = nextAssignment(tokens, equals + 1);
    const value = wordsOf(tokens.slice(equals + 1, next < 0 ? undefined : next - 1)) ?? '';
    const property = propertyName(name);
    if (property) properties.push({ ...property, value });
    else if (keyword(name) === 'reason') reason ??= value;
    equals = next;
  }
  return { reason, properties };
}

/** Where the `=` of the next assignment is: a word with a dot, or `reason`, stands before it. */
function nextAssignment(tokens: readonly Token[], from: number): number {
  for (let at = from + 1; at < tokens.length; at++) {
    const name = tokens[at - 1] as Token;
    if (isSeparator(tokens[at], '=') && (propertyName(name) || keyword(name) === 'reason')) return at;
  }
  return -1;
}

function propertyName(token: Token): Omit<AuthResProperty, 'value'> | undefined {
  if (token.kind !== 'word') return undefined;
  const [ptype = '', property = '', ...more] = token.text.split('.');
  if (more.length > 0 || !KEYWORD.test(ptype) || !KEYWORD.test(property)) return undefined;
  return { ptype: ptype.toLowerCase(), property: property.toLowerCase() };
}
