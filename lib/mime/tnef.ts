/** The names in a TNEF stream (winmail.dat), as [MS-OXTNEF] and [MS-OXCDATA] define it. */
import { limitReached } from './limits.js';

const SIGNATURE = 0x223e9f78;
const ATTACH_TITLE = 0x00018010;
const ATTACHMENT = 0x00069005;
const ATTACH_DATA = 0x0006800f;
const HEADER_SIZE = 6;

/** MAPI properties that are names: PidTagDisplayName, PidTagAttachFilename, PidTagAttachLongFilename, …Pathname. */
const NAME_PROPERTIES: ReadonlySet<number> = new Set([0x3001, 0x3704, 0x3707, 0x3708, 0x370d, 0x370e]);

/** PidTagAttachDataObject: for an embedded message, the identifier of an interface and a TNEF stream. */
const DATA_OBJECT = 0x3701;
const IID_SIZE = 16;

const STRING8 = 0x1e;
const UNICODE = 0x1f;
const BINARY = 0x102;
const OBJECT = 0x0d;
/** The sizes of property types of fixed size, with padding. */
const SIZES: ReadonlyMap<number, number> = new Map([
  [0x02, 4],
  [0x03, 4],
  [0x04, 4],
  [0x05, 8],
  [0x06, 8],
  [0x07, 8],
  [0x0a, 4],
  [0x0b, 4],
  [0x14, 8],
  [0x40, 8],
  [0x48, 16],
]);
const MULTIPLE = 0x1000;

const untilNul = (text: string): string => text.split('\0', 1)[0] as string;
const padded = (size: number): number => (size + 3) & ~3;

/** Reads numbers one after the other; reading beyond the end throws a RangeError. */
class Reader {
  at = 0;
  readonly #bytes: Buffer;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  uint16(): number {
    this.at += 2;
    return this.#bytes.readUInt16LE(this.at - 2);
  }
  uint32(): number {
    this.at += 4;
    return this.#bytes.readUInt32LE(this.at - 4);
  }
  take(size: number): Buffer {
    if (this.at + size > this.#bytes.length) throw new RangeError('beyond the end');
    this.at += size;
    return this.#bytes.subarray(this.at - size, this.at);
  }
  get ended(): boolean {
    return this.at >= this.#bytes.length;
  }
}

/** A named property has a GUID, and a number or a name. */
function skipPropertyName(reader: Reader): void {
  reader.take(16);
  if (reader.uint32() === 0) reader.take(4);
  else reader.take(padded(reader.uint32()));
}

/** The names among the properties of an attachment, and in a message that is one. */
function* propertyNames(reader: Reader, levels: number): Generator<string | null> {
  for (let left = reader.uint32(); left > 0; left--) {
    const type = reader.uint16();
    const id = reader.uint16();
    if (id >= 0x8000) skipPropertyName(reader);
    const base = type & ~MULTIPLE;
    const size = SIZES.get(base);
    const isVariable = [STRING8, UNICODE, BINARY, OBJECT].includes(base);
    if (size === undefined && !isVariable) return; // no property can be found behind an unknown one
    const count = isVariable || type !== base ? reader.uint32() : 1;
    for (let value = 0; value < count; value++) {
      if (size !== undefined) {
        reader.take(size);
        continue;
      }
      const length = reader.uint32();
      const bytes = reader.take(length);
      reader.take(Math.min(padded(length) - length, 3));
      if (id === DATA_OBJECT && base === OBJECT) yield* namesIn(bytes.subarray(IID_SIZE), levels - 1);
      if (!NAME_PROPERTIES.has(id)) continue;
      if (base === STRING8) yield untilNul(bytes.toString('latin1'));
      if (base === UNICODE) yield untilNul(bytes.toString('utf16le'));
    }
  }
}

/**
 * The names of the attachments in a TNEF stream, and in the messages in it. Of a damaged one, those before the damage. Empty for anything
 * else.
 *
 * @throws MilterError ERR_MILTER_MIME_LIMIT for more than `maxDepth` levels
 */
export function* tnefNames(bytes: Buffer, maxDepth: number): Generator<string> {
  for (const name of namesIn(bytes, maxDepth)) {
    if (name === null) throw limitReached('maxDepth', maxDepth, 'levels of messages in a winmail.dat');
    yield name;
  }
}

/** Null stands for a stream that is deeper than so many levels. */
function* namesIn(bytes: Buffer, levels: number): Generator<string | null> {
  if (bytes.length < HEADER_SIZE || bytes.readUInt32LE(0) !== SIGNATURE) return;
  if (levels <= 0) {
    yield null;
    return;
  }
  const reader = new Reader(bytes);
  reader.at = HEADER_SIZE;
  try {
    while (!reader.ended) {
      reader.take(1); // the level: message or attachment
      const id = reader.uint32();
      const data = reader.take(reader.uint32());
      reader.take(2); // the checksum
      if (id === ATTACH_TITLE) yield untilNul(data.toString('latin1'));
      if (id === ATTACHMENT) yield* propertyNames(new Reader(data), levels);
      if (id === ATTACH_DATA) yield* namesIn(data, levels - 1);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
}
