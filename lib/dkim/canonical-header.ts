/** Header fields as they are hashed (RFC 6376 3.4.1 and 3.4.2). */
import { encodeBytes } from '../internal/bytes.js';
import { trimSpace } from './tag-list.js';

/** How a header or a body is made the same on both sides of a transport. */
export type Canonicalization = 'simple' | 'relaxed';

/** A header field. Its text has one character for each byte, and CRLF at its folds. */
export interface HeaderField {
  /** Lower-case, without white space. */
  readonly key: string;
  /** As it stands before the colon. */
  readonly name: string;
  /** What stands after the colon, from the first space on. */
  readonly value: string;
}

/**
 * A field as a milter is given it.
 *
 * @param value what stands after the colon; folds arrive from libmilter with LF alone, and were CRLF
 * @param leadingSpace whether `value` still has the space behind the colon, which MTAs remove unless
 *   SMFIP_HDR_LEADSPC was negotiated; it is put back otherwise
 */
export function headerField(name: string, value: string | Uint8Array, leadingSpace: boolean): HeaderField {
  const bytes = typeof value === 'string' ? encodeBytes(value) : value;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const raw = encodeBytes(name).toString('latin1');
  return {
    key: lowerCase(trimSpace(raw)),
    name: raw,
    value: (leadingSpace ? '' : ' ') + withCrlf(text),
  };
}

/** ASCII letters alone: other characters are bytes here. */
function lowerCase(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function withCrlf(text: string): string {
  return text.includes('\n') ? text.replaceAll('\r\n', '\n').replaceAll('\n', '\r\n') : text;
}

/** A field's bytes, one character each, without the CRLF at its end. */
export function canonicalHeader(field: HeaderField, how: Canonicalization): string {
  return how === 'simple' ? `${field.name}:${field.value}` : `${field.key}:${relaxed(field.value)}`;
}

/** Unfolds, makes each run of white space one space, and removes it at both ends. */
function relaxed(value: string): string {
  const words = value
    .replaceAll('\r\n', '')
    .split(/[\t ]+/)
    .filter((word) => word !== '');
  return words.join(' ');
}
