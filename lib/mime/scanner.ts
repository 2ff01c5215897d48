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

/** A line that only starts with a boundary, as offsets from the position. */
interface LooseLine {
  readonly delimiter: Delimiter;
  readonly begin: number;
  /** Where its line break begins and ends. */
  readonly lineBreak: number;
  readonly end: number;
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
const TEXT = ['text/plain'];
const MESSAGE = ['message/rfc822'];
const TEXT_OR_MESSAGE = ['text/plain', 'message/rfc822'];
const DASHES = Buffer.from('--');
const DASH = 0x2d;

/** Whether a part in this multipart may be one of a digest, because programs differ in which multiparts have ended. */
function mayBeDigest(multipart: Entity): boolean {
  for (let outer: Entity | null = multipart; outer; outer = outer.parent)
    if (outer.kind === 'multipart' && outer.content.types.includes('multipart/digest')) return true;
  return false;
}

/** The types of an entity without Content-Type: in a digest a message (RFC 2046 5.1.5). */
function defaultTypes(parent: Entity | null): readonly string[] {
  if (parent?.kind !== 'multipart') return TEXT;
  if (parent.content.type === 'multipart/digest') return MESSAGE;
  return mayBeDigest(parent) ? TEXT_OR_MESSAGE : TEXT;
}

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
  /** The byte before the buffer. */
  #byteBefore: number | undefined;
  #inHead = true;
  /** In a head: bytes of it whose lines have been scanned, and where in it lines that begin with `--` are. */
  #seen = 0;
  #dashLines: number[] = [];
  /** In a body: whether a line begins at the position. */
  #atLineStart = true;
  /** In a body: bytes after the position in which there is no boundary. */
  #searched = 0;
  readonly #boundaries = new OpenBoundaries();
  /** For each multipart in the stack the boundary that was found last. */
  readonly #lastBoundary = new WeakMap<Entity, string>();
  /**
   * A line that only starts with a boundary, until it is known whether a part begins there. It is not returned before, so that many
   * such lines cost no more than others.
   */
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
    const rest = this.#buffer.subarray(this.#position);
    if (this.#position > 0) this.#byteBefore = this.#buffer[this.#position - 1];
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

  /** Where the head begins that is scanned: at the position, or behind a line that only starts with a boundary. */
  get #headBegin(): number {
    return this.#position + (this.#loose?.end ?? 0);
  }

