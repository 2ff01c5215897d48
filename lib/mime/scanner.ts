/**
 * The streaming parser: takes a message in chunks of any size and returns it in pieces, whose concatenation is the same
 * bytes. It buffers the head of a part until it is complete, and the end of a chunk where a boundary may begin.
 *
 * mailsplit is not used for this: it knows the boundaries of two levels only (a part after an inner multipart that was not
 * closed is missed), no blanks after a boundary, and no attached message within an attachment; it loses bytes where CR and LF
 * are in different chunks, and needs quadratic time for some heads.
 */
import { Content } from './content.js';
import { isIdentity } from './encoding-readings.js';
import { HeaderBlock, looksLikeHead } from './header-block.js';
import { limitReached, type MimeLimits } from './limits.js';
import { CR, LF, lineBreakBefore, lineBreakEnd, lineEnd, SPACE, skipLineBreak, TAB } from './lines.js';
import { ordinaryHeadEnd } from './ordinary-head.js';

/** A part, or the message itself, as its header fields describe it. */
export interface Entity {
  readonly parent: Entity | null;
  readonly headers: HeaderBlock;
  readonly content: Content;
  /** What follows the head: parts between boundaries, an attached message, or any other content. */
  readonly kind: 'multipart' | 'message' | 'leaf';
}

export type Piece =
  /** A part begins; `bytes` is its head with the empty line. */
  | { readonly type: 'head'; readonly entity: Entity; readonly bytes: Buffer }
  /** Content of a leaf, still encoded. */
  | { readonly type: 'body'; readonly entity: Entity; readonly bytes: Buffer }
  /** Bytes between the parts of a multipart: preamble, boundaries with their line breaks, epilogue. */
  | { readonly type: 'frame'; readonly entity: Entity; readonly bytes: Buffer }
  /** The part has ended. */
  | { readonly type: 'end'; readonly entity: Entity };

/** A boundary line. */
interface Delimiter {
  /** The index in the stack of the multipart that it belongs to. */
  readonly level: number;
  /** Whether it ends the multipart. */
  readonly closes: boolean;
}

export interface ScannerOptions {
  /** Whether attached messages are split into their parts. Default: true. */
  readonly attachedMessages?: boolean;
  /** For an attached message: the line break of the message around it. Default: LF. */
  readonly lineBreak?: string;
  /** For an attached message: its depth in the message around it. Default: 0. */
  readonly depth?: number;
  /** For an attached message: the number of parts in the message around it. Default: 0. */
  readonly parts?: number;
  /**
   * Bytes that are collected before they are scanned, so that a head that arrives byte by byte is not copied for each of them.
   * Default: 16 KiB.
   */
  readonly minChunk?: number;
}

const EMPTY = Buffer.alloc(0);
const DASHES = Buffer.from('--');
const DASH = 0x2d;
export class Scanner {
  readonly #limits: MimeLimits;
  readonly #attachedMessages: boolean;
  readonly #minChunk: number;
  #lineBreak: string;
  readonly #outerDepth: number;
  #stack: Entity[] = [];
  #parts: number;
  #size = 0;
  /** Chunks that have not been scanned yet. */
  #waiting: Buffer[] = [];
  #waitingSize = 0;
  #buffer: Buffer = EMPTY;
  /** Everything before this index in the buffer has been returned. */
  #position = 0;
  #inHead = true;
  /** In a head: bytes after the position whose lines have been scanned, and where lines that begin with `--` are. */
  #seen = 0;
  #dashLines: number[] = [];
  /** In a body: whether a line begins at the position. */
  #atLineStart = true;
  /** -1 if no multipart is open. */
  #longestBoundary = -1;
  #pieces: Piece[] = [];

  constructor(limits: MimeLimits, options: ScannerOptions = {}) {
    this.#limits = limits;
    this.#attachedMessages = options.attachedMessages ?? true;
    this.#minChunk = options.minChunk ?? 16 * 1024;
    this.#lineBreak = options.lineBreak ?? '\n';
    this.#outerDepth = options.depth ?? 0;
    this.#parts = options.parts ?? 0;
    this.#countPart();
  }

