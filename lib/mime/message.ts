/** A message in memory, and each of its parts. */

import type { Writable } from 'node:stream';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { types } from 'node:util';
import { encodeBytes } from '../internal/bytes.js';
import { badArgument } from '../internal/errors.js';
import { type ByteSource, maxLengthOf, toBlocks, toBuffer } from './byte-source.js';
import type { NamePair } from './content.js';
import { isIdentity } from './encoding-readings.js';
import { Frames } from './frames.js';
import { checkLimits, limitReached, type MimeLimitOptions, type MimeLimits } from './limits.js';
import { MessageState } from './message-state.js';
import { hasBoundaryLine, joinParts } from './multipart.js';
import type { Kind } from './other-readings.js';
import { type ParsedPart, parseParts } from './part-tree.js';
import { depthOf, type Entity } from './pieces.js';
import type { ScannerOptions } from './scanner.js';
import { StoredPart } from './stored-part.js';
import { decodeContent, ENCODINGS, encode, encoded, type TransferEncoding } from './transfer-encoding.js';

/** Called when a header field was set or added, or removed; then `value` is null. */
export type HeaderChange = (message: MimeMessage, name: string, value: string | null) => void;

/**
 * A message, or a part of one (pymilter's `MimeMessage`). What is not edited is written back unchanged, byte for byte: a part
 * is a window on the bytes that were read, until it or a part in it is edited.
 */
export class MimeMessage extends StoredPart {
  /** The part that contains this one; null for the message itself. */
  readonly parent: MimeMessage | null;
  /** Called with this part whenever one of its header fields changes. It is set for each part separately. Default: null. */
  headerchange: HeaderChange | null = null;
  /** 1 for the message itself. */
  #depth: number;
  #parts: MimeMessage[] = [];

  private constructor(
    parent: MimeMessage | null,
    entity: Entity,
    limits: Readonly<MimeLimits>,
    state = parent ? parent.state : new MessageState(),
  ) {
    super(entity, limits, state);
    this.parent = parent;
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
    this.source = bytes.subarray(begin, end);
    if (this.kind === 'leaf') this.body = [bytes.subarray(bodyBegin, end)];
    this.frames = new Frames(bytes, frames);
    for (const inner of parts) {
      const part = new MimeMessage(this, inner.entity, this.limits);
      part.#takeParsed(inner, bytes);
      this.#parts.push(part);
    }
  }

  /** @internal Makes a leaf of a part that was read from a stream. */
  static leaf(entity: Entity, body: readonly Buffer[], limits: MimeLimits, state: MessageState): MimeMessage {
    const part = new MimeMessage(null, { ...entity, kind: 'leaf' }, limits, state);
    part.source = null;
    part.body = body;
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
    const { isMessage, encoding } = this.content;
    if (this.kind !== 'leaf' || !isMessage || isIdentity(encoding)) return;
    const { maxDecoded } = this.limits;
    const remaining = maxDecoded - this.state.decoded;
    const bytes = decodeContent(encoding, this.storedBody(), remaining);
    if (!bytes) return;
    if (bytes.length > remaining)
      throw limitReached('maxDecoded', maxDecoded, 'bytes of attached messages that are encoded');
    this.state.decoded += bytes.length;
    this.kind = 'message';
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

  /** The attached message if this part is a message/rfc822, otherwise null (pymilter's `get_submsg`). */
  getSubmsg(): MimeMessage | null {
    return this.kind === 'message' ? (this.#parts[0] as MimeMessage) : null;
  }

  /** Whether this part or a part in it was edited (pymilter's `ismodified`). */
  ismodified(): boolean {
    return this.source === null || this.#parts.some((part) => part.ismodified());
  }

  // --- header fields

  /** @internal */
  protected override report(name: string, value: string | null): void {
    this.headerchange?.(this, name, value);
  }

  // --- names, and what is in the content

  /**
   * All names of this part: each parameter of Content-Type and Content-Disposition whose own name contains `name`, those of
   * uuencoded files in it, or in the text around its parts, as `uuencode`, and those in a winmail.dat as `tnef`. If a name, or the part, can be read in several
   * ways, the names of all readings are included that have an extension of their own. RFC 2231 and encoded words are decoded.
   *
   * @param scanZip whether to include the entries of a ZIP file, and of ZIP files in it, as `zipname`. Default: false
   * @param options limits for ZIP files. Default: the limits that the message was read with
   * @throws MilterError ERR_MILTER_BAD_ZIP, ERR_MILTER_MIME_LIMIT
   */
  async getnames(scanZip = false, options?: MimeLimitOptions): Promise<NamePair[]> {
    const limits = checkLimits('getnames', options, this.limits);
    const names = [...this.ownNames(), ...this.framedNames()];
    const known = new Set(names.map(textOfPair));
    for (const reading of this.otherReadings()) {
      for (const part of MimeMessage.from(reading, limits).walk()) {
        const found = [...part.ownNames(), ...part.framedNames()].filter(
          (pair) => !known.has(textOfPair(pair)),
        );
        for (const pair of found) {
          names.push(pair);
          known.add(textOfPair(pair));
        }
      }
    }
    if (!scanZip || !this.iszip()) return names;
    const entries = await this.zipEntries(limits);
    return [...names, ...entries.map((name): NamePair => ['zipname', name])];
  }

  // --- content

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
    this.source = null;
    this.kind = 'leaf';
    this.#parts = [];
    this.body = [body];
  }

  #checkBoundaries(body: Buffer): void {
    for (let part = this.parent; part; part = part.parent) {
      if (part.kind === 'multipart' && hasBoundaryLine(body, part.content.boundaries))
        throw badArgument('mime: setPayload: a line of the content is a boundary of the message; encode it');
    }
  }

