/**
 * Bodies as they are hashed (RFC 6376 3.4.3 and 3.4.4), chunk by chunk, in constant memory and linear time.
 *
 * A line ends with CRLF; a CR or LF by itself is an octet like any other. Empty lines at the end do not count, so they
 * are held back as a number until something follows them.
 */
import type { Canonicalization } from './canonical-header.js';

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * Takes the canonical bytes from `start` to `end`, which are only valid during the call. Text with many runs of white space makes a call
 * for every few words, so no subarray is made for each.
 */
export type ByteSink = (bytes: Uint8Array, start: number, end: number) => void;

export interface BodyCanonicalizer {
  update(chunk: Uint8Array): void;
  /** Ends the body: writes what the canonicalization adds at its end. */
  end(): void;
}

export function bodyCanonicalizer(how: Canonicalization, sink: ByteSink): BodyCanonicalizer {
  return how === 'simple' ? new SimpleBody(sink) : new RelaxedBody(sink);
}

/** Line ends in one piece, for many empty lines that turn out not to be the last ones. */
const LINE_ENDS = Buffer.from('\r\n'.repeat(4096), 'latin1');
const ONE_CR = Uint8Array.of(CR);
const ONE_SPACE = Uint8Array.of(SPACE);

/** Line ends that have been seen, and will be written when a later line has content. */
class HeldLineEnds {
  #count = 0;
  readonly #sink: ByteSink;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  add(count: number): void {
    this.#count += count;
  }

  write(): void {
    for (let left = this.#count * 2; left > 0; left -= LINE_ENDS.length) {
      this.#sink(LINE_ENDS, 0, Math.min(left, LINE_ENDS.length));
    }
    this.#count = 0;
  }

  /** Forgets the empty lines at the end of the body, but for the end of its last line. */
  writeOne(): void {
    this.#count = 0;
    this.#sink(LINE_ENDS, 0, 2);
  }
}

/** Nothing changes but the end: empty lines there are removed, and the last line ends with CRLF. */
class SimpleBody implements BodyCanonicalizer {
  readonly #sink: ByteSink;
  readonly #held: HeldLineEnds;
  /** The last chunk ended with a CR, whose LF may follow. */
  #cr = false;

  constructor(sink: ByteSink) {
    this.#sink = sink;
    this.#held = new HeldLineEnds(sink);
  }

  update(chunk: Uint8Array): void {
    let start = 0;
    if (this.#cr && chunk.length > 0) {
      this.#cr = false;
      if (chunk[0] === LF) {
        this.#held.add(1);
        start = 1;
      } else {
        this.#held.write();
        this.#sink(ONE_CR, 0, 1);
      }
    }
    let end = chunk.length;
    if (end > start && chunk[end - 1] === CR) {
      this.#cr = true;
      end--;
    }
    let lineEnds = 0;
    while (end - start >= 2 && chunk[end - 1] === LF && chunk[end - 2] === CR) {
      lineEnds++;
      end -= 2;
    }
    if (end > start) {
      this.#held.write();
      this.#sink(chunk, start, end);
    }
    this.#held.add(lineEnds);
  }

  end(): void {
    if (this.#cr) {
      this.#held.write();
      this.#sink(ONE_CR, 0, 1);
    }
    this.#held.writeOne();
  }
}

/**
 * As simple, and white space is removed at the end of a line and otherwise made one space; an empty body stays empty.
 *
 * Most text is canonical as it is. So bytes are not copied one by one: a run that needs no change is written in one
 * piece, and ends at white space or a line end that has to be examined.
 */
class RelaxedBody implements BodyCanonicalizer {
  readonly #sink: ByteSink;
  readonly #held: HeldLineEnds;
  /** White space has been seen in this line that nothing has followed yet. */
  #space = false;
  #cr = false;
  #empty = true;

  constructor(sink: ByteSink) {
    this.#sink = sink;
    this.#held = new HeldLineEnds(sink);
  }

  update(chunk: Uint8Array): void {
    const { length } = chunk;
    let at = 0;
    while (at < length) {
      const byte = chunk[at] as number;
      if (this.#cr) {
        this.#cr = false;
        if (byte === LF) {
          this.#space = false;
          this.#held.add(1);
          at++;
          continue;
        }
        this.#writeHeld();
        this.#sink(ONE_CR, 0, 1);
      }
      if (byte === SPACE || byte === TAB) {
        this.#space = true;
        at++;
      } else if (byte === CR) {
        this.#cr = true;
        at++;
      } else {
        const end = endOfRun(chunk, at);
        this.#writeHeld();
        this.#sink(chunk, at, end);
        at = end;
      }
    }
  }

  end(): void {
    if (this.#cr) {
      this.#writeHeld();
      this.#sink(ONE_CR, 0, 1);
    }
    if (!this.#empty) this.#held.writeOne();
  }

  /** Writes what was held back before content. */
  #writeHeld(): void {
    this.#empty = false;
    this.#held.write();
    if (this.#space) {
      this.#space = false;
      this.#sink(ONE_SPACE, 0, 1);
    }
  }
}

/**
 * Where the run ends that begins at `start` with content and is canonical as it stands. A single space, or a line end,
 * belongs to it only if content follows in the same chunk.
 */
function endOfRun(chunk: Uint8Array, start: number): number {
  const { length } = chunk;
  let at = start + 1;
  for (; at < length; at++) {
    const byte = chunk[at] as number;
    if (byte > SPACE) continue;
    if (byte === SPACE) {
      if (at + 1 < length && isContent(chunk[at + 1] as number)) continue;
      break;
    }
    if (byte === CR) {
      if (at + 2 < length && chunk[at + 1] === LF && isContent(chunk[at + 2] as number)) {
        at += 2;
        continue;
      }
      break;
    }
    if (byte === TAB) break;
  }
  return at;
}

const isContent = (byte: number): boolean => byte > SPACE || (byte !== SPACE && byte !== TAB && byte !== CR);
