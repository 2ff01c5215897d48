/**
 * Names in DNS: labels of any octets (RFC 2181 11), and their presentation format (RFC 1035 5.1), in which they are text.
 *
 * A dot separates labels. A backslash makes the next character part of the label, and before three digits it stands for the
 * octet with that number. What is written here is escaped as c-ares, and so node:dns, does it.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { parseUnmappedIp } from '../internal/parse-ip.js';

/** The maximum length of a name (RFC 1035 2.3.4) without escapes, as text without the final dot. */
export const MAX_NAME_LENGTH = 253;
const MAX_LABEL_LENGTH = 63;
/** Each octet may be escaped by four characters. */
export const MAX_TEXT_LENGTH = 4 * MAX_NAME_LENGTH;

export const DOT = 0x2e;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
/** Characters that mean something in a zone file. */
const SPECIAL = Buffer.from('".;\\()@$');
const IS_PLAIN = Array.from(
  { length: 256 },
  (_, octet) => octet >= 0x20 && octet <= 0x7e && !SPECIAL.includes(octet),
);

/**
 * The labels of a name in presentation format, with or without the final dot.
 *
 * @returns undefined if the name is not ASCII, is empty, or is not valid in DNS. Of an octet above 127, text does not say in
 *     which charset it is meant, so it must be escaped.
 */
export function labelsOf(text: string): Buffer[] | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: any octet may stand in a label
  if (text.length > MAX_TEXT_LENGTH + 1 || !/^[\x00-\x7f]+$/.test(text)) return undefined;
  const labels: Buffer[] = [];
  let label: number[] = [];
  const end = text.endsWith('.') ? text.length - 1 : text.length; // an escaped dot leaves a backslash alone at the end
  for (let at = 0; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      labels.push(Buffer.from(label));
      label = [];
    } else if (code === BACKSLASH) {
      const [octet, length] = escapedOctet(text, at + 1);
      if (octet === undefined) return undefined;
      label.push(octet);
      at += length;
    } else {
      label.push(code);
    }
  }
  labels.push(Buffer.from(label));
  const total = labels.reduce((sum, { length }) => sum + length + 1, -1);
  const valid = labels.every(({ length }) => length > 0 && length <= MAX_LABEL_LENGTH);
  return valid && total <= MAX_NAME_LENGTH ? labels : undefined;
}

/** The octet after a backslash, and the number of characters that stand for it; no octet if the escape is invalid. */
function escapedOctet(text: string, at: number): [octet: number | undefined, length: number] {
  const digits = /^\d{1,3}/.exec(text.slice(at, at + 3))?.[0];
  if (digits === undefined) return [at < text.length ? text.charCodeAt(at) : undefined, 1];
  const valid = digits.length === 3 && Number(digits) <= 255;
  return [valid ? Number(digits) : undefined, 3];
}

/**
 * Writes an octet of a label in presentation format: control characters and non-ASCII as `\\DDD`, special characters after a
 * backslash.
 *
 * @returns the offset after it, at most four higher
 */
export function writeOctet(octet: number, text: Uint8Array, at: number): number {
  let end = at;
  if (IS_PLAIN[octet]) {
    text[end++] = octet;
    return end;
  }
  if (octet < 0x20 || octet > 0x7e) {
    text[end++] = BACKSLASH;
    text[end++] = ZERO + Math.floor(octet / 100);
    text[end++] = ZERO + (Math.floor(octet / 10) % 10);
    text[end++] = ZERO + (octet % 10);
    return end;
  }
  text[end++] = BACKSLASH;
  text[end++] = octet;
  return end;
}

/** The presentation format of labels, without a final dot; empty for the root. */
export function textOfLabels(labels: readonly Uint8Array[]): string {
  const text = Buffer.alloc(labels.reduce((sum, { length }) => sum + 4 * length + 1, 0));
  let at = 0;
  for (const label of labels) {
    if (at > 0) text[at++] = DOT;
    for (const octet of label) at = writeOctet(octet, text, at);
  }
  return text.toString('latin1', 0, at);
}

/** A name in the form that answers have: without a final dot, escaped where necessary. @returns undefined as {@link labelsOf} */
export function canonicalName(text: string): string | undefined {
  const labels = labelsOf(text);
  return labels === undefined ? undefined : textOfLabels(labels);
}

/**
 * Validates a name whose labels have no escapes: a backslash in it is an ordinary character. Removes a final dot.
 *
 * @returns undefined if the name has characters outside printable ASCII, or is not valid in DNS
 */
export function validDnsName(text: string): string | undefined {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  if (name.length === 0 || name.length > MAX_NAME_LENGTH || !/^[\x20-\x7e]+$/.test(name)) return undefined;
  const labels = name.split('.');
  return labels.every(({ length }) => length > 0 && length <= MAX_LABEL_LENGTH) ? name : undefined;
}

/** The presentation format of a name whose labels have no escapes. */
export const escapedName = (name: string): string => name.replaceAll('\\', '\\\\');

/** The name of an address's PTR records, such as `1.2.0.192.in-addr.arpa`; undefined if `ip` is not an IP address. */
export function reverseName(ip: string): string | undefined {
  if (!isIPv4(ip) && !isIPv6(ip)) return undefined;
  const address = parseUnmappedIp(ip.replace(/%.*/s, ''));
  if (address.kind() === 'ipv4') return `${address.toByteArray().reverse().join('.')}.in-addr.arpa`;
  const digits = Buffer.from(address.toByteArray()).toString('hex');
  return `${[...digits].reverse().join('.')}.ip6.arpa`;
}
