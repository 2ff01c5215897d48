/**
 * Files in the text around the parts of a multipart. MIME ignores this text, but some programs look for uuencoded files in it. Without
 * its first line such a file is text like any other, so only that line is replaced.
 */
import { CR, LF, lineEnd } from './lines.js';
import { beginningOfFile } from './uuencode.js';

/** Decides whether a file is removed. `isWhole` is false if its first line is too long to be read to its end. */
export type FileTest = (name: string, isWhole: boolean) => boolean;

const EMPTY = Buffer.alloc(0);
const NOTICE = Buffer.from('[A file was removed.]');
/** Of a longer line, only so much is looked at (RFC 5322 2.1.1 allows 998). */
const MAX_LINE = 1000;
/** Text is filtered in windows of this size, because what is kept of one is many objects. */
const WINDOW = 64 * 1024;

/** The letters that a first line may begin with. */
const FIRST_LETTERS: ReadonlySet<number | undefined> = new Set(Buffer.from('bB='));

/** Passes on the text around parts, which comes in chunks, without the first lines of files that are to be removed. */
export class FrameText {
  readonly #isUnwanted: FileTest;
  /** The beginning of a line that may be the first one of a file: at most {@link MAX_LINE} bytes. */
  #held = EMPTY;
  /** What is done with the line that the next byte belongs to; `undecided` at its beginning. */
  #line: 'undecided' | 'kept' | 'removed' = 'undecided';

  constructor(isUnwanted: FileTest) {
    this.#isUnwanted = isUnwanted;
  }

  *write(bytes: Buffer): Generator<Buffer> {
    for (let at = 0; at < bytes.length; at += WINDOW) {
      const window = bytes.subarray(at, at + WINDOW);
      const kept = this.#filter(this.#held.length > 0 ? Buffer.concat([this.#held, window]) : window, false);
      if (kept.length > 0) yield kept;
    }
  }

  /** The text has ended. */
  *end(): Generator<Buffer> {
    const kept = this.#filter(this.#held, true);
    this.#line = 'undecided';
    if (kept.length > 0) yield kept;
  }

  #filter(bytes: Buffer, isLast: boolean): Buffer {
    const kept: Buffer[] = [];
    let begin = 0;
    this.#held = EMPTY;
    for (let at = 0; at < bytes.length; ) {
      const end = lineEnd(bytes, at);
      if (this.#line === 'undecided') {
        const mayBeFile = FIRST_LETTERS.has(bytes[at]);
        if (mayBeFile && end === bytes.length && end - at <= MAX_LINE && !isLast) {
          this.#held = Buffer.from(bytes.subarray(at));
          kept.push(bytes.subarray(begin, at));
          return Buffer.concat(kept);
        }
        this.#line = mayBeFile && this.#isRemoved(bytes, at, end) ? 'removed' : 'kept';
        if (this.#line === 'removed') kept.push(bytes.subarray(begin, at), NOTICE);
      }
      if (this.#line === 'removed') begin = end;
      at = end;
      // Each character of a line break ends a line: one that is empty is none of a file.
      while (bytes[at] === LF || bytes[at] === CR) at++;
      if (at > end) this.#line = 'undecided';
    }
    if (begin === 0 && kept.length === 0) return bytes;
    kept.push(bytes.subarray(begin));
    return Buffer.concat(kept);
  }

  #isRemoved(bytes: Buffer, at: number, end: number): boolean {
    const isWhole = end - at <= MAX_LINE;
    const line = bytes.toString('latin1', at, isWhole ? end : at + MAX_LINE);
    const name = beginningOfFile(line, isWhole);
    return name !== null && this.#isUnwanted(Buffer.from(name, 'latin1').toString(), isWhole);
  }
}
