/** Content-Transfer-Encodings (RFC 2045 6). Decoding accepts what mail programs accept, and never throws. */
import { base64Source, decodeBase64 } from './base64.js';
import { type ByteSource, toBuffer } from './byte-source.js';
import { sizeOf } from './chunks.js';
import { limitReached } from './limits.js';
import { decodeQuotedPrintable, quotedPrintableSource } from './quoted-printable.js';
import type { Allocate } from './reusable-buffer.js';
import { decodeUuencoded } from './uuencode.js';

/**
 * Content in base64 or quoted-printable, encoded while it is written.
 *
 * @param maxSize an upper bound for the size of the content
 */
export function encoded(
  encoding: 'base64' | 'quoted-printable',
  maxSize: number,
  content: () => Iterable<Uint8Array>,
  lineBreak: string,
): ByteSource {
  const encode = encoding === 'base64' ? base64Source : quotedPrintableSource;
  return encode(maxSize, content, lineBreak);
}

/** The encodings that content can be written in. */
export const ENCODINGS = ['7bit', '8bit', 'binary', 'base64', 'quoted-printable'] as const;

/** The encodings that {@link MimeMessage.setPayload} supports. */
export type TransferEncoding = (typeof ENCODINGS)[number];

/** Encodes `bytes`. The result is always a new Buffer. */
export function encode(bytes: Uint8Array, encoding: TransferEncoding | undefined, lineBreak: string): Buffer {
  if (encoding !== 'base64' && encoding !== 'quoted-printable') return Buffer.from(bytes);
  return toBuffer([encoded(encoding, bytes.length, () => [bytes], lineBreak)]);
}

type Decoder = (chunks: readonly Buffer[], allocate: Allocate, maxSize: number) => Buffer;

const DECODERS: ReadonlyMap<string, Decoder | null> = new Map<string, Decoder | null>([
  ['', null],
  ['7bit', null],
  ['8bit', null],
  ['binary', null],
  ['base64', decodeBase64],
  ['quoted-printable', decodeQuotedPrintable],
  ['uuencode', decodeUuencoded],
  ['x-uuencode', decodeUuencoded],
  ['uue', decodeUuencoded],
  ['x-uue', decodeUuencoded],
]);

/** Whether {@link decodeContent} knows the encoding. */
export const isDecodable = (encoding: string): boolean => DECODERS.has(encoding);

/**
 * Decodes content. Content that is not encoded is returned as it is.
 *
 * @param maxSize decoding may stop soon after this many bytes if the content expands to more, which only uuencode does
 * @param allocate provides the memory for the result
 * @returns null for an unknown encoding
 */
export function decodeContent(
  encoding: string,
  chunks: readonly Buffer[],
  maxSize: number,
  allocate: Allocate = Buffer.allocUnsafe,
): Buffer | null {
  const decode = DECODERS.get(encoding);
  if (decode === undefined) return null;
  if (decode) return decode(chunks, allocate, maxSize);
  if (chunks.length === 1) return chunks[0] as Buffer;
  const content = allocate(sizeOf(chunks));
  let length = 0;
  for (const chunk of chunks) {
    content.set(chunk, length);
    length += chunk.length;
  }
  return content.subarray(0, length);
}

/**
 * As {@link decodeContent}, but content must not expand beyond `maxDecoded` bytes, or its own size if that is more.
 *
 * @throws MilterError ERR_MILTER_MIME_LIMIT
 */
export function decodeWithin(
  maxDecoded: number,
  encoding: string,
  chunks: readonly Buffer[],
  allocate?: Allocate,
): Buffer | null {
  const maxSize = Math.max(maxDecoded, sizeOf(chunks));
  const decoded = decodeContent(encoding, chunks, maxSize, allocate);
  if (decoded && decoded.length > maxSize)
    throw limitReached('maxDecoded', maxDecoded, 'bytes that content is decoded to');
  return decoded;
}
