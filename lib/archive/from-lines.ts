/**
 * The lines of a mailbox that begin with `From `, or with `From ` after any number of `>`: in the mboxrd format, the former separate
 * messages, and the latter belong to a message, with one `>` more than they had.
 */

/** Bytes in pieces. */
export type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** A piece of text, and what follows it. */
export interface Segment {
  readonly text: Buffer;
  /** `from`: `From ` at the beginning of a line. `quoted`: the same after a `>`, which is the last byte of `text`. */
  readonly next: 'from' | 'quoted' | null;
}

const FROM = Buffer.from('From ');
const LF = 0x0a;
const CR = 0x0d;
const GREATER = 0x3e;
/** The end of a piece may be the beginning of `>From `. */
const HELD = FROM.length;

/**
 * Divides text at its From lines, in linear time and without holding more than one piece: the segments of each.
 *
 * `From ` is searched for, and the bytes before it are looked at: a run of `>` is looked at once, because a match ends it.
 */
export async function* fromLines(chunks: Chunks): AsyncGenerator<Segment[]> {
  let bytes: Buffer = Buffer.alloc(0);
  /** Whether nothing but `>` stands between the beginning of the line and that of `bytes`. */
  let begins = true;
  for await (const chunk of chunks) {
    bytes = bytes.length === 0 ? asBuffer(chunk) : Buffer.concat([bytes, chunk]);
    const segments: Segment[] = [];
    let done = 0;
    let kept = Math.max(0, bytes.length - HELD);
    for (let at = bytes.indexOf(FROM); at >= 0; at = bytes.indexOf(FROM, at + FROM.length)) {
      if (!followsLineBreak(bytes, at, begins)) continue;
      const next = at > 0 && bytes[at - 1] === GREATER ? 'quoted' : 'from';
      segments.push({ text: bytes.subarray(done, at), next });
      done = at;
      kept = Math.max(kept, at + FROM.length);
    }
    segments.push({ text: bytes.subarray(done, kept), next: null });
    yield segments;
    begins = followsLineBreak(bytes, kept, begins);
    bytes = bytes.subarray(kept);
  }
  yield [{ text: bytes, next: null }];
}

/** Whether the line that `at` is in has nothing but `>` before it. */
function followsLineBreak(bytes: Buffer, at: number, begins: boolean): boolean {
  let start = at;
  while (start > 0 && bytes[start - 1] === GREATER) start--;
  return start === 0 ? begins : bytes[start - 1] === LF;
}

/** Text with LF in place of each CRLF. A CR without LF stays. */
export async function* withUnixLineEnds(chunks: Chunks): AsyncGenerator<Buffer> {
  let endsInCr = false;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    const bytes: Buffer = endsInCr ? Buffer.concat([Buffer.of(CR), chunk]) : asBuffer(chunk);
    endsInCr = bytes[bytes.length - 1] === CR;
    yield withoutCr(endsInCr ? bytes.subarray(0, -1) : bytes);
  }
  if (endsInCr) yield Buffer.of(CR);
}

/** Byte by byte: a hostile message is nothing but line ends, for each of which a search and a copy would be called. */
function withoutCr(bytes: Buffer): Buffer {
  if (!bytes.includes('\r\n')) return bytes;
  const copy = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte !== CR || bytes[at + 1] !== LF) copy[length++] = byte;
  }
  return copy.subarray(0, length);
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
