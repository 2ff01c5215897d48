/** DKIM-Quoted-Printable, in which `i=` is written (RFC 6376 2.11). */
import { removeSpace } from './tag-list.js';

const HEX_OCTET = /=([0-9A-F]{2})/g;

/**
 * Decodes a value of one character for each byte. White space is not part of it. Control characters stay encoded: they are
 * not part of an address, and the value ends up in logs.
 */
export function decodeQuotedPrintable(text: string): string {
  return removeSpace(text).replace(HEX_OCTET, (encoded: string, hex: string) => {
    const code = Number.parseInt(hex, 16);
    return code < 0x20 || code === 0x7f ? encoded : String.fromCharCode(code);
  });
}

/** Encodes an address of printable characters without semicolons. */
export function encodeQuotedPrintable(address: string): string {
  return address.replaceAll('=', '=3D');
}
