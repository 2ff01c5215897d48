/**
 * Takes scripts out of HTML, and leaves every other byte as it is.
 *
 * The tokenizer of the HTML standard (13.2.5), as far as it tells where tags, comments and texts begin and end. parse5 is what
 * the tests measure it by. Its stream is not used here: it makes an object of each word, cuts texts where its chunks end,
 * and takes quadratic time for a row of `<svg>`.
 */

/** What stands where a script was. */
const WARNING = '<!-- WARNING: a script was removed here -->';

/** Elements whose content is text up to their end tag. */
const TEXT_ENDS: ReadonlyMap<string, RegExp> = new Map(
  ['iframe', 'noembed', 'noframes', 'noscript', 'style', 'textarea', 'title', 'xmp'].map((name) => [
    name,
    new RegExp(`</${name}(?=[\\t\\n\\f\\r />])`, 'gi'),
  ]),
);

const SLASH = 0x2f;
const GREATER = 0x3e;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const APOSTROPHE = 0x27;

const isLetter = (code: number): boolean => (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
const isBlank = (code: number): boolean => code === 0x20 || (code >= 0x09 && code <= 0x0d && code !== 0x0b);

/** The index behind the tag whose name begins at `at`, its name, and whether it has an end: without one, it is no tag. */
function tagEnd(html: string, at: number): [end: number, name: string, closed: boolean] {
  let i = at;
  for (; i < html.length; i++) {
    const code = html.charCodeAt(i);
    if (isBlank(code) || code === SLASH || code === GREATER) break;
  }
  const name = html.slice(at, Math.min(i, at + 12)).toLowerCase();
  while (i < html.length) {
    const code = html.charCodeAt(i);
    if (code === GREATER) return [i + 1, name, true];
    i = isBlank(code) || code === SLASH ? i + 1 : attributeEnd(html, i);
  }
  return [html.length, name, false];
}

/** The index behind the attribute at `at`, its value included. */
function attributeEnd(html: string, at: number): number {
  let i = at + 1; // An equals sign at the beginning is part of the name.
  for (; i < html.length; i++) {
    const code = html.charCodeAt(i);
    if (isBlank(code) || code === SLASH || code === GREATER || code === EQUALS) break;
  }
  while (isBlank(html.charCodeAt(i))) i++;
  if (html.charCodeAt(i) !== EQUALS) return i;
  i++;
  while (isBlank(html.charCodeAt(i))) i++;
  const quote = html.charCodeAt(i);
  if (quote === QUOTE || quote === APOSTROPHE) {
    const end = html.indexOf(html[i] as string, i + 1);
    return end < 0 ? html.length : end + 1;
  }
  while (i < html.length && !isBlank(html.charCodeAt(i)) && html.charCodeAt(i) !== GREATER) i++;
  return i;
}

/** The index behind the comment whose `<!--` ends at `at`. `<!-->`, `<!--->` and `--!>` end one too. */
function commentEnd(html: string, at: number): number {
  if (html[at] === '>') return at + 1;
  if (html.startsWith('->', at)) return at + 2;
  const ends = /--!?>/g;
  ends.lastIndex = at;
  return ends.test(html) ? ends.lastIndex : html.length;
}

/** The index behind the end tag of the script whose start tag ends at `at`; the length where there is none. */
function scriptEnd(html: string, at: number): number {
  const marks = /<!--|-->|<\/?script(?=[\t\n\f\r />])/gi;
  marks.lastIndex = at;
  let state: 'plain' | 'escaped' | 'nested' = 'plain';
  for (let mark = marks.exec(html); mark; mark = marks.exec(html)) {
    const text = mark[0].toLowerCase();
    if (text === '-->') state = 'plain';
    else if (text === '<!--') {
      if (state === 'plain') state = 'escaped';
      marks.lastIndex -= 2; // Its dashes may be those of `-->` as well.
    } else if (text === '<script') {
      if (state === 'escaped') state = 'nested';
    } else if (state === 'nested') state = 'escaped';
    else return tagEnd(html, mark.index + 2)[0];
  }
  return html.length;
}

type Range = readonly [begin: number, end: number];

/**
 * Whatever looks like a script between `from` and `to`, whether it is one or not. For texts, because programs differ in what
 * is text, and for documents with foreign content (SVG, MathML), where that depends on all that is open.
 */
function* scriptsIn(html: string, from: number, to: number): Generator<Range> {
  const text = html.slice(from, to); // A search must not go beyond, or a row of texts would take quadratic time.
  const begins = /<script(?=[\t\n\f\r />]|$)/gi;
  const closing = /<\/script(?=[\t\n\f\r />])/gi;
  for (let begin = begins.exec(text); begin; begin = begins.exec(text)) {
    closing.lastIndex = begins.lastIndex;
    const end = closing.test(text) ? text.indexOf('>', closing.lastIndex) + 1 : 0;
    begins.lastIndex = end > 0 ? end : text.length;
    yield [from + begin.index, from + begins.lastIndex];
  }
}

/** The scripts of a document without foreign content. */
function* scriptsOf(html: string): Generator<Range> {
  for (let at = html.indexOf('<'); at >= 0; at = html.indexOf('<', at)) {
    const begin = at;
    const next = html[at + 1] ?? '';
    if (html.startsWith('<!--', at)) {
      at = commentEnd(html, at + 4);
    } else if (isLetter(html.charCodeAt(at + 1))) {
      const [end, name, closed] = tagEnd(html, at + 1);
      at = end;
      if (name === 'script' && closed) {
        at = scriptEnd(html, end);
        yield [begin, at];
      } else if (name === 'plaintext' || TEXT_ENDS.has(name)) {
        at = textEnd(html, end, name);
        yield* scriptsIn(html, end, at);
      }
    } else if (next === '/' && isLetter(html.charCodeAt(at + 2))) {
      at = tagEnd(html, at + 2)[0];
    } else if (next === '!' || next === '?' || next === '/') {
      const end = html.indexOf('>', at + 2); // a declaration, whatever is in it
      at = end < 0 ? html.length : end + 1;
    } else {
      at++;
    }
  }
}

/** Where a text that begins at `at` ends: at its element's end tag, or with the document. */
function textEnd(html: string, at: number, name: string): number {
  const ends = TEXT_ENDS.get(name);
  if (!ends) return html.length; // plaintext has no end
  ends.lastIndex = at;
  return ends.exec(html)?.index ?? html.length;
}

const FOREIGN = /<(?:svg|math)(?=[\t\n\f\r />])/i;

function rangesOf(html: string): Range[] {
  return [...(FOREIGN.test(html) ? scriptsIn(html, 0, html.length) : scriptsOf(html))];
}

/** The bytes without the ranges, `warning` in the place of each. No string is made of them: that would be one more copy. */
function without(bytes: Buffer, ranges: readonly Range[], bytesOfAUnit: 1 | 2, warning: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let done = 0;
  for (const [begin, end] of ranges) {
    pieces.push(bytes.subarray(done, begin * bytesOfAUnit), warning);
    done = end * bytesOfAUnit;
  }
  return Buffer.concat([...pieces, bytes.subarray(done)]);
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

/**
 * HTML without its `<script>` elements, a warning comment in the place of each; every other byte is as it was, whatever the
 * character set. Attributes (`onclick`, `javascript:`) are left alone, as by pymilter.
 *
 * @param charset in lower case; matters for UTF-16 only
 * @returns null where there is none
 */
export function removeScripts(html: Buffer, charset = ''): Buffer | null {
  if (!mayHaveScript(html)) return null;
  const wide = utf16(html, charset);
  if (wide === null) {
    const ranges = rangesOf(html.toString('latin1'));
    return ranges.length === 0 ? null : without(html, ranges, 1, Buffer.from(WARNING));
  }
  const units = Buffer.from(html.subarray(0, html.length - (html.length % 2)));
  if (wide === 'be') units.swap16();
  const ranges = rangesOf(units.toString('utf16le'));
  const warning = Buffer.from(WARNING, 'utf16le');
  return ranges.length === 0 ? null : without(html, ranges, 2, wide === 'be' ? warning.swap16() : warning);
}
