/** Removal of scripts from HTML that has a transfer encoding. */
import type { ByteSource } from './byte-source.js';
import { otherTexts } from './charset-readings.js';
import { SOFT_ENDS, without } from './left-out.js';
import { isSmallerAsBase64 } from './quoted-printable.js';
import type { Allocate, ReusableBuffer } from './reusable-buffer.js';
import {
  declaresMarkup,
  findScripts,
  hasScript,
  isWide,
  mayHaveScript,
  replaceRanges,
  type Scripts,
} from './scripts.js';
import { decodeContent, encoded } from './transfer-encoding.js';

/** HTML as a part of a message has it. */
export interface EncodedHtml {
  readonly body: readonly Buffer[];
  /** Its Content-Transfer-Encoding. */
  readonly encoding: string;
  readonly charset: string;
  /** All character sets that are given. */
  readonly charsets: readonly string[];
  /** Whether it is also read as XML. */
  readonly isXml: boolean;
  /** Whether lines that end in a blank are joined without it (`delsp=yes`, RFC 3676 4.1), which is meant for text, but done to HTML too. */
  readonly isJoined: boolean;
  /** What other programs decode the body to. */
  otherContents(): Iterable<Buffer>;
  /** How its lines end. */
  readonly lineBreak: string;
}

/** HTML of at least this size is encoded as base64 if quoted-printable would be much larger. */
const LARGE_HTML = 1024 * 1024;
/** The HTML is copied in blocks of this size. */
const HTML_BLOCK = 32 * 1024;
const EMPTY = Buffer.alloc(0);

/** What is written in place of HTML with scripts, and its encoding. */
export interface ScriptlessHtml {
  readonly encoding: 'base64' | 'quoted-printable';
  readonly body: ByteSource;
}

/**
 * Removes the scripts from HTML. The result is decoded and encoded again while it is written. If another program would still
 * see a script, because it decodes the HTML otherwise, it is `hidden`.
 *
 * @param buffer where the HTML is decoded
 * @param maxSize HTML with scripts that is larger when decoded is left alone
 */
export function withoutScripts(
  source: EncodedHtml,
  buffer: ReusableBuffer,
  maxSize: number,
): ScriptlessHtml | 'nothing' | 'too large' | 'hidden' {
  const { body, encoding, charset, isXml, lineBreak } = source;
  const size = body.reduce((sum, { length }) => sum + length, 0);
  // Only uuencode can decode to more than its encoded size; decoding stops there.
  const decodedLimit = Math.max(maxSize, size);
  const decode = (allocate: Allocate): Buffer =>
    decodeContent(encoding, body, decodedLimit, allocate) ??
    decodeContent('', body, decodedLimit, allocate) ??
    EMPTY;
  const owner = {};
  const html = buffer.content(owner, decode);
  if (html.length > decodedLimit) return 'too large';
  const mayHave = mayHaveScript(html);
  if (mayHave && html.length > maxSize) return 'too large';
  const found = mayHave ? findScripts(html, charset, isXml) : null;
  if (hidesScript(html, found, source)) return html.length > maxSize ? 'too large' : 'hidden';
  if (!found) return 'nothing';
  const { ranges, warning } = found;
  const total = html.length;
  /** Yields copies, because another part may decode into the same buffer between two blocks. */
  const scriptless = function* (): Generator<Buffer> {
    const block = Buffer.allocUnsafe(Math.min(HTML_BLOCK, total));
    let done = 0;
    for (const [begin, end] of [...ranges, [total, total] as const]) {
      for (; done < begin; done += block.length) {
        const content = buffer.content(owner, decode);
        const length = content.copy(block, 0, done, Math.min(begin, done + block.length));
        yield block.subarray(0, length);
      }
      if (begin < total) yield warning;
      done = end;
    }
  };
  const target = total >= LARGE_HTML && isSmallerAsBase64(html) ? 'base64' : 'quoted-printable';
  const maxLength = total + ranges.length * warning.length;
  return { encoding: target, body: encoded(target, maxLength, scriptless, lineBreak) };
}

/** Whether some program sees a script that is not among those found. */
function hidesScript(html: Buffer, found: Scripts | null, source: EncodedHtml): boolean {
  const { charset, charsets, isXml } = source;
  const isHarmful = (text: Buffer): boolean => hasScript(text, isXml) || (isXml && declaresMarkup(text));
  if (isXml && declaresMarkup(html)) return true;
  const joinedTexts = function* (bytes: Buffer): Generator<Buffer> {
    const joined = source.isJoined ? without(bytes, SOFT_ENDS) : null;
    if (!joined) return;
    yield joined;
    yield* otherTexts(joined, charsets);
  };
  const textsOf = function* (bytes: Buffer): Generator<Buffer> {
    if (isWide(html, charset)) yield bytes; // to programs that do not believe that it is UTF-16
    yield* otherTexts(bytes, charsets);
    yield* joinedTexts(bytes);
  };
  // What was found is removed from a copy, which is made only if there is another reading.
  if (!found || textsOf(html).next().done !== true) {
    const clean = found ? replaceRanges(html, found) : html;
    for (const text of textsOf(clean)) if (isHarmful(text)) return true;
  }
  // With scripts removed, the content is encoded anew, in an encoding that is read in one way only.
  for (const content of found ? [] : source.otherContents()) {
    if (isHarmful(content)) return true;
    for (const text of otherTexts(content, charsets)) if (isHarmful(text)) return true;
    for (const text of joinedTexts(content)) if (isHarmful(text)) return true;
  }
  return false;
}
