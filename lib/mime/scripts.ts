/**
 * Removes scripts from HTML and leaves every other byte as it is.
 *
 * This is the tokenizer of the HTML standard (13.2.5), as far as it determines where tags, comments and text begin and end.
 * The tests compare it with parse5. The streaming parser of parse5 is not used here, because it creates an object for each
 * word, splits text at the end of its chunks, and needs quadratic time for a long run of `<svg>`.
 */

import { endianness } from 'node:os';
import { hasMatch } from './chunks.js';
import { decodeReferences } from './html-references.js';

/** Replaces each script. */
const WARNING = '<!-- WARNING: a script was removed here -->';

/** Characters as bytes, or as UTF-16 code units. A document is not converted to a string, which would be one more copy. */
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
const IFRAME = codesOf('iframe');
const SRCDOC = codesOf('srcdoc');
const SVG = codesOf('svg');
const MATH = codesOf('math');
/** Elements whose content is text until their end tag. */
const TEXTS: ReadonlyMap<string, readonly number[]> = new Map(
  ['iframe', 'noembed', 'noframes', 'noscript', 'style', 'textarea', 'title', 'xmp'].map((name) => [
    name,
    codesOf(name),
  ]),
);

/** Whether the characters at `at` begin with `name`, which is given in lower case, in any letter case. */
function beginsName(html: Characters, at: number, name: readonly number[]): boolean {
  for (let i = 0; i < name.length; i++) if (((html[at + i] as number) | 0x20) !== name[i]) return false;
  return true;
}

/** Whether the name at `at` is `name`, in any letter case. */
const isNamed = (html: Characters, at: number, name: readonly number[]): boolean =>
  beginsName(html, at, name) && endsName(html[at + name.length]);

const isCommentStart = (html: Characters, at: number): boolean =>
  html[at + 1] === BANG && html[at + 2] === DASH && html[at + 3] === DASH;

/** The index of the next end tag of this name at or after `at`, or the length if there is none. */
function endTag(html: Characters, at: number, name: readonly number[]): number {
  for (let found = html.indexOf(LESS, at); found >= 0; found = html.indexOf(LESS, found + 1))
    if (html[found + 1] === SLASH && isNamed(html, found + 2, name)) return found;
  return html.length;
}

/** The index after the tag whose name begins at `at`, its name, and whether it is closed. An unclosed one is not a tag. */
function tagEnd(html: Characters, at: number): [end: number, name: string, closed: boolean] {
  let i = at;
  while (i < html.length && !endsName(html[i])) i++;
  // The names that the callers compare it with have three to nine characters.
  const name = i - at < 3 || i - at > 9 ? '' : String.fromCharCode(...html.subarray(at, i)).toLowerCase();
  while (i < html.length) {
    const code = html[i];
    if (code === GREATER) return [i + 1, name, true];
    i = isBlank(code) || code === SLASH ? i + 1 : attributeEnd(html, i);
  }
  return [html.length, name, false];
}

/** The values of all attributes srcdoc in the tag from `at` to `end`. Each is a document of its own; most programs take the first. */
function* srcdocsOf(html: Characters, at: number, end: number): Generator<Buffer> {
  let i = at;
  while (i < end && !endsName(html[i])) i++;
  while (i < end && html[i] !== GREATER) {
    if (isBlank(html[i]) || html[i] === SLASH) {
      i++;
      continue;
    }
    const next = attributeEnd(html, i);
    const nameEnd = i + SRCDOC.length;
    if (beginsName(html, i, SRCDOC) && (endsName(html[nameEnd]) || html[nameEnd] === EQUALS)) {
      const value = html.subarray(i, next).indexOf(EQUALS); // Searching beyond `next` would take quadratic time.
      if (value >= 0) yield Buffer.from(decodeReferences(textOf(html, i + value + 1, next)));
    }
    i = next;
  }
}

function textOf(html: Characters, begin: number, end: number): string {
  const units = html.subarray(begin, end);
  return Buffer.from(units.buffer, units.byteOffset, units.byteLength).toString(
    units.BYTES_PER_ELEMENT === 1 ? 'latin1' : 'utf16le',
  );
}

/** Documents in documents that are followed. What is deeper counts as a script. */
const MAX_NESTING = 4;

/**
 * Whether the tag whose name begins at `at` is an iframe with a script in its srcdoc. Whatever looks like one is one: references in the
 * value decide where a comment or a text ends, and programs differ in which of them they know.
 */
