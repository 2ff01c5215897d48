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
/** Places of a malformed message where an address could be, and the characters of each. */
const MAX_PLACES = 256;
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
  const inDoubt = (fault: string): Author => ({ domains: possibleDomains(texts), fault });
  if (texts.length > 1) return inDoubt('the message has several From fields');
  const addresses = addressDomains(texts[0] as string);
  if (!addresses) return inDoubt('the From field is malformed');
  const known = addresses.map(nameOf);
  if (known.includes(undefined)) return inDoubt('From has an address without a valid domain name');
  const domains = [...new Set(known.filter((domain) => domain !== undefined))];
  if (domains.length === 0) return inDoubt('the From field has no address with a domain');
  return domains.length === 1
    ? { domains }
    : { domains, fault: 'From has authors of several domains', severalAuthors: true };
}

const nameOf = (text: string): string | undefined => domainName(text.replace(/\.$/, ''));

/** The domain of each mailbox; undefined for a malformed field. */
function addressDomains(text: string): string[] | undefined {
  try {
    return mailboxesOf(tokensOf(text)).flatMap(domainOfMailbox);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** Whatever some reader may take for the domain of an address: those of fields in order, then what stands behind an `@`. */
function possibleDomains(texts: readonly string[]): string[] {
  const places = texts.flatMap((text) => text.split('@', MAX_PLACES + 1).slice(1));
  const words = new Set([
    ...texts.flatMap((text) => addressDomains(text)?.slice(0, MAX_PLACES) ?? []),
    ...places.slice(0, MAX_PLACES).map(domainAtStart),
  ]);
  return [...new Set([...words].flatMap((word) => nameOf(word) ?? []))];
}

/** Words and dots, with whatever readers skip in front of a word: white space, comments, quotes, brackets. */
function domainAtStart(text: string): string {
  const end = Math.min(text.length, MAX_DOMAIN);
  let domain = '';
  for (let at = 0; at < end; ) {
    const character = text[at] as string;
    const isApart = domain !== '' && !domain.endsWith('.');
    if (character === '(') {
      at = endOfComment(text, at, end) ?? end;
    } else if (' \t\r\n'.includes(character)) {
      at++;
    } else if (!isApart && '"[<'.includes(character)) {
      at++;
    } else {
      const word = wordEnd(text, at, end);
      if (word === at || (isApart && character !== '.')) break;
      domain += text.slice(at, word);
      at = word;
    }
  }
  return domain;
}

/** The index behind the letters, digits and dots of a domain. */
function wordEnd(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && /[\w\x80-\xff.-]/.test(text[at] as string)) at++;
  return at;
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
  const end = endOfComment(text, start, text.length);
  if (end === undefined) throw new Malformed();
  return end;
}

/** The index behind a comment; undefined if it does not end, or is nested too deeply. */
function endOfComment(text: string, start: number, end: number): number | undefined {
  let depth = 0;
  for (let at = start; at < end; at++) {
    const character = text[at];
    if (character === '\\') at++;
    else if (character === '(' && ++depth > MAX_NESTING) break;
    else if (character === ')' && --depth === 0) return at + 1;
  }
  return undefined;
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
  const behindRoute = address.slice(routeLength(address));
  if (behindRoute.length === 0) throw new Malformed();
  return domainOfAddress(behindRoute);
}

/** The tokens of a route in front of an address (RFC 5322 4.4, obs-route): a list of domains, each with an `@`, and a colon. */
function routeLength(address: readonly Token[]): number {
  const colon = address.findIndex((token) => isSpecial(token, ':'));
  if (colon < 0) return 0;
  const hops = split(address.slice(0, colon), ',').filter(({ length }) => length > 0);
  for (const [at, ...domain] of hops) if (!isSpecial(at, '@') || !isDotted(domain)) throw new Malformed();
  if (hops.length === 0) throw new Malformed();
  return colon + 1;
}

/** The tokens between separators. */
function split(tokens: readonly Token[], separator: string): Token[][] {
  const lists: Token[][] = [[]];
  for (const token of tokens) {
    if (isSpecial(token, separator)) lists.push([]);
    else lists.at(-1)?.push(token);
  }
  return lists;
}

/** Whether the tokens are words with dots between them: white space and comments may stand around a dot only. */
function isDotted(tokens: readonly Token[]): boolean {
  return (
    tokens.length > 0 &&
    tokens.every(
      ({ kind, text }, at) =>
        kind !== 'special' && (at === 0 || text.startsWith('.') || tokens[at - 1]?.text.endsWith('.')),
    )
  );
}

function domainOfAddress(tokens: readonly Token[]): string[] {
  const at = tokens.findIndex((token) => isSpecial(token, '@'));
  if (at < 0) {
    // A local address has no domain; several words are no address.
    if (tokens.length !== 1 || tokens[0]?.kind === 'special') throw new Malformed();
    return [];
  }
  const [local, domain] = [tokens.slice(0, at), tokens.slice(at + 1)];
  if (!isDotted(local) || !isDotted(domain)) throw new Malformed();
  return [domain.map(({ text }) => text).join('')];
}
