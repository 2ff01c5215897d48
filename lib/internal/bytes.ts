/**
 * Text that keeps every byte (Python's surrogateescape).
 *
 * Mail contains bytes that are not UTF-8. In a string they become lone surrogates U+DC80..U+DCFF, and on the way out the
 * same bytes again, so that nothing is lost in between. The native side does the same in native/binding/text.cc.
 */
import { isUtf8 } from 'node:buffer';

const ESCAPE_BASE = 0xdc00;
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** The length of the well-formed UTF-8 sequence that starts at `at`, or 0 if there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number;
  if (lead < 0x80) return 1;
  let length: number;
  let low = 0x80;
  let high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead === 0xe0) low = 0xa0;
    if (lead === 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead === 0xf0) low = 0x90;
    if (lead === 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  for (let i = 1; i < length; i++) {
    const byte = bytes[at + i];
    if (byte === undefined || byte < low || byte > high) return 0;
    low = 0x80;
    high = 0xbf;
  }
  return length;
}

/** Decodes UTF-8; a byte that is not part of well-formed UTF-8 becomes U+DC00 plus its value. */
export function decodeBytes(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return utf8.decode(bytes);
  let text = '';
  let good = 0;
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    text += utf8.decode(bytes.subarray(good, at)) + String.fromCharCode(ESCAPE_BASE + (bytes[at] as number));
    good = ++at;
  }
  return text + utf8.decode(bytes.subarray(good));
}

const ESCAPED = /[\uD800-\uDFFF]/u;

/**
 * Encodes as UTF-8; U+DC80..U+DCFF become the bytes 0x80..0xFF again. Other lone surrogates, which decoded text never
 * contains, become U+FFFD as everywhere in JavaScript.
 */
export function encodeBytes(text: string): Buffer {
  if (!ESCAPED.test(text)) return Buffer.from(text, 'utf8');
  const pieces: Buffer[] = [];
  let plain = '';
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    if (code < 0xdc80 || code > 0xdcff) {
      plain += character;
      continue;
    }
    pieces.push(Buffer.from(plain, 'utf8'), Buffer.of(code - ESCAPE_BASE));
    plain = '';
  }
  pieces.push(Buffer.from(plain, 'utf8'));
  return Buffer.concat(pieces);
}
