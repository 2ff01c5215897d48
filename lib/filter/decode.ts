/** How text that is not UTF-8 is passed to a handler: the policies of @decode. */
import { isUtf8 } from 'node:buffer';
import { encodeBytes } from '../internal/bytes.js';

/** The policies of {@link decode}, by Python's names where it has the same. */
export const DECODE_POLICIES = ['surrogateescape', 'bytes', 'strict', 'ignore', 'replace'] as const;

/**
 * - `surrogateescape`: a string, in which bytes that are not UTF-8 become U+DC80..U+DCFF, and become the same bytes again when
 *   the string is sent. The default.
 * - `bytes`: always a Buffer.
 * - `strict`: a string if the bytes are UTF-8, else a Buffer.
 * - `ignore`: a string without the bytes that are not UTF-8.
 * - `replace`: a string with U+FFFD in place of each of them.
 */
export type DecodePolicy = (typeof DECODE_POLICIES)[number];

const ESCAPED_BYTES = /[\uDC80-\uDCFF]/gu;

/** Converts text, which the native side has decoded with surrogateescape, to what a policy asks for. */
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
