/**
 * The readings of a name. Mail programs differ in what they decode, where a name ends for them, and which characters they
 * drop. Each function here is one such difference; a name is read with all of them.
 */
import { encodeBytes } from '../internal/bytes.js';
import { withoutAtEnd } from '../internal/trim-end.js';
import { decodeWords, type WordReader } from '../utils/encoded-words.js';
import { asciiOf, decodeOdd, decodeText, decodeUtf7, ODD_LABEL } from './charset-text.js';
import { extensionOf } from './extensions.js';
import { decodeReferences } from './html-references.js';

/** An encoded word as loosely as it is read: without an end, with blanks in it, in any character set. */
const WORD = /=\?([^?\s]*)\?([bq])\?([^?]*)(?:\?=|\?|$)/gi;

const skipJunk = (text: string): Buffer => Buffer.from(text.replace(/[^A-Za-z0-9+/]/g, ''), 'base64');
/** Node's decoder also knows the alphabet for URLs, with `-` and `_`. */
const urlAlphabet = (text: string): Buffer => Buffer.from(text.replace(/[^\w+/-]/g, ''), 'base64');

const ANY_CHARSET = { pattern: WORD, knows: () => true };
const USUAL: WordReader = { ...ANY_CHARSET, base64: skipJunk, decode: decodeText };
const URL_ALPHABET: WordReader = { ...ANY_CHARSET, base64: urlAlphabet, decode: decodeText };
const AS_ASCII: WordReader = { ...ANY_CHARSET, base64: skipJunk, decode: asciiOf };
const BY_ODD_LABEL: WordReader = {
  pattern: WORD,
  knows: (charset) => ODD_LABEL.test(charset),
  base64: skipJunk,
  decode: decodeOdd,
};

/** A word in base64 with a character of the alphabet for URLs. */
const URL_WORD = /\?b\?[^?]*[-_]/i;
/** Words that are ASCII in every character set: in the Q encoding, in a character set that contains ASCII, without controls. */
const ASCII_WORDS = /^(?:[ -<>-~]|=(?!\?|[01][0-9a-f])|=\?(?:utf-8|us-ascii|iso-8859-\d+)\?q\?)*$/i;

/** The ways to read the words in a name that may differ. */
function readersOf(name: string): WordReader[] {
  const readers = [USUAL];
  if (URL_WORD.test(name)) readers.push(URL_ALPHABET);
  if (!ASCII_WORDS.test(name)) readers.push(AS_ASCII, BY_ODD_LABEL);
  return readers;
}

/** Bytes that `%xx` stands for, as UTF-8 or latin1. */
export function percentDecoded(text: string, charset = ''): string {
  if (!text.includes('%')) return text;
  const bytes = encodeBytes(text)
    .toString('latin1')
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return decodeText(Buffer.from(bytes, 'latin1'), charset);
}

/** Removes comments (RFC 5322 3.2.2), nested ones too. One that is not closed goes to the end. */
export function withoutComments(text: string): string {
  if (!text.includes('(')) return text;
  let kept = '';
  /** Where the text begins that has not been kept yet. */
  let begin = 0;
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '\\' && (quoted || depth > 0)) at++;
    else if (character === '"' && depth === 0) quoted = !quoted;
    else if (character === '(' && !quoted) {
      if (depth === 0) kept += text.slice(begin, at);
      depth++;
    } else if (character === ')' && depth > 0) {
      depth--;
      begin = at + 1;
    }
  }
  return depth === 0 ? kept + text.slice(begin) : kept;
}

const before = (text: string, mark: string): string => {
  const at = text.indexOf(mark);
  return at < 0 ? text : text.slice(0, at);
};

/** The letters that a code page without these has for them: without marks, and those whose capital is ASCII (`ı`, `ſ`). */
const bestFit = (name: string): string =>
  name.normalize('NFKD').replace(/\p{M}/gu, '').toUpperCase().toLowerCase();

/** The other readings of a name, one step each. They apply to each other's results. */
const STEPS: readonly ((name: string) => readonly string[])[] = [
  (name) => (name.includes('%') ? [percentDecoded(name)] : []),
  (name) => (/\+A/.test(name) ? [decodeUtf7(name)] : []),
  // Ideographic and full-width forms, and letters with marks, which Windows maps to ASCII where a code page has no better.
  (name) => (/[^\0-\x7f]/.test(name) ? [name.normalize('NFKC'), bestFit(name)] : []),
  // HZ (RFC 1843): what switches between character sets; and characters as HTML writes them.
  (name) => (/~[{}]/.test(name) ? [name.replace(/~[{}]/g, '')] : []),
  (name) => (/&#[0-9x]/i.test(name) ? [decodeReferences(name)] : []),
  (name) => (name.includes('\0') ? [before(name, '\0'), name.replaceAll('\0', '')] : []),
  (name) => (/[\r\n]/.test(name) ? [(name.split(/[\r\n]/, 1)[0] as string).trim()] : []),
  (name) => (/[^\x20-\x7e]/.test(name) ? [name.replace(/[\p{C}\p{DI}]/gu, '')] : []),
  (name) => (name.includes('(') ? [withoutComments(name).trim(), before(name, '(').trim()] : []),
  // An alternate stream of NTFS (`a.exe::$DATA`), or the end of a name for programs that cut at a colon.
  (name) => (name.includes(':') ? [name.slice(0, name.indexOf(':', name.lastIndexOf('\\') + 3))] : []),
  // Windows allows none of these in a name, so programs leave them out, or what follows.
  (name) => (/[?*|<>]/.test(name) ? [name.replace(/[?*|<>]/g, ''), before(name, '?')] : []),
  (name) => (/["'`<>/\\]$/.test(name) ? [withoutAtEnd(name, '"\'`<>/\\')] : []),
];

