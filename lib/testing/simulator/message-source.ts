/** A message from a file, buffer or stream, split into headers and body as an MTA splits it for a filter. */
import { types } from 'node:util';
import { decodeBytes } from '../../internal/bytes.js';
import { MilterError } from '../../internal/errors.js';
import { bytesOf, type Text } from '../wire/frames.js';

/** Where a message comes from: all of it, or a stream of it. A string is sent as UTF-8. */
export type MessageSource = Text | AsyncIterable<Text> | Iterable<Text>;

/** A message's parts. */
export interface MessageContent {
  /** Names, and values with everything after the colon; folded lines are separated by LF. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The body, lines ended by CRLF. */
  readonly body: Buffer;
}

/** Reads a source to its end. @throws MilterError ERR_MILTER_BAD_ARGUMENT if it has more than `maxBytes` bytes */
export async function readSource(source: MessageSource, maxBytes: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const take = (piece: Text): void => {
    const bytes = bytesOf(piece);
    length += bytes.length;
    if (length > maxBytes) {
      throw new MilterError(
        'ERR_MILTER_BAD_ARGUMENT',
        `the message has more than ${maxBytes} bytes: give a larger maxMessageSize to the TestCtx`,
      );
    }
    pieces.push(bytes);
  };
  if (typeof source === 'string' || types.isUint8Array(source)) take(source);
  else for await (const piece of source) take(piece);
  return Buffer.concat(pieces, length);
}

/** A header's name (RFC 5322 2.2), and the white space that old software writes before the colon. */
const HEADER_NAME = /^[\x21-\x39\x3b-\x7e]+[ \t]*$/;

/** Name and value of a line that begins a header; null for any other line, which begins the body. */
function headerOf(line: string): [name: string, value: string] | null {
  const colon = line.indexOf(':');
  if (colon < 1 || line.startsWith('--')) return null; // Sendmail takes `--` for the beginning of a MIME part
  const name = line.slice(0, colon);
  return HEADER_NAME.test(name) ? [name.trimEnd(), line.slice(colon + 1)] : null;
}

/**
 * Splits a message into headers and body.
 *
 * Lines may end in LF or CRLF. A first line `From ...`, as in mailboxes, is skipped. The headers end at an empty line or
 * before a line that is not a header.
 */
export function splitMessage(bytes: Buffer): MessageContent {
  const headers: [name: string, lines: string[]][] = [];
  let at = 0;
  while (at < bytes.length) {
    const found = bytes.indexOf(0x0a, at);
    const next = found < 0 ? bytes.length : found + 1;
    const end = found < 0 ? bytes.length : found;
    const line = bytes.toString('latin1', at, bytes[end - 1] === 0x0d && end > at ? end - 1 : end);
    if (line === '') {
      at = next;
      break;
    }
    if (!(at === 0 && /^>?From /.test(line))) {
      const last = headers.at(-1);
      const header = headerOf(line);
      if (last && /^[ \t]/.test(line)) last[1].push(line);
      else if (header) headers.push([header[0], [header[1]]]);
      else break;
    }
    at = next;
  }
  return {
    headers: headers.map(([name, lines]) => [name, asText(lines.join('\n'))]),
    body: withLineEnds(bytes.subarray(at)),
  };
}

/** libmilter passes C strings, which end at a NUL. */
function asText(latin1: string): string {
  const end = latin1.indexOf('\0');
  return decodeBytes(Buffer.from(end < 0 ? latin1 : latin1.slice(0, end), 'latin1'));
}

/** The body as SMTP carries it: every line ended by CRLF, the last one too. */
function withLineEnds(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').replace(/\r?\n/g, '\r\n');
  return Buffer.from(text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`, 'latin1');
}
