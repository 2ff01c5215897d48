/** How a handler gets text that is not UTF-8: the policies of @decode. */
import { isUtf8 } from 'node:buffer';
import { encodeBytes } from '../internal/bytes.js';

/** The policies of {@link decode}, in Python's words where Python has one. */
export const DECODE_POLICIES = ['surrogateescape', 'bytes', 'strict', 'ignore', 'replace'] as const;

/**
 * - `surrogateescape`: a string; bytes that are not UTF-8 are U+DC80..U+DCFF and turn back into the same bytes when
 *   the string is sent. The default.
 * - `bytes`: always a Buffer.
 * - `strict`: a string where it is UTF-8, else a Buffer.
 * - `ignore`: a string without the bytes that are not UTF-8.
 * - `replace`: a string with U+FFFD for each of them.
 */
export type DecodePolicy = (typeof DECODE_POLICIES)[number];

const ESCAPED_BYTES = /[\uDC80-\uDCFF]/gu;

/** Turns text as the native side decoded it (surrogateescape) into what a policy asks for. */
export function decodeAs(policy: DecodePolicy, text: string): string | Buffer {
  switch (policy) {
    case 'bytes':
      return encodeBytes(text);
    case 'strict': {
      const bytes = encodeBytes(text);
      return isUtf8(bytes) ? text : bytes;
    }
    case 'ignore':
      return text.replace(ESCAPED_BYTES, '');
    case 'replace':
      return text.replace(ESCAPED_BYTES, '\uFFFD');
    default:
      return text;
  }
}
