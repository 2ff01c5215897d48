/**
 * The streaming parser: takes a message in chunks of any size and returns it in pieces, whose concatenation is the same
 * bytes. It buffers the head of a part until it is complete, and the end of a chunk where a boundary may begin.
 *
 * mailsplit is not used for this: it knows the boundaries of two levels only (a part after an inner multipart that was not
 * closed is missed), no blanks after a boundary, and no attached message within an attachment; it loses bytes where CR and LF
 * are in different chunks, and needs quadratic time for some heads.
 */
import { Content, NameBudgets } from './content.js';
import { isIdentity } from './encoding-readings.js';
import { HeaderBlock, looksLikeHead } from './header-block.js';
import { limitReached, type MimeLimits } from './limits.js';
import { CR, LF, lineBreakBefore, lineBreakEnd, lineEnd, SPACE, skipLineBreak, TAB } from './lines.js';
import { OpenBoundaries } from './open-boundaries.js';
import { ordinaryHeadEnd } from './ordinary-head.js';
import type { Entity, FramePiece, Piece } from './pieces.js';

/** A boundary line. */
interface Delimiter {
  readonly boundary: string;
  /** The index in the stack of the multipart that it belongs to. */
  readonly level: number;
  /** Whether it ends the multipart. */
  readonly closes: boolean;
  /** Whether more follows in the line, so that programs differ in whether it is a boundary. */
  readonly isLoose: boolean;
}

