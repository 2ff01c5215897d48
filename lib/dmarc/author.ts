/**
 * The author's domain of a message (RFC 9989 5.3.1). A reader may show another address than a parser finds in a malformed From
 * field, so whatever could be an address in it is found, and nothing in it is chosen.
 */
import { domainName } from '../dkim/domain.js';
import { encodeBytes } from '../internal/bytes.js';

/** The domains that the From fields name, and why they are not one author's. */
export interface Author {
  /** In lower case, with A-labels, each once. */
  readonly domains: readonly string[];
  /** Why DMARC cannot apply to a single domain. */
  readonly fault?: string;
  /** Whether the fault is that a single, well-formed field has authors of several domains. */
  readonly severalAuthors?: boolean;
}

/** From fields that are looked at. A second one suffices for a message not to pass. */
const MAX_FIELDS = 16;
/** Characters of each. */
const MAX_LENGTH = 65_536;
const MAX_NESTING = 32;
const MAX_DOMAIN = 1024;

/** A word or a separator of a From field. Comments are left out. */
interface Token {
  readonly kind: 'atom' | 'quoted' | 'literal' | 'special';
  readonly text: string;
}

class Malformed extends Error {}

/** @param values of all From fields; text as a filter gets it */
export function authorOf(values: readonly string[]): Author {
  if (values.length === 0) return { domains: [], fault: 'the message has no From field' };
  const texts = values.slice(0, MAX_FIELDS).map((value) =>
    encodeBytes(value)
      .toString('latin1')
      .slice(0, MAX_LENGTH + 1),
  );
  const wellFormed = texts.length === 1 ? addressDomains(texts[0] as string) : undefined;
  if (!wellFormed) {
    const fault = texts.length > 1 ? 'the message has several From fields' : 'the From field is malformed';
    return { domains: [...new Set(texts.flatMap(possibleDomains))], fault };
  }
  const known = wellFormed.map((text) => domainName(text.replace(/\.$/, '')));
  const domains = new Set(known.filter((domain) => domain !== undefined));
  if (known.includes(undefined)) {
    return { domains: [...domains], fault: 'From has an address without a valid domain name' };
  }
  if (domains.size === 0) return { domains: [], fault: 'the From field has no address with a domain' };
  return domains.size === 1
    ? { domains: [...domains] }
    : { domains: [...domains], fault: 'From has authors of several domains', severalAuthors: true };
}

/** The domain of each mailbox; undefined for a malformed field. */
function addressDomains(text: string): string[] | undefined {
  try {
    return mailboxesOf(tokensOf(text)).flatMap(domainOfMailbox);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** Whatever stands behind an `@` and could be a domain. */
function possibleDomains(text: string): string[] {
  return text
    .split('@')
    .slice(1)
    .flatMap((rest) => {
      const word = /^[\t ]*([\w\x80-\xff.-]+)/.exec(rest.slice(0, MAX_DOMAIN))?.[1] ?? '';
      return domainName(word.replace(/\.$/, '')) ?? [];
    });
}

function tokensOf(text: string): Token[] {
  if (text.length > MAX_LENGTH) throw new Malformed();
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    const character = text[at] as string;
    if (' \t\r\n'.includes(character)) {
      at++;
    } else if (character === '(') {
      at = commentEnd(text, at);
    } else if (character === '"' || character === '[') {
      const end = closing(text, at, character === '"' ? '"' : ']');
      tokens.push({ kind: character === '"' ? 'quoted' : 'literal', text: text.slice(at, end) });
      at = end;
    } else if ('<>,;:@'.includes(character)) {
      tokens.push({ kind: 'special', text: character });
      at++;
    } else {
      const end = atomEnd(text, at);
      if (end === at) throw new Malformed();
      tokens.push({ kind: 'atom', text: text.slice(at, end) });
      at = end;
    }
  }
  return tokens;
}

/** The index behind a quoted string or a domain literal. */
function closing(text: string, start: number, end: string): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === end) return at + 1;
  }
  throw new Malformed();
}

function commentEnd(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (character === '\\') at++;
    else if (character === '(' && ++depth > MAX_NESTING) break;
    else if (character === ')' && --depth === 0) return at + 1;
  }
  throw new Malformed();
}

function atomEnd(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const character = text[at] as string;
    if (character <= ' ' || character === '\x7f' || '()<>[]:;@\\,"'.includes(character)) break;
  }
  return at;
}

const isSpecial = (token: Token | undefined, text: string): boolean =>
  token?.kind === 'special' && token.text === text;

/** The tokens of each mailbox. The names of groups are left out (RFC 5322 3.4). */
function mailboxesOf(tokens: readonly Token[]): Token[][] {
  const mailboxes: Token[][] = [[]];
  let inAngle = false;
  for (const token of tokens) {
    const mailbox = mailboxes[mailboxes.length - 1] as Token[];
    if (isSpecial(token, '<')) inAngle = true;
    if (isSpecial(token, '>')) inAngle = false;
    if (!inAngle && (isSpecial(token, ',') || isSpecial(token, ';'))) {
      mailboxes.push([]);
    } else if (!inAngle && isSpecial(token, ':')) {
      if (mailbox.some(({ kind }) => kind === 'special')) throw new Malformed();
      mailbox.length = 0;
    } else {
      mailbox.push(token);
    }
  }
  return mailboxes.filter(({ length }) => length > 0);
}

/** The domain of an address, as it is written; none for a local one. */
function domainOfMailbox(tokens: readonly Token[]): string[] {
  const opened = tokens.findIndex((token) => isSpecial(token, '<'));
  if (opened < 0) return domainOfAddress(tokens);
  // What stands before is a name, which may well look like an address; behind the address there may be nothing.
  const address = tokens.slice(opened + 1, -1);
  if (!isSpecial(tokens[tokens.length - 1], '>')) throw new Malformed();
  if (address.some((token) => isSpecial(token, '<') || isSpecial(token, '>'))) throw new Malformed();
  const route = address.findLastIndex((token) => isSpecial(token, ':'));
  return domainOfAddress(address.slice(route + 1));
}

function domainOfAddress(tokens: readonly Token[]): string[] {
  const ats = tokens.filter((token) => isSpecial(token, '@')).length;
  const at = tokens.findIndex((token) => isSpecial(token, '@'));
  if (ats > 1 || at === 0 || tokens.some((token) => token.kind === 'special' && token.text !== '@'))
    throw new Malformed();
  if (at < 0) {
    // A local address has no domain; several words are no address.
    if (tokens.length > 1) throw new Malformed();
    return [];
  }
  const parts = tokens.slice(at + 1).map(({ text }) => text);
  // White space and comments may stand around a dot only.
  const isApart = (part: string, index: number) =>
    index > 0 && !parts[index - 1]?.endsWith('.') && !part.startsWith('.');
  if (parts.length === 0 || parts.some(isApart)) throw new Malformed();
  return [parts.join('')];
}
