/** The Received-SPF header (RFC 7208 9.1). */
import { printable } from './text.js';
import type { SpfIdentity, SpfResultName } from './types.js';

/** What the header tells. */
export interface Findings {
  readonly result: SpfResultName;
  /** A sentence for people. */
  readonly comment: string;
  readonly receiver: string;
  readonly identity: SpfIdentity;
  readonly ip: string;
  /** Null where it is not what was checked. */
  readonly sender: string | null;
  readonly helo: string;
  readonly mechanism: string | null;
  readonly problem: string | null;
}

/** RFC 5322 2.1.1: what a line should keep to. No word here is so long that it could not keep to 998, which it must. */
const LINE = 78;
const NAME = 'Received-SPF: ';
const MAX_VALUE_LENGTH = 320;
const MAX_COMMENT_LENGTH = 900;

/** Each character is of one part only, so nothing is read twice. */
const DOT_ATOM = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/i;

/** The header's value. Nothing of what a stranger has said can end a comment, a quotation or a line. */
export function receivedSpf(findings: Findings): string {
  const { result, comment } = findings;
  const pairs = pairsOf(findings).filter((pair): pair is [string, string] => pair[1] !== null);
  const last = pairs.length - 1;
  const list = pairs.map(([key, value], at) => `${key}=${word(value)}${at < last ? ';' : ''}`);
  return folded([result, ...inBrackets(comment), ...list]);
}

/** The keys of RFC 7208 9.1; one whose value is null is left out. */
function pairsOf(findings: Findings): [key: string, value: string | null][] {
  const { result, receiver, identity, ip, sender, helo, mechanism, problem } = findings;
  return [
    ['receiver', receiver],
    ['identity', identity],
    ['client-ip', ip],
    ['envelope-from', sender],
    ['helo', helo],
    // A record that none of its mechanisms decides has "default" for one.
    ['mechanism', result === 'neutral' ? (mechanism ?? 'default') : mechanism],
    ['problem', problem],
  ];
}

/** The words of a comment; without empty ones, or a line might have nothing but white space. */
function inBrackets(comment: string): string[] {
  const text = printable(comment, MAX_COMMENT_LENGTH).replace(/[()\\]/g, '\\$&');
  return `(${text})`.split(' ').filter((word) => word !== '');
}

function word(value: string): string {
  const text = printable(value, MAX_VALUE_LENGTH);
  return DOT_ATOM.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** Line breaks as `addheader` takes them: a LF alone, and white space behind it. */
function folded(words: readonly string[]): string {
  let text = '';
  let column = NAME.length;
  for (const word of words) {
    const breaks = text !== '' && column + 1 + word.length > LINE;
    if (text !== '') text += breaks ? '\n\t' : ' ';
    column = (breaks ? 0 : column) + 1 + word.length;
    text += word;
  }
  return text;
}