function hasScriptInside(html: Characters, at: number, end: number, depth: number): boolean {
  if (!isNamed(html, at, IFRAME)) return false;
  for (const inner of srcdocsOf(html, at, end)) {
    if (!mayHaveScript(inner)) continue;
    if (depth >= MAX_NESTING || scriptsIn(inner, 0, inner.length, depth + 1).next().done !== true)
      return true;
  }
  return false;
}

/** The index after the attribute at `at`, including its value. */
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

/** The index after the comment whose `<!--` ends at `at`. `<!-->`, `<!--->` and `--!>` end a comment too. */
function commentEnd(html: Characters, at: number): number {
  if (html[at] === GREATER) return at + 1;
  if (html[at] === DASH && html[at + 1] === GREATER) return at + 2;
  for (let end = html.indexOf(GREATER, at); end >= 0; end = html.indexOf(GREATER, end + 1)) {
    const dashes = (html[end - 1] === BANG ? end - 1 : end) - 2;
    if (dashes >= at && html[dashes] === DASH && html[dashes + 1] === DASH) return end + 1;
  }
  return html.length;
}

/** The index after the end tag of the script whose start tag ends at `at`, or the length if there is none. */
function scriptEnd(html: Characters, at: number): number {
  let state: 'plain' | 'escaped' | 'nested' = 'plain';
  for (let i = at; i < html.length; i++) {
    const code = html[i];
    if (code === DASH) {
      if (html[i + 1] !== DASH || html[i + 2] !== GREATER) continue;
      state = 'plain';
      i += 2;
    } else if (code !== LESS) {
      // neither a tag nor a comment begins or ends here
    } else if (isCommentStart(html, i)) {
      if (state === 'plain') state = 'escaped';
      i++; // Its dashes may also be those of `-->`.
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
 * Everything that looks like a script between `from` and `to`, whether it is one or not. Used for text, because programs
 * differ in what they treat as text, and for documents with foreign content (SVG, MathML), where that depends on all open
 * elements.
 */
function* scriptsIn(
  html: Characters,
  from: number,
  to: number,
  depth: number,
  isXml = false,
): Generator<Range> {
  const text = html.subarray(from, to); // Searching beyond `to` would take quadratic time for many texts.
  let iframeEnd = 0; // In the tag of an iframe there is no other.
  for (let at = text.indexOf(LESS); at >= 0; at = text.indexOf(LESS, at)) {
    const begin = at++;
    if (at > iframeEnd && isNamed(text, at, IFRAME)) {
      [iframeEnd] = tagEnd(text, at);
      if (hasScriptInside(text, at, iframeEnd, depth)) {
        yield [from + begin, from + iframeEnd];
        at = iframeEnd;
        continue;
      }
    }
    if (isXml) at = afterPrefix(text, at);
    const nameEnd = at + SCRIPT.length;
    if (!beginsName(text, at, SCRIPT) || (nameEnd < text.length && !endsName(text[nameEnd]))) continue;
    const closing = endTag(text, nameEnd, SCRIPT);
    const end = closing < text.length ? text.indexOf(GREATER, closing) : -1;
    at = end < 0 ? text.length : end + 1;
    yield [from + begin, from + at];
  }
}

/** In XML, an element may be named `x:script`. @returns where the name begins without the prefix */
function afterPrefix(text: Characters, at: number): number {
  let i = at;
  while (isLetter(text[i]) || (text[i] as number) > 0x7f || isNameCode(text[i])) i++;
  return text[i] === 0x3a ? i + 1 : at;
}

/** A digit, `-`, `.` or `_`. */
const isNameCode = (code: number | undefined): boolean =>
  code !== undefined && ((code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2e || code === 0x5f);

/** The scripts in a document without foreign content. */
function* scriptsOf(html: Characters, depth: number): Generator<Range> {
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
        at = html.length; // plaintext has no end tag
        yield* scriptsIn(html, end, at, depth);
      } else if (TEXTS.has(name)) {
        if (name === 'iframe' && hasScriptInside(html, begin + 1, end, depth)) yield [begin, end];
        at = endTag(html, end, TEXTS.get(name) as readonly number[]);
        yield* scriptsIn(html, end, at, depth);
      }
    } else if (next === SLASH && isLetter(html[at + 2])) {
      at = tagEnd(html, at + 2)[0];
    } else if (next === BANG || next === QUESTION || next === SLASH) {
      const end = html.indexOf(GREATER, at + 2); // a declaration ends at the next `>`
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

function rangesOf(html: Characters, isXml: boolean, depth: number): Range[] {
  if (isXml || hasForeign(html)) return [...scriptsIn(html, 0, html.length, depth, isXml)];
  return [...scriptsOf(html, depth)];
}

/** Whether a text, in a character set that contains ASCII, has a script. */
export function hasScript(html: Buffer, isXml: boolean): boolean {
  return mayHaveScript(html) && rangesOf(html, isXml, 0).length > 0;
}

/** The beginning of a script, or of an iframe, which may have one in it; in UTF-16 too. */
const BEGINNING = /[<:](?:[Ss][Cc]|[Ii][Ff]|\0[Ss][\s\S][Cc]|\0[Ii][\s\S][Ff])/;
const BEGINNING_LENGTH = 5;

/** Whether the bytes may contain a script: `<script`, `:script`, or an iframe. This check is fast. */
export const mayHaveScript = (html: Buffer): boolean => hasMatch(html, BEGINNING, BEGINNING_LENGTH);

const ENTITY = '<!ENTITY';
/** What follows it, up to the end of the first quoted value, or without that to the next one. */
const ENTITY_VALUE = /^[^"'>]*(?:"([^"]*)("?)|'([^']*)('?))/;

/** Whether XML declares an entity with markup in it, or with references, which may become a script where it is used. */
export function declaresMarkup(xml: Buffer): boolean {
  if (!xml.includes(ENTITY)) return false;
  const [, ...declarations] = xml.toString('latin1').split(ENTITY);
  return declarations.some((declaration) => {
    const [, quoted, quote, single = '', apostrophe] = ENTITY_VALUE.exec(declaration) ?? [null, '', '"'];
    return (quote ?? apostrophe) === '' || /[<&]/.test(quoted ?? single);
  });
}

/** The byte order if the HTML is UTF-16 by its character set or its byte order mark (RFC 2781 4). */
function utf16(html: Buffer, charset: string): 'le' | 'be' | null {
  if (html[0] === 0xff && html[1] === 0xfe) return 'le';
  if (html[0] === 0xfe && html[1] === 0xff) return 'be';
  if (!/^utf-?16/.test(charset)) return null;
  return charset.endsWith('le') ? 'le' : 'be';
}

/** Whether {@link findScripts} takes HTML for UTF-16. */
export const isWide = (html: Buffer, charset: string): boolean => utf16(html, charset) !== null;

/** The byte ranges of the scripts in HTML, and what replaces each of them. */
export interface Scripts {
  readonly ranges: readonly Range[];
  readonly warning: Buffer;
}

/**
 * The scripts in HTML, or null if there are none. Ask {@link mayHaveScript} first: it is faster.
 *
 * @param charset in lower case; only UTF-16 makes a difference
 * @param isXml whether it is also read as XML, where elements may have prefixes
 */
export function findScripts(html: Buffer, charset: string, isXml: boolean): Scripts | null {
  const wide = utf16(html, charset);
  if (wide === null) {
    const ranges = rangesOf(html, isXml, 0);
    return ranges.length === 0 ? null : { ranges, warning: Buffer.from(WARNING) };
  }
  const units = new Uint16Array(html.length >> 1);
  const bytes = Buffer.from(units.buffer);
  bytes.set(html.subarray(0, bytes.length));
  if ((wide === 'be') === (endianness() === 'LE')) bytes.swap16();
  const ranges = rangesOf(units, isXml, 0).map(([begin, end]): Range => [2 * begin, 2 * end]);
  const warning = Buffer.from(WARNING, 'utf16le');
  return ranges.length === 0 ? null : { ranges, warning: wide === 'be' ? warning.swap16() : warning };
}

/**
 * Replaces each `<script>` element by a comment with a warning, and leaves every other byte as it is in any character set. Like
 * pymilter, it does not change attributes (`onclick`, `javascript:`).
 *
 * @param charset in lower case; only UTF-16 makes a difference
 * @returns null if there is no script
 */
export function removeScripts(html: Buffer, charset = ''): Buffer | null {
  const found = mayHaveScript(html) ? findScripts(html, charset, false) : null;
  return found && replaceRanges(html, found);
}

/** HTML with the warning in place of each script. */
export function replaceRanges(html: Buffer, { ranges, warning }: Scripts): Buffer {
  const pieces: Buffer[] = [];
  let done = 0;
  for (const [begin, end] of ranges) {
    pieces.push(html.subarray(done, begin), warning);
    done = end;
  }
  return Buffer.concat([...pieces, html.subarray(done)]);
}