  // --- writing

  /** @internal */
  protected override *bodyPieces(): Generator<Buffer | ByteSource> {
    if (this.kind === 'leaf') {
      yield* this.body;
      return;
    }
    const [submessage] = this.#parts;
    if (this.kind === 'message' && submessage) {
      this.#declareEncoding();
      if (isIdentity(this.content.encoding)) yield* submessage.#pieces();
      else if (!submessage.ismodified()) yield* this.body;
      else {
        const pieces = [...submessage.#pieces()];
        yield encoded('base64', maxLengthOf(pieces), () => toBlocks(pieces), this.lineBreak);
      }
      return;
    }
    const parts = this.#parts.map((part) => part.#pieces());
    yield* joinParts(this.frames.toBuffers(), parts, this.lineBreak);
  }

  /** @internal */
  protected override get writtenKind(): Kind {
    const isRewritten = !isIdentity(this.content.encoding) && this.getSubmsg()?.ismodified() === true;
    return isRewritten ? 'rewritten' : this.kind;
  }

  /** @internal Whether there are lines, also in the parts, that only start with a boundary. */
  get hasLooseBoundaries(): boolean {
    return this.frames.areLoose || this.#parts.some((part) => part.hasLooseBoundaries);
  }

  /** Head and content, in chunks. */
  chunks(): Generator<Buffer> {
    return toBlocks(this.#pieces());
  }

  /**
   * A message that was encoded becomes base64 if it is modified: programs that ignore its encoding would read another one otherwise than it
   * was judged. The header field has to say so.
   */
  #declareEncoding(): void {
    if (this.writtenKind === 'rewritten' && this.content.encoding !== 'base64')
      this.setHeader('Content-Transfer-Encoding', 'base64');
  }

  *#pieces(): Generator<Buffer | ByteSource> {
    if (this.source && !this.ismodified()) {
      yield this.source;
      return;
    }
    this.#declareEncoding();
    yield this.fields.toBuffer();
    yield* this.bodyPieces();
  }

  /** Head and content as bytes, unchanged unless the part was edited (pymilter's `as_bytes`). */
  asBytes(): Buffer {
    return toBuffer([...this.#pieces()]);
  }

  /** Writes head and content to a stream and ends it (pymilter's `dump`). */
  async dump(stream: Writable): Promise<void> {
    await pipeline(Readable.from(this.chunks(), { objectMode: false }), stream);
  }
}

const textOfPair = ([attribute, value]: NamePair): string => `${attribute}=${value}`;
