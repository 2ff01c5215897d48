/** A message in memory, and each of its parts. */
import type { Writable } from 'node:stream';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { encodeBytes } from '../internal/bytes.js';
import { badArgument, MilterError } from '../internal/errors.js';
import { type ByteSource, toBlocks, toBuffer } from './byte-source.js';
import { Content, type NamePair } from './content.js';
import type { HeaderBlock } from './header-block.js';
import { checkLimits, limitReached, type MimeLimitOptions, type MimeLimits } from './limits.js';
import { CR, LF } from './lines.js';
import { ReusableBuffer } from './reusable-buffer.js';
import { type Entity, isIdentity, Scanner, type ScannerOptions } from './scanner.js';
import { findScripts, mayHaveScript } from './scripts.js';
import { type MessageSource, readAll } from './source.js';
import { decodeContent, encoded, isSmallerAsBase64 } from './transfer-encoding.js';
import { zipnames } from './zip.js';

/** A header field of a message was set, or taken away (`value` is null). */
export type HeaderChange = (message: MimeMessage, name: string, value: string | null) => void;

const ENCODINGS = ['7bit', '8bit', 'binary', 'base64', 'quoted-printable'] as const;

/** What {@link MimeMessage.setPayload} can encode to. */
export type TransferEncoding = (typeof ENCODINGS)[number];

const EMPTY = Buffer.alloc(0);
/** HTML from this size on goes to base64 where quoted-printable would make much more of it. */
const LARGE_HTML = 1024 * 1024;
/** Bytes of HTML that are copied at a time. */
const HTML_BLOCK = 32 * 1024;

/** @internal What all parts of a message share. */
export class Shared {
  readonly reusable = new ReusableBuffer();
  /** Bytes that attached messages were decoded to. */
  decoded = 0;
}

/**
 * A message, or a part of one (pymilter's `MimeMessage`). What is not edited is written back as the same bytes: a part is a
 * window on the bytes that were read, until it or a part in it changes.
 */
export class MimeMessage {
  /** The part that this one is in; null for the message itself. */
  readonly parent: MimeMessage | null;
  /** Called with this part whenever one of its header fields changes; parts in it have their own. Default: null. */
  headerchange: HeaderChange | null = null;
  /** The limits it was read with. */
  readonly limits: Readonly<MimeLimits>;
  readonly #headers: HeaderBlock;
  readonly #shared: Shared;
  /** The message itself is 1. */
  #depth: number;
  #kind: Entity['kind'];
  #content: Content;
  /** What it was read from, head included; null once it is edited. */
  #source: Buffer | null = EMPTY;
  /** Of a leaf, as it is written; of an encoded message, as it was read. */
  #body: readonly (Buffer | ByteSource)[] = [EMPTY];
  #parts: MimeMessage[] = [];
  /** Ahead of, between and behind the parts: one more than there are parts. */
  #frames: Buffer[] = [EMPTY];

  private constructor(
    parent: MimeMessage | null,
    entity: Entity,
    limits: Readonly<MimeLimits>,
    shared = parent ? parent.#shared : new Shared(),
  ) {
    this.parent = parent;
    this.#shared = shared;
    this.#headers = entity.headers;
    this.#content = entity.content;
    this.#kind = entity.kind;
    this.limits = limits;
    this.#depth = parent ? parent.#depth + 1 : 1;
  }

  /**
   * Reads a message from its bytes, which are kept, not copied: do not change them afterwards. Nothing in it makes this
   * throw but a limit.
   *
   * @throws MilterError ERR_MILTER_MIME_LIMIT
   */
  static from(bytes: Uint8Array, options?: MimeLimitOptions): MimeMessage {
    if (!(bytes instanceof Uint8Array)) throw badArgument('mime: MimeMessage.from takes a Buffer');
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return MimeMessage.#parse(buffer, checkLimits('MimeMessage.from', options));
  }

