/** A message in memory, and each of its parts. */

import type { Writable } from 'node:stream';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { types } from 'node:util';
import { encodeBytes } from '../internal/bytes.js';
import { badArgument, MilterError } from '../internal/errors.js';
import { type ByteSource, maxLengthOf, toBlocks, toBuffer } from './byte-source.js';
import { Content, type NamePair } from './content.js';
import { withoutScripts } from './encoded-html.js';
import { isIdentity, otherContents } from './encoding-readings.js';
import type { HeaderBlock } from './header-block.js';
import { checkLimits, limitReached, type MimeLimitOptions, type MimeLimits } from './limits.js';
import { containerFormat } from './magic.js';
import { hasBoundaryLine, joinParts } from './multipart.js';
import { hasOtherReadings, otherReadings } from './other-readings.js';
import { type ParsedPart, parseParts } from './part-tree.js';
import { type Allocate, ReusableBuffer } from './reusable-buffer.js';
import type { Entity, ScannerOptions } from './scanner.js';
import { type MessageSource, readAll } from './source.js';
import { tnefNames } from './tnef.js';
import { decodeContent, encoded, isDecodable } from './transfer-encoding.js';
import { uuencodedNames } from './uuencode.js';
import { zipnames } from './zip.js';

/** Called when a header field was set or added, or removed; then `value` is null. */
export type HeaderChange = (message: MimeMessage, name: string, value: string | null) => void;

const ENCODINGS = ['7bit', '8bit', 'binary', 'base64', 'quoted-printable'] as const;

/** The encodings that {@link MimeMessage.setPayload} supports. */
export type TransferEncoding = (typeof ENCODINGS)[number];

const EMPTY = Buffer.alloc(0);

/** @internal State shared by all parts of a message. */
export class MessageState {
  /** Content is decoded here. */
  readonly decodedContent = new ReusableBuffer();
  /** Bytes that attached messages were decoded to; counts towards `maxDecoded`. */
  decoded = 0;
}

/**
 * A message, or a part of one (pymilter's `MimeMessage`). What is not edited is written back unchanged, byte for byte: a part
 * is a window on the bytes that were read, until it or a part in it is edited.
 */
export class MimeMessage {
  /** The part that contains this one; null for the message itself. */
  readonly parent: MimeMessage | null;
  /** Called with this part whenever one of its header fields changes. It is set for each part separately. Default: null. */
  headerchange: HeaderChange | null = null;
  /** The limits that the message was read with. */
  readonly limits: Readonly<MimeLimits>;
  readonly #headers: HeaderBlock;
  readonly #state: MessageState;
  /** 1 for the message itself. */
  #depth: number;
  #kind: Entity['kind'];
  #content: Content;
  /** The bytes it was read from, including the head; null after an edit. */
  #source: Buffer | null = EMPTY;
  /** The content of a leaf as it is written, or that of an encoded message as it was read. */
  #body: readonly (Buffer | ByteSource)[] = [EMPTY];
  #parts: MimeMessage[] = [];
  /** The bytes in which {@link #frames} stand. */
  #bytes: Buffer = EMPTY;
  /** Where the bytes before, between and after the parts are: one frame more than there are parts. */
  #frames: readonly (readonly [begin: number, end: number])[] = [[0, 0]];

  private constructor(
    parent: MimeMessage | null,
    entity: Entity,
    limits: Readonly<MimeLimits>,
    state = parent ? parent.#state : new MessageState(),
  ) {
    this.parent = parent;
    this.#state = state;
    this.#headers = entity.headers;
    this.#content = entity.content;
    this.#kind = entity.kind;
    this.limits = limits;
    this.#depth = parent ? parent.#depth + 1 : 1;
  }

  /**
   * Reads a message from its bytes. They are not copied, so do not change them afterwards. Malformed messages are accepted;
   * only a limit makes this throw.
   *
   * @throws MilterError ERR_MILTER_MIME_LIMIT
   */
  static from(bytes: Uint8Array, options?: MimeLimitOptions): MimeMessage {
    if (!types.isUint8Array(bytes)) throw badArgument('mime: MimeMessage.from takes a Buffer');
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return MimeMessage.#parse(buffer, checkLimits('MimeMessage.from', options));
  }

