/** Reads the fields of a DNS message, which may be hostile. All methods throw MalformedAnswer where the message ends too early. */
import { SocketAddress } from 'node:net';
import { DOT, MAX_TEXT_LENGTH, writeOctet } from './names.js';

/** The maximum length of a name with the octets that hold the lengths of its labels (RFC 1035 2.3.4). */
const MAX_NAME_OCTETS = 255;
/** A name has at most 127 labels, and a pointer is of use only before a label, so more pointers serve to waste time. */
const MAX_POINTERS = 127;

/** The answer of a server that is faulty, or hostile. It never reaches the callers of a session. */
export class MalformedAnswer extends Error {}

export class WireReader {
  readonly #message: Buffer;
  /** The text of a name while it is read; one string for each name is several times as fast as one for each label. */
  readonly #text = Buffer.alloc(MAX_TEXT_LENGTH);
  #at = 0;
  /** Where the current record ends. */
  #end: number;

  constructor(message: Uint8Array) {
    this.#message = Buffer.from(message.buffer, message.byteOffset, message.length);
    this.#end = message.length;
  }

  bytes(length: number): Buffer {
    const start = this.#skip(length);
    return this.#message.subarray(start, this.#at);
  }

  uint16(): number {
    return this.#message.readUInt16BE(this.#skip(2));
  }

  uint32(): number {
    return this.#message.readUInt32BE(this.#skip(4));
  }

  /** @returns where the skipped octets begin */
  #skip(length: number): number {
    const start = this.#at;
    if (start + length > this.#end) throw new MalformedAnswer('the message is shorter than it says');
    this.#at = start + length;
    return start;
  }

  /** Skips the rest of the current record. */
  skipRest(): void {
    this.#at = this.#end;
  }

  /** Reads the data of a record, which must have exactly this length. */
  within<T>(length: number, read: () => T): T {
    const outer = this.#end;
    if (this.#at + length > outer) throw new MalformedAnswer('a record is longer than the message');
    this.#end = this.#at + length;
    const result = read();
    if (this.#at !== this.#end) throw new MalformedAnswer('a record has more data than its type');
    this.#end = outer;
    return result;
  }

  /** A name in presentation format, without a final dot. Compressed names continue before their beginning (RFC 1035 4.1.4). */
  name(): string {
    let written = 0;
    let octets = 1;
    let pointers = 0;
    let start = this.#at;
    let at = start;
    for (;;) {
      const length = this.#octet(at++);
      if (length >= 0xc0) {
        const target = ((length & 0x3f) << 8) | this.#octet(at++);
        if (target >= start || pointers === MAX_POINTERS)
          throw new MalformedAnswer('an invalid compression pointer');
        if (pointers++ === 0) this.#at = at;
        start = at = target;
        continue;
      }
      if (length >= 0x40) throw new MalformedAnswer('a label of an unknown kind');
      if (length === 0) break;
      octets += 1 + length;
      if (octets > MAX_NAME_OCTETS || at + length > this.#end)
        throw new MalformedAnswer('a name is too long');
      if (written > 0) this.#text[written++] = DOT;
      for (const end = at + length; at < end; at++) {
        written = writeOctet(this.#message[at] as number, this.#text, written);
      }
    }
    if (pointers === 0) this.#at = at;
    return this.#text.toString('latin1', 0, written);
  }

  #octet(at: number): number {
    if (at >= this.#end) throw new MalformedAnswer('a name is longer than the message');
    return this.#message[at] as number;
  }

  ipv4(): string {
    return this.bytes(4).join('.');
  }

  /** In the form of the C library, and so of node:dns. */
  ipv6(): string {
    const groups = Array.from({ length: 8 }, () => this.uint16().toString(16));
    return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
  }

  /** Character-strings up to the end of the record, at least one. Each octet becomes one character. */
  strings(): string[] {
    const all: string[] = [];
    do all.push(this.bytes(this.bytes(1)[0] as number).toString('latin1'));
    while (this.#at < this.#end);
    return all;
  }
}