  /** @returns whether there is more to scan */
  #scanHead(final: boolean): boolean {
    const buffer = this.#buffer;
    const begin = this.#headBegin;
    // Behind a line that only starts with a boundary there is hardly ever a head.
    if (this.#seen === 0 && !this.#loose) {
      const end = ordinaryHeadEnd(buffer, this.#position);
      if (end - this.#position <= this.#limits.maxHeadSize && end >= 0) return this.#finishHead(end);
    }
    let at = begin + this.#seen;
    for (;;) {
      const end = lineEnd(buffer, at);
      if (!final && !this.#isComplete(end)) {
        this.#seen = at - begin;
        if (this.#checkHeadSize(buffer.length)) return true;
        if (this.#loose) this.#emitBefore(this.#loose);
        return false;
      }
      if (end === at) return this.#finishHead(skipLineBreak(buffer, end));
      if (this.#delimiterAt(at, end)) return this.#finishHead(at);
      if (buffer[at] === DASH && buffer[at + 1] === DASH) this.#dashLines.push(at - begin);
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
    const begin = this.#headBegin;
    if (end - begin <= this.#limits.maxHeadSize) return false;
    if (looksLikeHead(this.#buffer.subarray(begin, end)))
      throw limitReached('maxHeadSize', this.#limits.maxHeadSize, 'bytes of header fields of a part');
    return this.#finishHead(begin);
  }

  #finishHead(end: number): true {
    const begin = this.#headBegin;
    let bytes = end > begin ? this.#buffer.subarray(begin, end) : EMPTY;
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
    return {
      headers,
      content: new Content(headers, defaultTypes(parent), this.#limits.maxParameters, this.#nameBudgets),
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
    let at = this.#boundaries.longest >= 0 ? this.#dashesFrom(this.#position + this.#searched) : -1;
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
        if (delimiter) return this.#enter(delimiter, at, end);
        at = skipLineBreak(buffer, end);
      }
      at = this.#dashesFrom(at);
    }
    return this.#emit(final || this.#boundaries.longest < 0 ? buffer.length : this.#holdBack());
  }

  /** The index of the next two dashes, or -1. A search that finds them where it begins costs more than a look. */
  #dashesFrom(at: number): number {
    const buffer = this.#buffer;
    return buffer[at] === DASH && buffer[at + 1] === DASH ? at : buffer.indexOf(DASHES, at);
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
    const delimiter = this.#delimiterAt(at, end);
    if (!delimiter) return false;
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
    this.#searched = 0;
    return false;
  }

  /** Handles the boundary in the line from `at`, with its line break at `lineBreak`. */
  #enter(delimiter: Delimiter, at: number, lineBreak: number): true {
    const buffer = this.#buffer;
    const end = skipLineBreak(buffer, lineBreak);
    if (delimiter.isLoose) {
      const position = this.#position;
      this.#loose = {
        delimiter,
        begin: at - position,
        lineBreak: lineBreak - position,
        end: end - position,
      };
      this.#inHead = true;
      this.#seen = 0;
      return true;
    }
    // Python takes a closing boundary directly after a boundary for the same boundary again.
    const closes = delimiter.closes && !(at === this.#position && this.#isEmptyPartOf(delimiter.level));
    this.#emit(lineBreakBefore(buffer, at, this.#position));
    const frame = this.#frameOf(delimiter, end, at, lineBreak);
    this.#position = end;
    this.#delimit({ ...delimiter, closes }, frame);
    return true;
  }

  /**
   * The frame that ends with the boundary line from `at`. It is to become what all programs read as a boundary: where more follows in
   * the line, and where a line break is a CR, which ends a line only to some.
   *
   * @param lineBreak where the line break after the line begins
   */
  #frameOf(
    { boundary, level, isLoose }: Delimiter,
    end: number,
    at: number,
    lineBreak: number,
  ): Pick<FramePiece, 'bytes' | 'exact'> {
    const buffer = this.#buffer;
    const bytes = buffer.subarray(this.#position, end);
    // What stands behind a head with such a CR is also read without any.
    const isCr = (byte: number | undefined): boolean =>
      byte === CR && !this.#stack.slice(0, level + 1).some(({ headers }) => headers.hasLoneCr);
    const isCrBefore = isCr(at > 0 ? buffer[at - 1] : this.#byteBefore);
    const isCrAfter = buffer[end - 1] !== LF && end < buffer.length && isCr(buffer[lineBreak]);
    if (!isLoose && !isCrBefore && !isCrAfter) return { bytes };
    const usual = this.#lineBreak === '\r\n' ? '\r\n' : '\n';
    const exact = [
      isCrBefore ? Buffer.from(usual) : buffer.subarray(this.#position, at),
      isLoose ? Buffer.from(`--${boundary}`, 'latin1') : buffer.subarray(at, lineBreak),
      isCrAfter ? Buffer.from(usual) : buffer.subarray(lineBreak, end),
    ];
    return { bytes, exact: Buffer.concat(exact) };
  }

  /** Whether a part of the multipart at `level` has begun, and nothing has been read of it, as long as its content has not begun. */
  #isEmptyPartOf(level: number): boolean {
    const inner = this.#stack.slice(level + 1);
    return inner.length > 0 && inner.every(({ headers }) => headers.size === 0);
  }

  /** Returns what stands before a line that only starts with a boundary. */
  #emitBefore({ delimiter, begin, lineBreak, end }: LooseLine): LooseLine {
    const before = this.#position;
    this.#emit(lineBreakBefore(this.#buffer, before + begin, before));
    const size = this.#position - before;
    this.#loose = { delimiter, begin: begin - size, lineBreak: lineBreak - size, end: end - size };
    return this.#loose;
  }

  /** Ends the parts in a multipart and begins the next one. */
  #delimit({ level, boundary, closes }: Delimiter, frame: Pick<FramePiece, 'bytes' | 'exact'>): void {
    this.#close(level + 1);
    const entity = this.#stack[level] as Entity;
    this.#pieces.push({ type: 'frame', entity, ...frame });
    this.#lastBoundary.set(entity, boundary);
    this.#atLineStart = true;
    // After a closing boundary the multipart stays open, because some mail programs read further parts there.
    if (!closes) this.#beginHead();
  }

  /** A line that only starts with a boundary counts as one if a head that matters follows. @returns whether it does */
  #settleLoose(loose: LooseLine, head: Buffer): boolean {
    if (this.#matters(loose, head)) {
      const { delimiter, begin, lineBreak, end } = this.#emitBefore(loose);
      const position = this.#position;
      const frame = this.#frameOf(delimiter, position + end, position + begin, position + lineBreak);
      this.#loose = null;
      this.#position += end;
      this.#delimit(delimiter, frame);
      return true;
    }
    this.#loose = null;
    this.#searched = loose.lineBreak;
    this.#dashLines = [];
    this.#inHead = false;
    return false;
  }

  /** Whether a head describes content, or is one, even an empty one, in a digest, where a message follows. */
  #matters({ delimiter }: LooseLine, head: Buffer): boolean {
    if (head.length === 0) return false;
    if (mayBeDigest(this.#stack[delimiter.level] as Entity)) return true;
    return new HeaderBlock(head, this.#limits, this.#lineBreak).describesContent;
  }

  /** Ends all entities but the outermost `depth`. */
  #close(depth: number): void {
    while (this.#stack.length > depth) {
      this.#pieces.push({ type: 'end', entity: this.#stack.pop() as Entity });
      this.#boundaries.pop();
    }
  }

  /** The boundary in the line from `at` to `end`, or with which it begins. */
  #delimiterAt(at: number, end: number): Delimiter | null {
    const buffer = this.#buffer;
    const { longest } = this.#boundaries;
    if (longest < 0 || buffer[at] !== DASH || buffer[at + 1] !== DASH) return null;
    let last = end;
    while (last > at + 2 && (buffer[last - 1] === SPACE || buffer[last - 1] === TAB)) last--;
    const text = buffer.toString('latin1', at + 2, Math.min(end, at + 4 + longest));
    const exact = last - at <= longest + 4 ? this.#exactDelimiter(text.slice(0, last - at - 2)) : null;
    return exact ?? this.#looseDelimiter(text);
  }

  /**
   * The boundary that a line is, for the innermost multipart that it matches. All open multiparts are checked, because an inner one
   * without a closing boundary ends at a boundary of an outer one (RFC 2046 5.1.2).
   *
   * @param text the line after its `--`, without blanks at its end
   */
  #exactDelimiter(text: string): Delimiter | null {
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
   *
   * @param text the line after its `--`
   */
  #looseDelimiter(text: string): Delimiter | null {
    if (!this.#boundaries.begins(text)) return null;
    const level = this.#boundaries.innermost;
    const entity = this.#stack[level] as Entity;
    const [first = ''] = entity.content.boundaries;
    return { boundary: this.#lastBoundary.get(entity) ?? first, level, closes: false, isLoose: true };
  }
}
