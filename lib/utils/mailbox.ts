/** Finds the name and the address of a mailbox among the parts of an address header. */
import { type AddressPart, scanAddresses } from './address-scan.js';

/** What the parts between two commas or semicolons say. */
export interface Mailbox {
  readonly name: string;
  /** The address; '' for `<>`, undefined if there is none. */
  readonly address: string | undefined;
  /** Whether the address was in angle brackets. */
  readonly bracketed: boolean;
}

/** An address in angle brackets within a comment or a quoted string. */
const HIDDEN_ADDRESS = /<([^<>\s@]{1,320}@[^<>\s@]{1,320})>/;

/**
 * Reads one mailbox. The first address in angle brackets wins; then the first word with an `@`, and at last an address in
 * angle brackets within a comment, as in `Bob :( <bob@example.com> :)`.
 *
 * @param inGroup whether a colon ends the name of a group
 */
export function readMailbox(parts: readonly AddressPart[], inGroup: boolean): Mailbox {
  const at = bestAngle(parts);
  if (at >= 0) {
    const before = nameOf(parts.slice(0, at), inGroup);
    const name = before || commentsOf(parts) || nameOf(parts.slice(at + 1), false);
    return { name, address: angleAddress(parts[at] as AddressPart), bracketed: true };
  }
  const words = wordsOf(parts);
  const found = words.findIndex(({ raw }) => isAddress(raw));
  if (found >= 0) {
    const rest = words.filter((word, index) => index !== found && word.group === words[found]?.group);
    const name = joined(rest.map(({ text }) => text)) || commentsOf(parts);
    return { name, address: words[found]?.raw, bracketed: false };
  }
  const hidden = hiddenAddress(parts, 'comment');
  const name = nameOf(parts, inGroup) || (hidden === undefined ? commentsOf(parts) : '');
  return { name, address: hidden, bracketed: hidden !== undefined };
}

/** An address that is only in a quoted string or a comment, as in `"Bob <bob@example.com>"`. */
export function hiddenAddress(parts: readonly AddressPart[], kind: 'comment' | 'quoted'): string | undefined {
  for (const part of parts) {
    const address = part.kind === kind ? HIDDEN_ADDRESS.exec(part.text)?.[1] : undefined;
    if (address !== undefined) return address;
  }
  return undefined;
}

/** The first address with a domain in angle brackets, or otherwise the first in angle brackets. @returns -1 if there is none */
function bestAngle(parts: readonly AddressPart[]): number {
  const withDomain = parts.findIndex((part) => part.kind === 'angle' && isAddress(angleAddress(part)));
  return withDomain >= 0 ? withDomain : parts.findIndex(({ kind }) => kind === 'angle');
}

const MAILTO = /^\s*mailto:/i;
const ROUTE = /^\s*@[^:"]*:/;

/** The address in angle brackets without a route, comments and white space. */
function angleAddress({ text }: AddressPart): string {
  const words = wordsOf(scanAddresses(text.replace(MAILTO, '').replace(ROUTE, '')));
  return (words.find(({ raw }) => isAddress(raw)) ?? words[0])?.raw ?? '';
}

/** A word, as it is written and without quotes. Words on either side of a colon are in different groups. */
interface Word {
  raw: string;
  text: string;
  readonly group: number;
}

/** The words of text and quoted strings. White space around an `@` is obsolete syntax, and does not separate words. */
function wordsOf(parts: readonly AddressPart[]): Word[] {
  const words: Word[] = [];
  let group = 0;
  let glued = false;
  const push = (raw: string, text: string) => {
    const last = words.at(-1);
    const joins = glued || raw.startsWith('@') || last?.raw.endsWith('@');
    if (last?.group === group && joins) {
      last.raw += raw;
      last.text += text;
    } else words.push({ raw, text, group });
  };
  for (const { kind, raw, text } of parts) {
    if (kind === 'quoted') {
      push(raw, text);
      glued = true;
    } else if (kind === 'text') {
      for (const [index, word] of raw.split(/[\s>]+/).entries()) {
        if (index > 0) glued = false;
        if (word !== '') {
          push(word, word);
          glued = true;
        }
      }
    } else {
      if (kind !== 'comment') group++;
      glued = false;
    }
  }
  return words;
}

/** Whether a word has something on both sides of an `@`, which is not within quotes. */
function isAddress(word: string): boolean {
  const at = word.lastIndexOf('@');
  return at > 0 && at < word.length - 1 && !word.endsWith('"');
}

/** The text of a name, without comments; in a group, what follows its colon. */
function nameOf(parts: readonly AddressPart[], inGroup: boolean): string {
  const colon = inGroup ? parts.findLastIndex(({ kind }) => kind === 'colon') : -1;
  return joined(
    parts.slice(colon + 1).map(({ kind, text }) => {
      if (kind === 'angle') return '';
      return kind === 'comment' ? ' ' : kind === 'quoted' ? ` ${text} ` : text;
    }),
    '',
  );
}

function commentsOf(parts: readonly AddressPart[]): string {
  return joined(parts.filter(({ kind }) => kind === 'comment').map(({ text }) => text));
}

function joined(texts: readonly string[], separator = ' '): string {
  return texts.join(separator).trim().split(/\s+/).join(' ');
}