  /** Takes bytes and returns the pieces that are complete. @throws MilterError ERR_MILTER_MIME_LIMIT */
  write(chunk: Buffer): Piece[] {
    this.#size += chunk.length;
    if (this.#size > this.#limits.maxSize)
      throw limitReached('maxSize', this.#limits.maxSize, 'bytes of a message');
    this.#waiting.push(chunk);
    this.#waitingSize += chunk.length;
    return this.#waitingSize < this.#minChunk ? [] : this.#run(false);
  }

  /** Ends the message and returns the remaining pieces. @throws MilterError ERR_MILTER_MIME_LIMIT */
  end(): Piece[] {
    return this.#run(true);
  }

  #run(final: boolean): Piece[] {
    const rest = this.#buffer.subarray(this.#position);
    const chunks = rest.length > 0 ? [rest, ...this.#waiting] : this.#waiting;
    this.#buffer = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    this.#position = 0;
    this.#waiting = [];
    this.#waitingSize = 0;
    while (this.#inHead ? this.#scanHead(final) : this.#scanBody(final));
    if (final) this.#close(0);
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces;
  }

  /** @returns whether there is more to scan */
  #scanHead(final: boolean): boolean {
    const buffer = this.#buffer;
    if (this.#seen === 0) {
      const end = ordinaryHeadEnd(buffer, this.#position);
      if (end - this.#position <= this.#limits.maxHeadSize && end >= 0) return this.#finishHead(end);
    }
    let at = this.#position + this.#seen;
    for (;;) {
      const end = lineEnd(buffer, at);
      if (!final && !this.#isComplete(end)) {
        this.#seen = at - this.#position;
        return this.#checkHeadSize(buffer.length);
      }
      if (end === at) return this.#finishHead(skipLineBreak(buffer, end));
      if (this.#delimiterAt(at, end)) return this.#finishHead(at);
      if (buffer[at] === DASH && buffer[at + 1] === DASH) this.#dashLines.push(at - this.#position);
      at = skipLineBreak(buffer, end);
      if (this.#checkHeadSize(at)) return true;
    }
  }

  /** Whether it is certain where the line break at `end` ends. */
  #isComplete(end: number): boolean {
    return end < this.#buffer.length && lineBreakEnd(this.#buffer, end) >= 0;
  }

  /** Something too long for a head is an error if it looks like one; otherwise it is the body of a part without a head. */
  #checkHeadSize(end: number): boolean {
    const size = end - this.#position;
    if (size <= this.#limits.maxHeadSize) return false;
    if (looksLikeHead(this.#buffer.subarray(this.#position, end)))
      throw limitReached('maxHeadSize', this.#limits.maxHeadSize, 'bytes of header fields of a part');
    return this.#finishHead(this.#position);
  }

  #finishHead(end: number): true {
    let bytes = this.#buffer.subarray(this.#position, end);
    if (bytes.length > 0 && lineEnd(bytes, 0) > 0 && !looksLikeHead(bytes)) bytes = EMPTY;
    const parent = this.#stack.at(-1) ?? null;
    let read = this.#readHead(bytes, parent);
    const ownEnd = this.#ownBoundary(bytes, read.content);
    // A head also ends at a boundary that it declares itself.
    if (ownEnd >= 0) {
      const shorter = this.#readHead(bytes.subarray(0, ownEnd), parent);
      if (this.#ownBoundary(bytes, shorter.content) === ownEnd) {
        bytes = bytes.subarray(0, ownEnd);
        read = shorter;
      }
    }
    this.#dashLines = [];
    const { headers, content } = read;
    const entity: Entity = { parent, headers, content, kind: this.#kindOf(content) };
    this.#lineBreak = headers.lineBreak;
    this.#stack.push(entity);
    this.#measureBoundaries();
    this.#position += bytes.length;
    this.#pieces.push({ type: 'head', entity, bytes });
    this.#inHead = false;
    this.#atLineStart = true;
    if (entity.kind === 'message') this.#beginHead();
    return true;
  }

  #readHead(bytes: Buffer, parent: Entity | null): { headers: HeaderBlock; content: Content } {
    const headers = new HeaderBlock(bytes, this.#limits, this.#lineBreak);
    const isDigest = parent?.kind === 'multipart' && parent.content.type === 'multipart/digest';
    const defaultType = isDigest ? 'message/rfc822' : 'text/plain';
    return { headers, content: new Content(headers, defaultType, this.#limits.maxParameters) };
  }

  /** Where the first line of a head is that is a boundary of its own content; -1 if there is none. */
  #ownBoundary(bytes: Buffer, content: Content): number {
    if (this.#dashLines.length === 0 || !content.isMultipart) return -1;
    for (const at of this.#dashLines) {
      const line = bytes.toString('latin1', at + 2, lineEnd(bytes, at)).trimEnd();
      if (at < bytes.length && content.boundaries.has(line)) return at;
    }
    return -1;
  }

  #kindOf(content: Content): Entity['kind'] {
    if (content.isMultipart) return 'multipart';
    return content.isMessage && this.#attachedMessages && isIdentity(content.encoding) ? 'message' : 'leaf';
  }

  #beginHead(): void {
    this.#countPart();
    this.#inHead = true;
    this.#seen = 0;
  }

  #countPart(): void {
    const { maxDepth, maxParts } = this.#limits;
    if (this.#outerDepth + this.#stack.length >= maxDepth)
      throw limitReached('maxDepth', maxDepth, 'levels of parts in parts');
    if (++this.#parts > maxParts) throw limitReached('maxParts', maxParts, 'parts of a message');
  }

  /** @returns whether there is more to scan */
  #scanBody(final: boolean): boolean {
    const buffer = this.#buffer;
    let at = this.#longestBoundary >= 0 ? buffer.indexOf(DASHES, this.#position) : -1;
    while (at >= 0) {
      if (!this.#isLineStart(at)) {
        while (buffer[at] === DASH) at++; // a run of dashes within a line
      } else {
        const end = lineEnd(buffer, at);
        const complete = this.#isComplete(end);
        if (!complete && !final && this.#mayBecomeDelimiter(at, end)) {
          return this.#emit(lineBreakBefore(buffer, at, this.#position));
        }
        const delimiter = complete || final ? this.#delimiterAt(at, end) : null;
        if (delimiter) return this.#enter(delimiter, at, skipLineBreak(buffer, end));
        at = skipLineBreak(buffer, end);
      }
      at = buffer.indexOf(DASHES, at);
    }
    return this.#emit(final || this.#longestBoundary < 0 ? buffer.length : this.#holdBack());
  }

  #isLineStart(at: number): boolean {
    if (at === this.#position && this.#atLineStart) return true;
    if (at === 0) return false;
    const before = this.#buffer[at - 1];
    return before === LF || before === CR;
  }

  /** A line break at the end of the buffer, and a dash after it, may belong to a boundary. @returns where it begins */
  #holdBack(): number {
    const buffer = this.#buffer;
    let end = buffer.length;
    if (end > this.#position && buffer[end - 1] === DASH && this.#isLineStart(end - 1)) end--;
    return lineBreakBefore(buffer, end, this.#position);
  }

  #mayBecomeDelimiter(at: number, end: number): boolean {
    if (end - at <= this.#longestBoundary + 4) return true;
    if (!this.#delimiterAt(at, end)) return false;
    const { maxHeaderLength } = this.#limits;
    if (end - at > maxHeaderLength)
      throw limitReached('maxHeaderLength', maxHeaderLength, 'bytes of a boundary line');
    return true;
  }

  /** Returns the bytes up to `end` as a piece. @returns false, because there is nothing more to scan */
  #emit(end: number): false {
    if (end > this.#position) {
      const entity = this.#stack.at(-1) as Entity;
      const bytes = this.#buffer.subarray(this.#position, end);
      this.#pieces.push({ type: entity.kind === 'multipart' ? 'frame' : 'body', entity, bytes });
      // What was held back begins with the line break, if there is one.
      this.#atLineStart = bytes[bytes.length - 1] === LF || bytes[bytes.length - 1] === CR;
      this.#position = end;
    }
    return false;
  }

  /** Handles the boundary line from `at` to `end`: ends the parts in its multipart and begins the next one. */
  #enter({ level, closes }: Delimiter, at: number, end: number): true {
    this.#emit(lineBreakBefore(this.#buffer, at, this.#position));
    this.#close(level + 1);
    const entity = this.#stack[level] as Entity;
    this.#pieces.push({ type: 'frame', entity, bytes: this.#buffer.subarray(this.#position, end) });
    this.#position = end;
    this.#atLineStart = true;
    // After a closing boundary the multipart stays open, because some mail programs read further parts there.
    if (!closes) this.#beginHead();
    return true;
  }

  /** Ends all entities but the outermost `depth`. */
  #close(depth: number): void {
    while (this.#stack.length > depth)
      this.#pieces.push({ type: 'end', entity: this.#stack.pop() as Entity });
    this.#measureBoundaries();
  }

  #measureBoundaries(): void {
    this.#longestBoundary = -1;
    for (const { kind, content } of this.#stack) {
      if (kind !== 'multipart') continue;
      for (const { length } of content.boundaries)
        this.#longestBoundary = Math.max(this.#longestBoundary, length);
    }
  }

  /**
   * The boundary in the line from `at` to `end`, for the innermost multipart that it matches. All open multiparts are checked,
   * because an inner one without a closing boundary ends at a boundary of an outer one (RFC 2046 5.1.2).
   */
  #delimiterAt(at: number, end: number): Delimiter | null {
    const buffer = this.#buffer;
    if (this.#longestBoundary < 0 || buffer[at] !== DASH || buffer[at + 1] !== DASH) return null;
    let last = end;
    while (last > at + 2 && (buffer[last - 1] === SPACE || buffer[last - 1] === TAB)) last--;
    if (last - at > this.#longestBoundary + 4) return null;
    const text = buffer.toString('latin1', at + 2, last);
    const closed = text.endsWith('--') ? text.slice(0, -2) : null;
    for (let level = this.#stack.length - 1; level >= 0; level--) {
      const { kind, content } = this.#stack[level] as Entity;
      if (kind !== 'multipart') continue;
      if (content.boundaries.has(text)) return { level, closes: false };
      if (closed !== null && content.boundaries.has(closed)) return { level, closes: true };
    }
    return null;
  }
}
