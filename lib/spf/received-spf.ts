/** The Received-SPF header (RFC 7208 9.1). */
import { printable } from './text.js';
import type { SpfIdentity, SpfResultName } from './types.js';

/** What the header says. */
export interface Findings {
  readonly result: SpfResultName;
  /** A sentence for human readers. */
  readonly comment: string;
  readonly receiver: string;
  readonly identity: SpfIdentity;
  readonly ip: string;
  /** Null if the HELO name was checked. */
  readonly sender: string | null;
  readonly helo: string;
  readonly mechanism: string | null;
  readonly problem: string | null;
}

/** Lines should not exceed 78 characters (RFC 5322 2.1.1). The length of each word is limited, so none reaches the hard limit of 998. */
const LINE_LENGTH = 78;
const NAME = 'Received-SPF: ';
const MAX_VALUE_LENGTH = 320;
const MAX_COMMENT_LENGTH = 900;

/** Each character can match only one part of the expression, so there is no backtracking. */
const DOT_ATOM = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/i;

/** The header's value. Untrusted text in it cannot end a comment, a quoted string or a line. */
export function receivedSpf(findings: Findings): string {
  const { result, comment } = findings;
  const pairs = pairsOf(findings).filter((pair): pair is [string, string] => pair[1] !== null);
  const last = pairs.length - 1;
  const list = pairs.map(([key, value], at) => `${key}=${word(value)}${at < last ? ';' : ''}`);
  return folded([result, ...commentWords(comment), ...list]);
}

/** The keys of RFC 7208 9.1. Those whose value is null are omitted. */
function pairsOf(findings: Findings): [key: string, value: string | null][] {
  const { result, receiver, identity, ip, sender, helo, mechanism, problem } = findings;
  return [
    ['receiver', receiver],
    ['identity', identity],
    ['client-ip', ip],
    ['envelope-from', sender],
    ['helo', helo],
    // "default" stands for a record in which no mechanism matched.
    ['mechanism', result === 'neutral' ? (mechanism ?? 'default') : mechanism],
    ['problem', problem],
  ];
}

/** The words of a comment. Empty words are removed, because a line must not consist of white space only. */
function commentWords(comment: string): string[] {
  const text = printable(comment, MAX_COMMENT_LENGTH).replace(/[()\\]/g, '\\$&');
  return `(${text})`.split(' ').filter((word) => word !== '');
}

function word(value: string): string {
  const text = printable(value, MAX_VALUE_LENGTH);
  return DOT_ATOM.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** Folds the value as `addheader` expects it: a LF without CR, followed by white space. */
function folded(words: readonly string[]): string {
  let text = '';
  let column = NAME.length;
  for (const word of words) {
    const breaks = text !== '' && column + 1 + word.length > LINE_LENGTH;
    if (text !== '') text += breaks ? '\n\t' : ' ';
    column = (breaks ? 0 : column) + 1 + word.length;
    text += word;
  }
  return text;
}