/** A line that only starts with a boundary. */
interface LooseLine {
  readonly delimiter: Delimiter;
  /** The line with what stands before it, without its line break. */
  readonly bytes: Buffer;
  /** Where in these the line begins. */
  readonly begin: number;
  /** Its line break, which stays in the buffer before the position. */
  readonly lineBreak: Buffer;
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
const NO_BOUNDARIES: ReadonlySet<string> = new Set();
const DASHES = Buffer.from('--');
const DASH = 0x2d;
/** The length of a line that may start with a boundary and go on. */
const MAX_LOOSE_LINE = 1000;

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
  readonly #boundaries = new OpenBoundaries();
  /** For each multipart in the stack the boundary that was found last. */
  readonly #lastBoundary = new WeakMap<Entity, string>();
  /** A line that only starts with a boundary, until it is known whether a part begins there. */
  #loose: LooseLine | null = null;
  readonly #nameBudgets = new NameBudgets();
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
    const kept = this.#loose?.lineBreak.length ?? 0;
    const rest = this.#buffer.subarray(this.#position - kept);
    const chunks = rest.length > 0 ? [rest, ...this.#waiting] : this.#waiting;
    this.#buffer = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    this.#position = kept;
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
    // Behind a line that only starts with a boundary there is hardly ever a head.
    if (this.#seen === 0 && !this.#loose) {
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
      if (this.#delimiterAt(at, end) ?? this.#looseDelimiterAt(at, end)) return this.#finishHead(at);
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
    if (this.#loose && !this.#settleLoose(this.#loose, bytes)) return true;
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
    const kind = this.#kindOf(content);
    const entity: Entity = { parent, headers, content, kind };
    this.#lineBreak = headers.lineBreak;
    this.#stack.push(entity);
    this.#boundaries.push(kind === 'multipart' ? content.boundaries : NO_BOUNDARIES);
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
    return {
      headers,
      content: new Content(headers, defaultType, this.#limits.maxParameters, this.#nameBudgets),
    };
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
    let at = this.#boundaries.longest >= 0 ? buffer.indexOf(DASHES, this.#position) : -1;
    while (at >= 0) {
      if (!this.#isLineStart(at)) {
        while (buffer[at] === DASH) at++; // a run of dashes within a line
      } else {
        const end = lineEnd(buffer, at);
        const complete = this.#isComplete(end);
        if (!complete && !final && this.#mayBecomeDelimiter(at, end)) {
          return this.#emit(lineBreakBefore(buffer, at, this.#position));
        }
        const delimiter =
          complete || final ? (this.#delimiterAt(at, end) ?? this.#looseDelimiterAt(at, end)) : null;
        if (delimiter) return this.#enter(delimiter, at, skipLineBreak(buffer, end));
        at = skipLineBreak(buffer, end);
      }
      at = buffer.indexOf(DASHES, at);
    }
    return this.#emit(final || this.#boundaries.longest < 0 ? buffer.length : this.#holdBack());
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
    if (end - at <= this.#boundaries.longest + 4) return true;
    if (!this.#delimiterAt(at, end)) return this.#looseDelimiterAt(at, end) !== null;
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
  #enter(delimiter: Delimiter, at: number, end: number): true {
    this.#emit(lineBreakBefore(this.#buffer, at, this.#position));
    const begin = at - this.#position;
    const bytes = this.#buffer.subarray(this.#position, end);
    this.#position = end;
    this.#atLineStart = true;
    if (delimiter.isLoose) {
      const lineBegin = lineEnd(bytes, begin);
      this.#loose = {
        delimiter,
        begin,
        bytes: bytes.subarray(0, lineBegin),
        lineBreak: bytes.subarray(lineBegin),
      };
      this.#inHead = true;
      this.#seen = 0;
    } else this.#delimit(delimiter, { bytes });
    return true;
  }

  /** Ends the parts in a multipart and begins the next one. */
  #delimit({ level, boundary, closes }: Delimiter, frame: Pick<FramePiece, 'bytes' | 'exact'>): void {
    this.#close(level + 1);
    const entity = this.#stack[level] as Entity;
    this.#pieces.push({ type: 'frame', entity, ...frame });
    this.#lastBoundary.set(entity, boundary);
    // After a closing boundary the multipart stays open, because some mail programs read further parts there.
    if (!closes) this.#beginHead();
  }

  /** A line that only starts with a boundary counts as one if fields of content follow. @returns whether it does */
  #settleLoose({ delimiter, bytes, begin, lineBreak }: LooseLine, head: Buffer): boolean {
    this.#loose = null;
    if (head.length > 0 && new HeaderBlock(head, this.#limits, this.#lineBreak).describesContent) {
      const line = Buffer.from(`--${delimiter.boundary}`, 'latin1');
      const exact = Buffer.concat([bytes.subarray(0, begin), line, lineBreak]);
      this.#delimit(delimiter, { bytes: Buffer.concat([bytes, lineBreak]), exact });
      return true;
    }
    const entity = this.#stack.at(-1) as Entity;
    this.#pieces.push({ type: entity.kind === 'multipart' ? 'frame' : 'body', entity, bytes });
    this.#position -= lineBreak.length;
    this.#dashLines = [];
    this.#inHead = false;
    this.#atLineStart = false;
    return false;
  }

  /** Ends all entities but the outermost `depth`. */
  #close(depth: number): void {
    while (this.#stack.length > depth) {
      this.#pieces.push({ type: 'end', entity: this.#stack.pop() as Entity });
      this.#boundaries.pop();
    }
  }

  /**
   * The boundary in the line from `at` to `end`, for the innermost multipart that it matches. All open multiparts are checked,
   * because an inner one without a closing boundary ends at a boundary of an outer one (RFC 2046 5.1.2).
   */
  #delimiterAt(at: number, end: number): Delimiter | null {
    const buffer = this.#buffer;
    if (this.#boundaries.longest < 0 || buffer[at] !== DASH || buffer[at + 1] !== DASH) return null;
    let last = end;
    while (last > at + 2 && (buffer[last - 1] === SPACE || buffer[last - 1] === TAB)) last--;
    if (last - at > this.#boundaries.longest + 4) return null;
    const text = buffer.toString('latin1', at + 2, last);
    const opened = this.#boundaries.levelOf(text);
    const withoutEnd = text.endsWith('--') ? text.slice(0, -2) : text;
    const closed = text.endsWith('--') ? this.#boundaries.levelOf(withoutEnd) : -1;
    if (opened < 0 && closed < 0) return null;
    const closes = closed > opened;
    return { boundary: closes ? withoutEnd : text, level: Math.max(opened, closed), closes, isLoose: false };
  }

  /**
   * A line that only starts with a boundary. It begins a part in the innermost multipart, whichever boundary it is, because to
   * programs that compare whole lines the inner multiparts are still open.
   */
  #looseDelimiterAt(at: number, end: number): Delimiter | null {
    const buffer = this.#buffer;
    if (this.#boundaries.longest < 0 || buffer[at] !== DASH || buffer[at + 1] !== DASH) return null;
    if (end - at <= DASHES.length || end - at > MAX_LOOSE_LINE) return null;
    const text = buffer.toString('latin1', at + 2, Math.min(end, at + 4 + this.#boundaries.longest));
    if (!this.#boundaries.begins(text)) return null;
    const level = this.#boundaries.innermost;
    const entity = this.#stack[level] as Entity;
    const [first = ''] = entity.content.boundaries;
    return { boundary: this.#lastBoundary.get(entity) ?? first, level, closes: false, isLoose: true };
  }
}