/** What gives a name several readings, because it is decoded, dropped, or an end. */
const ODD = /[^\w \-.@#$!^,;={}[\]&~]|&#|~[{}]|=\?/;
/** Readings that are tried of one name. */
const MAX_READINGS = 64;

/** An extension that matters: one letter is not enough to open a file with something. */
const EXTENSION = /^[a-z0-9][a-z0-9_-]{1,24}$/;

/** Whether a name has one reading only. */
export const isPlainName = (name: string): boolean => !ODD.test(name);

/** A longer name is not decoded: no file is named so. */
export const MAX_NAME_LENGTH = 4096;

/** The usual reading of a name. */
export const usualName = (name: string): string =>
  name.includes('=?') && name.length <= MAX_NAME_LENGTH ? decodeWords(name, USUAL) : name;

/**
 * Adds what encoded words decode to, and what the words in that decode to. What has been decoded once is not decoded again.
 *
 * @param first whose usual reading is known
 */
function addDecodedWords(found: Set<string>, first: string): void {
  const decoded = new Set<string>();
  for (let round = 0; round < 2; round++) {
    for (const name of [...found]) {
      if (decoded.has(name) || !name.includes('=?')) continue;
      decoded.add(name);
      for (const reader of readersOf(name))
        if (found.size < MAX_READINGS && (name !== first || reader !== USUAL))
          found.add(decodeWords(name, reader));
    }
  }
}

/** The readings of a name; the first is the usual one. */
export function readingsOfName(name: string): string[] {
  if (isPlainName(name)) return [name];
  const found = new Set([usualName(name), name]);
  addDecodedWords(found, name);
  for (const step of STEPS) {
    for (const each of [...found])
      for (const reading of step(each)) if (found.size < MAX_READINGS) found.add(reading);
  }
  return [...found];
}

/** Characters that separate the type and the parameters of a field from each other. */
const SEPARATORS = /[=;/"]/g;
const separatorsIn = (text: string): number => text.match(SEPARATORS)?.length ?? 0;

/**
 * A field's value as it is to programs that decode its encoded words before they look for anything in it. The value itself if these
 * find the same, because no word has a separator in it.
 */
export function decodedValue(value: string): string {
  if (!value.includes('=?')) return value;
  const decoded = decodeWords(value, USUAL);
  return separatorsIn(decoded) > separatorsIn(value.replace(WORD, '')) ? decoded : value;
}

/** Of more different names in the fields of a message that have several readings, the rest is not read. */
const MAX_ODD_NAMES = 300;

/** A name with several readings: the usual one, and all that have an extension, each with another one. */
interface OddName {
  readonly usual: string;
  readonly readings: readonly string[];
}

const NONE: ReadonlySet<string> = new Set();

/** Limits how many names with several readings are read, in all fields of one kind of a message. */
export class NameBudget {
  readonly #known = new Map<string, OddName>();

  /** A name and its readings; null if it is too long, or there were too many before it. */
  read(name: string): OddName | null {
    const known = this.#known.get(name);
    if (known) return known;
    if (name.length > MAX_NAME_LENGTH || this.#known.size >= MAX_ODD_NAMES) return null;
    const readings = readingsOfName(name);
    const odd = { usual: readings[0] as string, readings: withNewExtensions([], readings) };
    this.#known.set(name, odd);
    return odd;
  }
}

/**
 * The names themselves, and the other readings of those that are odd, if these have another extension.
 *
 * @param directories those of the names that are no files: a directory may be called like a domain
 */
export function withReadings(names: readonly string[], directories: ReadonlySet<string> = NONE): string[] {
  const odd = names.filter(
    (name) => !isPlainName(name) && name.length <= MAX_NAME_LENGTH && !directories.has(name),
  );
  if (odd.length === 0) return [...names];
  return [...names, ...withNewExtensions(names, readingsOfEach(odd.slice(0, MAX_ODD_NAMES)))];
}

/** The readings of one name after the other, because all of them together may be large. */
function* readingsOfEach(names: readonly string[]): Generator<string> {
  for (const name of names) yield* readingsOfName(name);
}

/** Those of `others` that have an extension which no name before them has. */
export function withNewExtensions(names: readonly string[], others: Iterable<string>): string[] {
  const known = new Set(names.map(extensionOf));
  const added: string[] = [];
  for (const name of others) {
    const extension = extensionOf(name);
    if (!EXTENSION.test(extension) || known.has(extension)) continue;
    known.add(extension);
    added.push(name);
  }
  return added;
}