  static #parse(
    bytes: Buffer,
    limits: MimeLimits,
    parent: MimeMessage | null = null,
    outer: ScannerOptions = {},
  ): MimeMessage {
    const scanner = new Scanner(limits, outer);
    const parts = new Map<Entity, MimeMessage>();
    const begins = new Map<Entity, number>();
    const bodies = new Map<Entity, number>();
    let at = 0;
    let root: MimeMessage | undefined;
    for (const pieces of [scanner.write(bytes), scanner.end()]) {
      for (const piece of pieces) {
        const { entity } = piece;
        if (piece.type === 'head') {
          const inside = entity.parent ? (parts.get(entity.parent) as MimeMessage) : null;
          const part = new MimeMessage(inside ?? parent, entity, limits);
          if (inside) {
            inside.#parts.push(part);
            inside.#frames.push(EMPTY);
          }
          root ??= part;
          parts.set(entity, part);
          begins.set(entity, at);
          bodies.set(entity, at + piece.bytes.length);
        }
        const part = parts.get(entity) as MimeMessage;
        if (piece.type === 'end') {
          part.#source = bytes.subarray(begins.get(entity), at);
          if (part.#kind === 'leaf') part.#body = [bytes.subarray(bodies.get(entity), at)];
          continue;
        }
        if (piece.type === 'frame') {
          // Pieces of a frame follow one another in `bytes`.
          const last = part.#frames.length - 1;
          const before = (part.#frames[last] as Buffer).length;
          part.#frames[last] = bytes.subarray(at - before, at + piece.bytes.length);
        }
        at += piece.bytes.length;
      }
    }
    for (const part of parts.values()) part.#openEncodedMessage((outer.parts ?? 0) + parts.size);
    return root as MimeMessage;
  }

  /** @internal A part without parts, as a stream brought it. */
  static leaf(entity: Entity, body: readonly Buffer[], limits: MimeLimits, shared: Shared): MimeMessage {
    const part = new MimeMessage(null, { ...entity, kind: 'leaf' }, limits, shared);
    part.#source = null;
    part.#body = body;
    part.#depth = depthOf(entity);
    part.#openEncodedMessage(part.#depth);
    return part;
  }

  /** An attached message that is base64 or quoted-printable, against RFC 2046 5.2.1: mail programs show it all the same. */
  #openEncodedMessage(parts: number): void {
    const { isMessage, encoding } = this.#content;
    if (this.#kind !== 'leaf' || !isMessage || isIdentity(encoding)) return;
    const { maxDecoded } = this.limits;
    const most = maxDecoded - this.#shared.decoded;
    const bytes = decodeContent(encoding, this.#read(), undefined, most);
    if (!bytes) return;
    if (bytes.length > most)
      throw limitReached('maxDecoded', maxDecoded, 'bytes of attached messages that are encoded');
    this.#shared.decoded += bytes.length;
    this.#kind = 'message';
    const outer = { depth: this.#depth, parts, lineBreak: this.lineBreak };
    this.#parts = [MimeMessage.#parse(bytes, this.limits, this, outer)];
  }

  // --- parts

  /** The parts of a multipart, or the message that is attached; empty for a leaf. */
  get parts(): readonly MimeMessage[] {
    return this.#parts;
  }

  /** This part and all in it, through attached messages, each ahead of those in it (Python's `walk`). */
  *walk(): Generator<MimeMessage> {
    yield this;
    for (const part of this.#parts) yield* part.walk();
  }

  /** Whether it has parts between boundaries (pymilter's `ismultipart`). */
  ismultipart(): boolean {
    return this.#kind === 'multipart';
  }

  /** The message that this part is an envelope for (message/rfc822), or null (pymilter's `get_submsg`). */
  getSubmsg(): MimeMessage | null {
    return this.#kind === 'message' ? (this.#parts[0] as MimeMessage) : null;
  }

  /** Whether it or a part in it was edited (pymilter's `ismodified`). */
  ismodified(): boolean {
    return this.#source === null || this.#parts.some((part) => part.ismodified());
  }

  // --- header fields

  /** The value of the first field of this name, unfolded; null where there is none. Encoded words stay encoded. */
  getHeader(name: string): string | null {
    return this.#headers.getAll(name)[0] ?? null;
  }

  /** The values of all fields of this name (pymilter's `getheaders`). */
  getheaders(name: string): string[] {
    return this.#headers.getAll(name);
  }

  /** Names and values of all fields, in their order. */
  headers(): [name: string, value: string][] {
    return this.#headers.entries();
  }

  /**
   * Puts a field in the place of all of its name, or behind the others. Announced to {@link headerchange}: null for each that
   * goes without successor, then the value.
   *
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for what is no field
   */
  setHeader(name: string, value: string): void {
    const others = this.#headers.set(name, value);
    this.#changedHeader();
    for (let count = 0; count < others; count++) this.headerchange?.(this, name, null);
    this.headerchange?.(this, name, value);
  }

  /** Adds a field behind the others, and announces it. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
  addHeader(name: string, value: string): void {
    this.#headers.add(name, value);
    this.#changedHeader();
    this.headerchange?.(this, name, value);
  }

  /** Takes all fields of this name away, and announces null for each. @returns whether there was one */
  deleteHeader(name: string): boolean {
    const gone = this.#headers.delete(name);
    if (gone > 0) this.#changedHeader();
    for (let count = 0; count < gone; count++) this.headerchange?.(this, name, null);
    return gone > 0;
  }

  #changedHeader(): void {
    this.#content = new Content(this.#headers, 'text/plain');
    this.#source = null;
  }

  // --- what the fields say

  /** The content type in lower case, without parameters; text/plain where none is given (pymilter's `gettype`). */
  gettype(): string {
    return this.#content.type;
  }

  /** A parameter of Content-Type, or of another field, decoded; null where there is none (pymilter's `getparam`). */
  getparam(name: string, field = 'Content-Type'): string | null {
    const key = name.toLowerCase();
    return this.#content.parameters(field).find(([attribute]) => attribute === key)?.[1] ?? null;
  }

  /** All parameters of Content-Type, decoded (pymilter's `getparams`). */
  getparams(): NamePair[] {
    return [...this.#content.parameters('Content-Type')];
  }

  /** The name that Content-Type gives (pymilter's `getname`). */
  getname(): string | null {
    return this.getparam('name');
  }

  /** The name that Content-Disposition gives, or else Content-Type (pymilter's `getfilename`). */
  getfilename(): string | null {
    return this.getparam('filename', 'Content-Disposition') ?? this.getname();
  }

  /**
   * All names that this part is known by: each parameter of Content-Type with `name` in its own name, and the filename of
   * Content-Disposition; those of several readings are all there. RFC 2231 and encoded words are decoded.
   *
   * @param scanZip whether to look into a ZIP file, and into ZIP files in it: its entries come as `zipname`. Default: false
   * @param options limits of that. Default: those that the message was read with
   * @throws MilterError ERR_MILTER_BAD_ZIP, ERR_MILTER_MIME_LIMIT
   */
  async getnames(scanZip = false, options?: MimeLimitOptions): Promise<NamePair[]> {
    const names = [...this.#content.names];
    const limits = checkLimits('getnames', options, this.limits);
    if (!scanZip || !this.iszip()) return names;
    const bytes = decodeContent(this.#content.encoding, this.#read());
    if (!bytes) throw badZip(`its encoding ${JSON.stringify(this.#content.encoding)} is unknown`);
    const entries = await zipnames(bytes, limits);
    return [...names, ...entries.map((name): NamePair => ['zipname', name])];
  }

  /** Whether it is a ZIP file, by its type or a name. */
  iszip(): boolean {
    return this.#kind === 'leaf' && this.#content.isZip;
  }

  /** Whether it is HTML: text/html, or octet-stream named .htm or .html. */
  ishtml(): boolean {
    return this.#kind === 'leaf' && this.#content.isHtml;
  }

  /** The character set in lower case; empty where none is named. */
  getcharset(): string {
    return this.#content.charset;
  }

  /** Content-Transfer-Encoding in lower case; empty where there is none (pymilter's `getencoding`). */
  getencoding(): string {
    return this.#content.encoding;
  }

  /** What ends the lines of its head: `'\r\n'` or `'\n'`, seldom `'\r'`. */
  get lineBreak(): string {
    return this.#headers.lineBreak;
  }

  // --- content

  /** The content as it is written, still encoded (pymilter's `get_payload`). It may be the message's own bytes: read only. */
  getPayload(): Buffer {
    const pieces = [...this.#bodyPieces()];
    const [only] = pieces;
    return pieces.length === 1 && Buffer.isBuffer(only) ? only : toBuffer(pieces);
  }

  /** The content of a leaf as it was read or set, or else made. */
  #read(): Buffer[] {
    return [...toBlocks(this.#body)];
  }

  /** As {@link getPayload}, decoded; as it is where the encoding is unknown (pymilter's `get_payload_decoded`). */
  getPayloadDecoded(): Buffer {
    const payload = this.getPayload();
    return this.#kind === 'multipart'
      ? payload
      : (decodeContent(this.#content.encoding, [payload]) ?? payload);
  }

  /**
   * Replaces the content, parts included (pymilter's `set_payload`).
   *
   * @param content text is written as UTF-8
   * @param encoding how to encode it, which Content-Transfer-Encoding then says; by default it is written as it is, for a
   *   content that is encoded already
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT where a line of it would be read as a boundary of the message
   */
  setPayload(content: Uint8Array | string, encoding?: TransferEncoding): void {
    const text: unknown = content;
    if (typeof text !== 'string' && !(text instanceof Uint8Array))
      throw badArgument('mime: setPayload takes a Buffer or a string');
    if (encoding !== undefined && !ENCODINGS.includes(encoding))
      throw badArgument(
        `mime: setPayload encodes to ${ENCODINGS.join(', ')}, not ${JSON.stringify(encoding)}`,
      );
    const bytes = typeof content === 'string' ? encodeBytes(content) : content;
    const body = encode(bytes, encoding, this.lineBreak);
    this.#checkBoundaries(body);
    if (encoding !== undefined && encoding !== this.getencoding())
      this.setHeader('Content-Transfer-Encoding', encoding);
    this.#source = null;
    this.#kind = 'leaf';
    this.#parts = [];
    this.#body = [body];
  }

  /**
   * @internal Takes the scripts out of HTML, which is then encoded while it is written.
   *
   * @param most HTML with scripts that is larger is left alone
   * @returns what was done
   */
  removeScripts(most: number): 'nothing' | 'removed' | 'too large' {
    const body = this.#read();
    const { encoding, charset } = this.#content;
    const { reusable } = this.#shared;
    const size = body.reduce((sum, { length }) => sum + length, 0);
    // Beyond the size of its encoded form, which uuencode alone can be, it is not decoded to the end.
    const longest = Math.max(most, size);
    const decode = (room: (size: number) => Buffer): Buffer =>
      decodeContent(encoding, body, room, longest) ?? decodeContent('', body, room) ?? EMPTY;
    const owner = {};
    const html = reusable.content(owner, decode);
    if (html.length > longest) return 'too large';
    if (!mayHaveScript(html)) return 'nothing';
    if (html.length > most) return 'too large';
    const found = findScripts(html, charset);
    if (!found) return 'nothing';
    const { ranges, warning } = found;
    const whole = html.length;
    /** In copies: others may decode to the same memory between one block and the next. */
    const harmless = function* (): Generator<Buffer> {
      const block = Buffer.allocUnsafe(Math.min(HTML_BLOCK, whole));
      let done = 0;
      for (const [begin, end] of [...ranges, [whole, whole] as const]) {
        for (; done < begin; done += block.length) {
          const content = reusable.content(owner, decode);
          const size = content.copy(block, 0, done, Math.min(begin, done + block.length));
          yield block.subarray(0, size);
        }
        if (begin < whole) yield warning;
        done = end;
      }
    };
    const target = whole >= LARGE_HTML && isSmallerAsBase64(html) ? 'base64' : 'quoted-printable';
    const length = whole + ranges.length * warning.length;
    if (target !== encoding) this.setHeader('Content-Transfer-Encoding', target);
    this.#source = null;
    this.#body = [encoded(target, length, harmless, this.lineBreak)];
    return 'removed';
  }

  #checkBoundaries(body: Buffer): void {
    for (let part = this.parent; part; part = part.parent) {
      for (const boundary of part.#kind === 'multipart' ? part.#content.boundaries : []) {
        const line = Buffer.from(`--${boundary}`, 'latin1');
        for (let at = body.indexOf(line); at >= 0; at = body.indexOf(line, at + line.length)) {
          if (at === 0 || isBreak(body[at - 1]))
            throw badArgument(
              'mime: setPayload: a line of the content is a boundary of the message; encode it',
            );
        }
      }
    }
  }

  // --- writing

  /** The bytes of the content, in pieces: what `replacebody` of `tsmilter` takes, one after the other. */
  bodyChunks(): Generator<Buffer> {
    return toBlocks(this.#bodyPieces());
  }

  *#bodyPieces(): Generator<Buffer | ByteSource> {
    if (this.#kind === 'leaf') {
      yield* this.#body;
      return;
    }
    const [submessage] = this.#parts;
    if (this.#kind === 'message' && submessage) {
      const { encoding } = this.#content;
      if (isIdentity(encoding)) yield* submessage.#pieces();
      else if (!submessage.ismodified()) yield* this.#body;
      else {
        const pieces = [...submessage.#pieces()];
        const size = pieces.reduce(
          (sum, piece) => sum + (Buffer.isBuffer(piece) ? piece.length : piece.most),
          0,
        );
        yield encoded(reencoding(encoding), size, () => toBlocks(pieces), this.lineBreak);
      }
      return;
    }
    let last: number | undefined = LF;
    for (const [index, frame] of this.#frames.entries()) {
      // A part whose head its boundary ended had no line break ahead of the boundary; content that was added needs one.
      if (frame.length > 0 && !isBreak(frame[0]) && !isBreak(last)) yield Buffer.from(this.lineBreak);
      yield frame;
      last = frame.at(-1) ?? last;
      const part = this.#parts[index];
      for (const piece of part ? part.#pieces() : []) {
        yield piece;
        // What is made while it is written was content before: a line break is ahead of the boundary.
        if (Buffer.isBuffer(piece)) last = piece.at(-1) ?? last;
      }
    }
  }

  /** The bytes of head and content, in pieces. */
  chunks(): Generator<Buffer> {
    return toBlocks(this.#pieces());
  }

  *#pieces(): Generator<Buffer | ByteSource> {
    if (this.#source && !this.ismodified()) {
      yield this.#source;
      return;
    }
    const submessage = this.getSubmsg();
    const { encoding } = this.#content;
    // An encoding that is read here but not written: what comes is base64, and the head has to say so.
    if (submessage?.ismodified() && !isIdentity(encoding) && reencoding(encoding) !== encoding)
      this.setHeader('Content-Transfer-Encoding', reencoding(encoding));
    yield this.#headers.toBuffer();
    yield* this.#bodyPieces();
  }

  /** The whole as bytes; the same that were read, unless it was edited (pymilter's `as_bytes`). */
  asBytes(): Buffer {
    return toBuffer([...this.#pieces()]);
  }

  /** Writes the whole to a stream, which is ended (pymilter's `dump`). */
  async dump(stream: Writable): Promise<void> {
    await pipeline(Readable.from(this.chunks(), { objectMode: false }), stream);
  }

  /** @internal The names of its fields that `test` accepts, in lower case. */
  fieldNames(test: (key: string) => boolean): string[] {
    return this.#headers.names(test);
  }
}

/**
 * Reads a message from a file or a stream (pymilter's `message_from_file`).
 *
 * @param source the path of a file, a stream of bytes, or bytes
 * @throws MilterError ERR_MILTER_MIME_LIMIT, ERR_MILTER_BAD_ARGUMENT, and what reading the source throws
 */
export async function messageFromFile(
  source: MessageSource,
  options?: MimeLimitOptions,
): Promise<MimeMessage> {
  const limits = checkLimits('messageFromFile', options);
  return MimeMessage.from(await readAll(source, limits), limits);
}

const isBreak = (byte: number | undefined): boolean => byte === LF || byte === CR;

const reencoding = (encoding: string): 'base64' | 'quoted-printable' =>
  encoding === 'quoted-printable' ? 'quoted-printable' : 'base64';

/** A Buffer of its own, whatever the encoding. */
function encode(bytes: Uint8Array, encoding: TransferEncoding | undefined, lineBreak: string): Buffer {
  if (encoding !== 'base64' && encoding !== 'quoted-printable') return Buffer.from(bytes);
  return toBuffer([encoded(encoding, bytes.length, () => [bytes], lineBreak)]);
}

/** How deep an entity is; the message itself is 1. */
function depthOf(entity: Entity | null): number {
  return entity ? depthOf(entity.parent) + 1 : 0;
}

function badZip(reason: string): MilterError {
  return new MilterError('ERR_MILTER_BAD_ZIP', `mime: the ZIP file cannot be read: ${reason}`);
}
