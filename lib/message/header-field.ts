/** One header field of a message: as it arrived, or as a filter has written it. */
import { P_HDR_LEADSPC } from '../addon/constants.js';
import { encodeBytes } from '../internal/bytes.js';
import { checkField, fits } from '../internal/wire-text.js';
import { parseHeader } from '../utils/parse-header.js';

const FOLD = /\r?\n(?=[ \t])/g;

/** A field of a {@link Headers} document. It never changes: an edit puts another one in its place. */
export class HeaderField {
  readonly name: string;
  /** The value as it is on the wire, with its folds, each with LF, and the white space after the colon. */
  readonly wire: string;

  /** @internal `wire` is taken as it is. */
  constructor(name: string, wire: string) {
    this.name = name;
    this.wire = wire;
  }

  /**
   * @internal A field as a header handler was given it.
   * @param protocol the negotiated bits: without P_HDR_LEADSPC the MTA has removed the space after the colon
   */
  static received(protocol: number, name: string, value: string): HeaderField {
    return new HeaderField(name, protocol & P_HDR_LEADSPC ? value : ` ${value}`);
  }

  /** @internal A field that a filter adds. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
  static written(action: string, name: string, value: string): HeaderField {
    checkField(action, 'headerName', name);
    checkField(action, 'headerValue', value);
    return new HeaderField(name, ` ${value.replaceAll('\r\n', '\n')}`);
  }

  /** The name in lower case: names that differ only in letter case are the same (RFC 5322 1.2.2). */
  get key(): string {
    return this.name.toLowerCase();
  }

  /** The value unfolded (RFC 5322 2.2.3), without white space around it. Encoded words are not decoded. */
  get unfolded(): string {
    return this.wire.replace(FOLD, '').trim();
  }

  /** The value unfolded, its encoded words decoded (RFC 2047): what a reader of the message sees. */
  get value(): string {
    return parseHeader(this.unfolded);
  }

  /** The bytes of the whole field as it is in the message, with CRLF at each fold and at its end. */
  get bytes(): Buffer {
    return encodeBytes(`${this.name}:${this.wire.replace(FOLD, '\r\n')}\r\n`);
  }
}

/**
 * A field's value as it may be sent. What a filter writes is that; what has arrived may have lines of blanks only, which are left out,
 * and characters that only the MTA's own parser makes of it: to readers, both are white space.
 */
export function sendable(wire: string): string {
  if (fits('headerValue', wire)) return wire;
  const [first = '', ...folds] = wire.replace(/\r(?!\n)|\0/g, ' ').split(/\r?\n/);
  const kept = folds.filter((line) => !/^[ \t]*$/.test(line));
  return [first, ...kept.map((line) => (/^[ \t]/.test(line) ? line : ` ${line}`))].join('\n');
}