  static #parse(
    bytes: Buffer,
    limits: MimeLimits,
    parent: MimeMessage | null = null,
    outer: ScannerOptions = {},
  ): MimeMessage {
    const { root, count } = parseParts(bytes, limits, outer);
    const message = new MimeMessage(parent, root.entity, limits);
    message.#takeParsed(root, bytes);
    message.#openEncodedMessages((outer.parts ?? 0) + count);
    return message;
  }

  #takeParsed({ begin, bodyBegin, end, frames, parts }: ParsedPart, bytes: Buffer): void {
    this.#source = bytes.subarray(begin, end);
    if (this.#kind === 'leaf') this.#body = [bytes.subarray(bodyBegin, end)];
    this.#bytes = bytes;
    this.#frames = frames;
    for (const inner of parts) {
      const part = new MimeMessage(this, inner.entity, this.limits);
      part.#takeParsed(inner, bytes);
      this.#parts.push(part);
    }
  }

  /** @internal Makes a leaf of a part that was read from a stream. */
  static leaf(entity: Entity, body: readonly Buffer[], limits: MimeLimits, state: MessageState): MimeMessage {
    const part = new MimeMessage(null, { ...entity, kind: 'leaf' }, limits, state);
    part.#source = null;
    part.#body = body;
    part.#depth = depthOf(entity);
    part.#openEncodedMessage(part.#depth);
    return part;
  }

  /** @internal Makes a part of what was held of a stream: all of it, with the parts in it. */
  static held(parsed: ParsedPart, bytes: Buffer, limits: MimeLimits, state: MessageState): MimeMessage {
    const part = new MimeMessage(null, parsed.entity, limits, state);
    part.#depth = depthOf(parsed.entity);
    part.#takeParsed(parsed, bytes);
    part.#openEncodedMessages(part.#depth);
    return part;
  }

  /** Opens the attached messages in this part, but not those in them, which are opened when they are parsed. */
  #openEncodedMessages(parts: number): void {
    const inner = this.#parts;
    this.#openEncodedMessage(parts);
    for (const part of inner) part.#openEncodedMessages(parts);
  }

  /** Opens an attached message in base64 or quoted-printable. RFC 2046 5.2.1 forbids these encodings, but mail programs show it. */
  #openEncodedMessage(parts: number): void {
    const { isMessage, encoding } = this.#content;
    if (this.#kind !== 'leaf' || !isMessage || isIdentity(encoding)) return;
    const { maxDecoded } = this.limits;
    const remaining = maxDecoded - this.#state.decoded;
    const bytes = decodeContent(encoding, this.#storedBody(), undefined, remaining);
    if (!bytes) return;
    if (bytes.length > remaining)
      throw limitReached('maxDecoded', maxDecoded, 'bytes of attached messages that are encoded');
    this.#state.decoded += bytes.length;
    this.#kind = 'message';
    const outer = { depth: this.#depth, parts, lineBreak: this.lineBreak };
    this.#parts = [MimeMessage.#parse(bytes, this.limits, this, outer)];
  }

  // --- parts

  /** The parts of a multipart, or the one attached message; empty for a leaf. */
  get parts(): readonly MimeMessage[] {
    return this.#parts;
  }

  /** This part and all parts in it, including those of attached messages, in depth-first order (Python's `walk`). */
  *walk(): Generator<MimeMessage> {
    yield this;
    for (const part of this.#parts) yield* part.walk();
  }

  /** Whether it has parts between boundaries (pymilter's `ismultipart`). */
  ismultipart(): boolean {
    return this.#kind === 'multipart';
  }

  /** The attached message if this part is a message/rfc822, otherwise null (pymilter's `get_submsg`). */
  getSubmsg(): MimeMessage | null {
    return this.#kind === 'message' ? (this.#parts[0] as MimeMessage) : null;
  }

  /** Whether this part or a part in it was edited (pymilter's `ismodified`). */
  ismodified(): boolean {
    return this.#source === null || this.#parts.some((part) => part.ismodified());
  }

  // --- header fields

  /** The value of the first field of this name, unfolded, or null if there is none. Encoded words are not decoded. */
  getHeader(name: string): string | null {
    return this.#headers.getAll(name)[0] ?? null;
  }

  /** The values of all fields of this name (pymilter's `getheaders`). */
  getheaders(name: string): string[] {
    return this.#headers.getAll(name);
  }

  /** The names and values of all fields, in order. */
  headers(): [name: string, value: string][] {
    return this.#headers.entries();
  }

  /**
   * Replaces all fields of this name by one, or appends it if there is none. {@link headerchange} is called with null for each
   * field that is removed without a replacement, then with the value.
   *
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid name or value
   */
  setHeader(name: string, value: string): void {
    const others = this.#headers.set(name, value);
    this.#changedHeader();
    for (let count = 0; count < others; count++) this.headerchange?.(this, name, null);
    this.headerchange?.(this, name, value);
  }

  /** Appends a field and calls {@link headerchange}. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
  addHeader(name: string, value: string): void {
    this.#headers.add(name, value);
    this.#changedHeader();
    this.headerchange?.(this, name, value);
  }

  /** Removes all fields of this name and calls {@link headerchange} with null for each. @returns whether there was one */
  deleteHeader(name: string): boolean {
    const gone = this.#headers.delete(name);
    if (gone > 0) this.#changedHeader();
    for (let count = 0; count < gone; count++) this.headerchange?.(this, name, null);
    return gone > 0;
  }

  #changedHeader(): void {
    this.#content = new Content(this.#headers, 'text/plain', this.limits.maxParameters);
    this.#source = null;
  }

  // --- content type, names and encoding

  /** The content type in lower case, without parameters; text/plain if none is given (pymilter's `gettype`). */
  gettype(): string {
    return this.#content.type;
  }

  /** A parameter of Content-Type, or of another field, decoded; null if there is none (pymilter's `getparam`). */
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

  /** The name that Content-Disposition gives, otherwise the one of Content-Type (pymilter's `getfilename`). */
  getfilename(): string | null {
    return this.getparam('filename', 'Content-Disposition') ?? this.getname();
  }

  /**
   * All names of this part: each parameter of Content-Type and Content-Disposition whose own name contains `name`, those of
   * uuencoded files in it as `uuencode`, and those in a winmail.dat as `tnef`. If a name, or the part, can be read in several
   * ways, the names of all readings are included that have an extension of their own. RFC 2231 and encoded words are decoded.
   *
   * @param scanZip whether to include the entries of a ZIP file, and of ZIP files in it, as `zipname`. Default: false
   * @param options limits for ZIP files. Default: the limits that the message was read with
   * @throws MilterError ERR_MILTER_BAD_ZIP, ERR_MILTER_MIME_LIMIT
   */
  async getnames(scanZip = false, options?: MimeLimitOptions): Promise<NamePair[]> {
    const limits = checkLimits('getnames', options, this.limits);
    const names = this.ownNames();
    for (const reading of this.otherReadings()) {
      for (const part of MimeMessage.from(reading, limits).walk())
        names.push(...part.ownNames().filter((pair) => !hasPair(names, pair)));
    }
    if (!scanZip || !this.iszip()) return names;
    const entries = await this.zipEntries(limits);
    return [...names, ...entries.map((name): NamePair => ['zipname', name])];
  }

  /** @internal The names of this part as it is read usually, and of the files in its content. */
  ownNames(): NamePair[] {
    const names = [...this.#content.names];
    if (this.#kind !== 'leaf') return names;
    const { isText, isTnef } = this.#content;
    for (const bytes of isText || isTnef ? this.#transientContents() : []) {
      if (isText) names.push(...uuencodedNames(bytes).map((name): NamePair => ['uuencode', name]));
      if (isTnef) names.push(...tnefNames(bytes).map((name): NamePair => ['tnef', name]));
    }
    return names;
  }

  /**
   * The content of a leaf in all ways that it may be decoded.
   *
   * @param decode decodes it in the usual way. Default: in memory of its own
   */
  *#contents(decode = (decoder: (allocate?: Allocate) => Buffer) => decoder()): Generator<Buffer> {
    const { encodings } = this.#content;
    const body = this.#storedBody();
    yield decode((allocate) => decodeContent(encodings[0] as string, body, allocate) as Buffer);
    yield* otherContents(body, encodings);
  }

  /** As {@link #contents}, but each is valid only until the next one is requested. */
  #transientContents(): Generator<Buffer> {
    return this.#contents((decoder) => this.#state.decodedContent.content({}, decoder));
  }

  /** @internal The names in a ZIP file. @throws MilterError ERR_MILTER_BAD_ZIP, ERR_MILTER_MIME_LIMIT */
  async zipEntries(limits: MimeLimits): Promise<string[]> {
    const { encoding, encodings } = this.#content;
    if (!isDecodable(encoding) && encodings.length === 1)
      throw badZip(`its transfer encoding ${JSON.stringify(encoding)} is unknown`);
    const names = new Set<string>();
    for (const bytes of this.#contents()) for (const name of await zipnames(bytes, limits)) names.add(name);
    return [...names];
  }

  /** @internal The format of a container, by its first bytes; null if the content is none. */
  containerFormat(): string | null {
    for (const bytes of this.#kind === 'leaf' ? this.#transientContents() : []) {
      const format = containerFormat(bytes);
      if (format !== null) return format;
    }
    return null;
  }

  /** @internal Whether programs may read this part, as it is written now, in other ways than the usual one. */
  get hasOtherReadings(): boolean {
    return hasOtherReadings(this.#content, this.#kind, this.#headers);
  }

  /** @internal What other programs may read in place of this part: complete messages. */
  otherReadings(): Generator<Buffer> {
    const { limits } = this;
    return otherReadings(
      this.#headers.toBuffer(),
      this.#content,
      this.#kind,
      () => this.getPayload(),
      limits,
    );
  }

  /** @internal Whether a header field has more parameters than were read. */
  get isOverloaded(): boolean {
    return this.#content.isOverloaded;
  }

  /** @internal Whether the content is a message, by its type. */
  get isMessage(): boolean {
    return this.#content.isMessage;
  }

  /** Whether this part is a ZIP file, by its type or one of its names. */
  iszip(): boolean {
    return this.#kind === 'leaf' && this.#content.isZip;
  }

  /** Whether this part is HTML: text/html, or application/octet-stream with a name that ends in .htm or .html. */
  ishtml(): boolean {
    return this.#kind === 'leaf' && this.#content.isHtml;
  }

  /** The character set in lower case; empty if none is given. */
  getcharset(): string {
    return this.#content.charset;
  }

  /** Content-Transfer-Encoding in lower case; empty if none is given (pymilter's `getencoding`). */
  getencoding(): string {
    return this.#content.encoding;
  }

  /** The line break of the header fields: `'\r\n'` or `'\n'`, rarely `'\r'`. */
  get lineBreak(): string {
    return this.#headers.lineBreak;
  }

  // --- content

  /** The content as it is written, still encoded (pymilter's `get_payload`). Do not change it: it may be memory of the message. */
  getPayload(): Buffer {
    const pieces = [...this.#bodyPieces()];
    const [only] = pieces;
    return pieces.length === 1 && Buffer.isBuffer(only) ? only : toBuffer(pieces);
  }

  /** The content of a leaf as it was read or set. */
  #storedBody(): Buffer[] {
    return [...toBlocks(this.#body)];
  }

  /** As {@link getPayload}, but decoded, unless the encoding is unknown (pymilter's `get_payload_decoded`). */
  getPayloadDecoded(): Buffer {
    const payload = this.getPayload();
    return this.#kind === 'multipart'
      ? payload
      : (decodeContent(this.#content.encoding, [payload]) ?? payload);
  }

  /**
   * Replaces the content and all parts in it (pymilter's `set_payload`).
   *
   * @param content text is encoded as UTF-8
   * @param encoding the transfer encoding to apply, which is also set as Content-Transfer-Encoding. By default the content is
   *   written as it is, which is right for content that is already encoded
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT if a line of the content would be read as a boundary of the message
   */
  setPayload(content: Uint8Array | string, encoding?: TransferEncoding): void {
    const text: unknown = content;
    if (typeof text !== 'string' && !types.isUint8Array(text))
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
   * @internal Removes the scripts from HTML, which is encoded again while it is written.
   *
   * @param maxSize HTML with scripts that is larger when decoded is left alone
   * @returns what was done; `hidden` if there are scripts that only some programs see, which are not removed
   */
  removeScripts(maxSize: number): 'nothing' | 'removed' | 'too large' | 'hidden' {
    const { encoding, encodings, charset, charsets, isXml } = this.#content;
    const html = {
      body: this.#storedBody(),
      encoding: encodings[0] as string,
      otherContents: () => otherContents(this.#storedBody(), encodings),
      charset,
      charsets,
      isXml,
      lineBreak: this.lineBreak,
    };
    const outcome = withoutScripts(html, this.#state.decodedContent, maxSize);
    if (typeof outcome === 'string') return outcome;
    if (outcome.encoding !== encoding) this.setHeader('Content-Transfer-Encoding', outcome.encoding);
    this.#source = null;
    this.#body = [outcome.body];
    return 'removed';
  }

  #checkBoundaries(body: Buffer): void {
    for (let part = this.parent; part; part = part.parent) {
      if (part.#kind === 'multipart' && hasBoundaryLine(body, part.#content.boundaries))
        throw badArgument('mime: setPayload: a line of the content is a boundary of the message; encode it');
    }
  }

  // --- writing

  /** The content as it is written, in chunks. Pass them to `replacebody` one after the other. */
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
        yield encoded(reencoding(encoding), maxLengthOf(pieces), () => toBlocks(pieces), this.lineBreak);
      }
      return;
    }
    const parts = this.#parts.map((part) => part.#pieces());
    const frames = this.#frames.map(([begin, end]) => this.#bytes.subarray(begin, end));
    yield* joinParts(frames, parts, this.lineBreak);
  }

  /** Head and content, in chunks. */
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
    // uuencode can be read but is not written: the message becomes base64, and the header field has to say so.
    if (submessage?.ismodified() && !isIdentity(encoding) && reencoding(encoding) !== encoding)
      this.setHeader('Content-Transfer-Encoding', reencoding(encoding));
    yield this.#headers.toBuffer();
    yield* this.#bodyPieces();
  }

  /** Head and content as bytes, unchanged unless the part was edited (pymilter's `as_bytes`). */
  asBytes(): Buffer {
    return toBuffer([...this.#pieces()]);
  }

  /** Writes head and content to a stream and ends it (pymilter's `dump`). */
  async dump(stream: Writable): Promise<void> {
    await pipeline(Readable.from(this.chunks(), { objectMode: false }), stream);
  }

  /** @internal Removes the lines of the head that are no header fields. */
  deleteGarbage(): void {
    this.#headers.deleteGarbage();
    this.#source = null;
  }

  /** @internal The names of all header fields whose lower-case name `test` accepts. */
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

const reencoding = (encoding: string): 'base64' | 'quoted-printable' =>
  encoding === 'quoted-printable' ? 'quoted-printable' : 'base64';

/** Encodes `bytes`. The result is always a new Buffer. */
function encode(bytes: Uint8Array, encoding: TransferEncoding | undefined, lineBreak: string): Buffer {
  if (encoding !== 'base64' && encoding !== 'quoted-printable') return Buffer.from(bytes);
  return toBuffer([encoded(encoding, bytes.length, () => [bytes], lineBreak)]);
}

const hasPair = (pairs: readonly NamePair[], [attribute, value]: NamePair): boolean =>
  pairs.some((pair) => pair[0] === attribute && pair[1] === value);

/** The nesting depth of an entity; 1 for the message itself. */
function depthOf(entity: Entity | null): number {
  return entity ? depthOf(entity.parent) + 1 : 0;
}

function badZip(reason: string): MilterError {
  return new MilterError('ERR_MILTER_BAD_ZIP', `mime: the ZIP file cannot be read: ${reason}`);
}
