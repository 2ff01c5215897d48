/**
 * Takes scripts out of HTML, and leaves every other byte as it is.
 *
 * The tokenizer of the HTML standard (13.2.5), as far as it tells where tags, comments and texts begin and end. parse5 is what
 * the tests measure it by. Its stream is not used here: it makes an object of each word, cuts texts where its chunks end,
 * and takes quadratic time for a row of `<svg>`.
 */

import { endianness } from 'node:os';

/** What stands where a script was. */
const WARNING = '<!-- WARNING: a script was removed here -->';

/** Characters that are bytes, or those of UTF-16. No string is made of a document: that would be one more copy. */
type Characters = Uint8Array | Uint16Array;

const BANG = 0x21;
const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const DASH = 0x2d;
const SLASH = 0x2f;
const LESS = 0x3c;
const EQUALS = 0x3d;
const GREATER = 0x3e;
const QUESTION = 0x3f;

const isLetter = (code: number | undefined): boolean =>
  code !== undefined && (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
const isBlank = (code: number | undefined): boolean =>
  code === 0x20 || (code !== undefined && code >= 0x09 && code <= 0x0d && code !== 0x0b);
const endsName = (code: number | undefined): boolean => isBlank(code) || code === SLASH || code === GREATER;

const codesOf = (text: string): readonly number[] => [...Buffer.from(text)];
const SCRIPT = codesOf('script');
const SVG = codesOf('svg');
const MATH = codesOf('math');
/** Elements whose content is text up to their end tag. */
const TEXTS: ReadonlyMap<string, readonly number[]> = new Map(
  ['iframe', 'noembed', 'noframes', 'noscript', 'style', 'textarea', 'title', 'xmp'].map((name) => [
    name,
    codesOf(name),
  ]),
);

/** Whether a name in lower case, given in codes, stands at `at`, in any letter case. */
function beginsName(html: Characters, at: number, name: readonly number[]): boolean {
  for (let i = 0; i < name.length; i++) if (((html[at + i] as number) | 0x20) !== name[i]) return false;
  return true;
}

/** The same, and ends there. */
const isNamed = (html: Characters, at: number, name: readonly number[]): boolean =>
  beginsName(html, at, name) && endsName(html[at + name.length]);

const isCommentStart = (html: Characters, at: number): boolean =>
  html[at + 1] === BANG && html[at + 2] === DASH && html[at + 3] === DASH;

/** The index of the next `</name` at or behind `at` that ends there; the length where there is none. */
function endTag(html: Characters, at: number, name: readonly number[]): number {
  for (let found = html.indexOf(LESS, at); found >= 0; found = html.indexOf(LESS, found + 1))
    if (html[found + 1] === SLASH && isNamed(html, found + 2, name)) return found;
  return html.length;
}

/** The index behind the tag whose name begins at `at`, its name, and whether it has an end: without one, it is no tag. */
function tagEnd(html: Characters, at: number): [end: number, name: string, closed: boolean] {
  let i = at;
  while (i < html.length && !endsName(html[i])) i++;
  // Of the names that are asked for, the shortest has three characters, and the longest nine.
  const name = i - at < 3 || i - at > 9 ? '' : String.fromCharCode(...html.subarray(at, i)).toLowerCase();
  while (i < html.length) {
    const code = html[i];
    if (code === GREATER) return [i + 1, name, true];
    i = isBlank(code) || code === SLASH ? i + 1 : attributeEnd(html, i);
  }
  return [html.length, name, false];
}

/** The index behind the attribute at `at`, its value included. */
function attributeEnd(html: Characters, at: number): number {
  let i = at + 1; // An equals sign at the beginning is part of the name.
  while (i < html.length && !endsName(html[i]) && html[i] !== EQUALS) i++;
  while (isBlank(html[i])) i++;
  if (html[i] !== EQUALS) return i;
  i++;
  while (isBlank(html[i])) i++;
  const quote = html[i];
  if (quote === QUOTE || quote === APOSTROPHE) {
    const end = html.indexOf(quote, i + 1);
    return end < 0 ? html.length : end + 1;
  }
  while (i < html.length && !isBlank(html[i]) && html[i] !== GREATER) i++;
  return i;
}

/** The index behind the comment whose `<!--` ends at `at`. `<!-->`, `<!--->` and `--!>` end one too. */
function commentEnd(html: Characters, at: number): number {
  if (html[at] === GREATER) return at + 1;
  if (html[at] === DASH && html[at + 1] === GREATER) return at + 2;
  for (let end = html.indexOf(GREATER, at); end >= 0; end = html.indexOf(GREATER, end + 1)) {
    const dashes = (html[end - 1] === BANG ? end - 1 : end) - 2;
    if (dashes >= at && html[dashes] === DASH && html[dashes + 1] === DASH) return end + 1;
  }
  return html.length;
}

/** The index behind the end tag of the script whose start tag ends at `at`; the length where there is none. */
function scriptEnd(html: Characters, at: number): number {
  let state: 'plain' | 'escaped' | 'nested' = 'plain';
  for (let i = at; i < html.length; i++) {
    const code = html[i];
    if (code === DASH) {
      if (html[i + 1] !== DASH || html[i + 2] !== GREATER) continue;
      state = 'plain';
      i += 2;
    } else if (code !== LESS) {
      // no mark
    } else if (isCommentStart(html, i)) {
      if (state === 'plain') state = 'escaped';
      i++; // Its dashes may be those of `-->` as well.
    } else if (isNamed(html, i + 1, SCRIPT)) {
      if (state === 'escaped') state = 'nested';
    } else if (html[i + 1] === SLASH && isNamed(html, i + 2, SCRIPT)) {
      if (state !== 'nested') return tagEnd(html, i + 2)[0];
      state = 'escaped';
    }
  }
  return html.length;
}

type Range = readonly [begin: number, end: number];

/**
 * Whatever looks like a script between `from` and `to`, whether it is one or not. For texts, because programs differ in what
 * is text, and for documents with foreign content (SVG, MathML), where that depends on all that is open.
 */
function* scriptsIn(html: Characters, from: number, to: number): Generator<Range> {
  const text = html.subarray(from, to); // A search must not go beyond, or a row of texts would take quadratic time.
  for (let at = text.indexOf(LESS); at >= 0; at = text.indexOf(LESS, at)) {
    const begin = at++;
    const behind = at + SCRIPT.length;
    if (!beginsName(text, at, SCRIPT) || (behind < text.length && !endsName(text[behind]))) continue;
    const closing = endTag(text, behind, SCRIPT);
    const end = closing < text.length ? text.indexOf(GREATER, closing) : -1;
    at = end < 0 ? text.length : end + 1;
    yield [from + begin, from + at];
  }
}

/** The scripts of a document without foreign content. */
function* scriptsOf(html: Characters): Generator<Range> {
  for (let at = html.indexOf(LESS); at >= 0; at = html.indexOf(LESS, at)) {
    const begin = at;
    const next = html[at + 1];
    if (isCommentStart(html, at)) {
      at = commentEnd(html, at + 4);
    } else if (isLetter(next)) {
      const [end, name, closed] = tagEnd(html, at + 1);
      at = end;
      if (name === 'script' && closed) {
        at = scriptEnd(html, end);
        yield [begin, at];
      } else if (name === 'plaintext') {
        at = html.length; // it has no end
        yield* scriptsIn(html, end, at);
      } else if (TEXTS.has(name)) {
        at = endTag(html, end, TEXTS.get(name) as readonly number[]);
        yield* scriptsIn(html, end, at);
      }
    } else if (next === SLASH && isLetter(html[at + 2])) {
      at = tagEnd(html, at + 2)[0];
    } else if (next === BANG || next === QUESTION || next === SLASH) {
      const end = html.indexOf(GREATER, at + 2); // a declaration, whatever is in it
      at = end < 0 ? html.length : end + 1;
    } else {
      at++;
    }
  }
}

function hasForeign(html: Characters): boolean {
  for (let at = html.indexOf(LESS); at >= 0; at = html.indexOf(LESS, at + 1))
    if (isNamed(html, at + 1, SVG) || isNamed(html, at + 1, MATH)) return true;
  return false;
}

function rangesOf(html: Characters): Range[] {
  return [...(hasForeign(html) ? scriptsIn(html, 0, html.length) : scriptsOf(html))];
}

/** Whether the bytes may have a script: quick, and without a copy. */
export function mayHaveScript(html: Uint8Array): boolean {
  for (let at = 0; at < html.length; at++) {
    if (html[at] !== 0x3c) continue;
    const step = html[at + 1] === 0 ? 2 : 1;
    if (((html[at + step] as number) | 0x20) === 0x73 && ((html[at + 2 * step] as number) | 0x20) === 0x63)
      return true; // <sc
  }
  return false;
}

/** UTF-16 by the name of the character set or a byte order mark, which mail must not use in text (RFC 2781 4). */
function utf16(html: Buffer, charset: string): 'le' | 'be' | null {
  if (html[0] === 0xff && html[1] === 0xfe) return 'le';
  if (html[0] === 0xfe && html[1] === 0xff) return 'be';
  if (!/^utf-?16/.test(charset)) return null;
  return charset.endsWith('le') ? 'le' : 'be';
}

/** Where the scripts of HTML are, in bytes, and what stands in the place of each. */
export interface Scripts {
  readonly ranges: readonly Range[];
  readonly warning: Buffer;
}

/** The scripts of HTML, null where there is none. @param charset in lower case; matters for UTF-16 only */
export function findScripts(html: Buffer, charset: string): Scripts | null {
  if (!mayHaveScript(html)) return null;
  const wide = utf16(html, charset);
  if (wide === null) {
    const ranges = rangesOf(html);
    return ranges.length === 0 ? null : { ranges, warning: Buffer.from(WARNING) };
  }
  const units = new Uint16Array(html.length >> 1);
  const bytes = Buffer.from(units.buffer);
  bytes.set(html.subarray(0, bytes.length));
  if ((wide === 'be') === (endianness() === 'LE')) bytes.swap16();
  const ranges = rangesOf(units).map(([begin, end]): Range => [2 * begin, 2 * end]);
  const warning = Buffer.from(WARNING, 'utf16le');
  return ranges.length === 0 ? null : { ranges, warning: wide === 'be' ? warning.swap16() : warning };
}

/**
 * HTML without its `<script>` elements, a warning comment in the place of each; every other byte is as it was, whatever the
 * character set. Attributes (`onclick`, `javascript:`) are left alone, as by pymilter.
 *
 * @param charset in lower case; matters for UTF-16 only
 * @returns null where there is none
 */
export function removeScripts(html: Buffer, charset = ''): Buffer | null {
  const found = findScripts(html, charset);
  if (!found) return null;
  const pieces: Buffer[] = [];
  let done = 0;
  for (const [begin, end] of found.ranges) {
    pieces.push(html.subarray(done, begin), found.warning);
    done = end;
  }
  return Buffer.concat([...pieces, html.subarray(done)]);
}
