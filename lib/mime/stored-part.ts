/** A part with its content as it is stored, and what is looked for in that. */
import { type ByteSource, toBlocks, toBuffer } from './byte-source.js';
import type { NamePair } from './content.js';
import { DescribedPart } from './described-part.js';
import type { FileTest } from './frame-text.js';
import { Frames } from './frames.js';
import { LeafContent } from './leaf-content.js';
import type { MimeLimits } from './limits.js';
import type { MessageState } from './message-state.js';
import { withReadings } from './names.js';
import { hasOtherReadings, type Kind, otherReadings } from './other-readings.js';
import { NO_FRAME } from './part-tree.js';
import type { Entity } from './pieces.js';
import { decodeWithin } from './transfer-encoding.js';

const EMPTY = Buffer.alloc(0);
const NO_FRAMES = new Frames(EMPTY, [NO_FRAME]);

/** What {@link MimeMessage} has of its content. */
export abstract class StoredPart extends DescribedPart {
  /** @internal */
  protected readonly state: MessageState;
  /** @internal */
  protected kind: Entity['kind'];
  /** @internal The bytes it was read from, including the head; null after an edit. */
  protected source: Buffer | null = EMPTY;
  /** @internal The content of a leaf as it is written, or that of an encoded message as it was read. */
  protected body: readonly (Buffer | ByteSource)[] = [EMPTY];
  /** @internal What stands around the parts. */
  protected frames = NO_FRAMES;

  /** @internal */
  constructor({ headers, content, kind }: Entity, limits: Readonly<MimeLimits>, state: MessageState) {
    super(headers, content, limits);
    this.kind = kind;
    this.state = state;
  }

  /** @internal */
  protected override edited(): void {
    this.source = null;
  }

  /** @internal The pieces of the content as it is written. */
  protected abstract bodyPieces(): Generator<Buffer | ByteSource>;

  /** @internal The content of a leaf as it was read or set. */
  protected storedBody(): Buffer[] {
    return [...toBlocks(this.body)];
  }

  get #leaf(): LeafContent {
    return new LeafContent(this.content, this.storedBody(), this.state.decodedContent, this.limits);
  }

  /**
   * @internal The names of this part as it is read usually, and of the files in its content.
   *
   * @throws MilterError ERR_MILTER_MIME_LIMIT
   */
  ownNames(): NamePair[] {
    const { names } = this.content;
    return this.kind === 'leaf' ? [...names, ...this.#leaf.innerNames()] : [...names];
  }

  /** @internal The names of the uuencoded files in the text around its parts. @throws MilterError ERR_MILTER_MIME_LIMIT */
  framedNames(): NamePair[] {
    if (this.kind !== 'multipart') return [];
    const names = this.frames.fileNames(this.limits.maxZipEntries);
    return withReadings(names).map((name): NamePair => ['uuencode', name]);
  }

  /** @internal The names in a ZIP file. @throws MilterError ERR_MILTER_BAD_ZIP, ERR_MILTER_MIME_LIMIT */
  zipEntries(limits: MimeLimits): Promise<string[]> {
    return this.#leaf.zipEntries(limits);
  }

  /** @internal The format of a container, by its first bytes; null if the content is none. @throws MilterError ERR_MILTER_MIME_LIMIT */
  containerFormat(): string | null {
    return this.kind === 'leaf' ? this.#leaf.containerFormat() : null;
  }

  /** Whether it has parts between boundaries (pymilter's `ismultipart`). */
  ismultipart(): boolean {
    return this.kind === 'multipart';
  }

  /** Whether this part is a ZIP file, by its type or one of its names. */
  iszip(): boolean {
    return this.kind === 'leaf' && this.content.isZip;
  }

  /** Whether this part is HTML: text/html, or application/octet-stream with a name that ends in .htm or .html. */
  ishtml(): boolean {
    return this.kind === 'leaf' && this.content.isHtml;
  }

  /**
   * @internal Removes the scripts from HTML, which is encoded again while it is written.
   *
   * @param maxSize HTML with scripts that is larger when decoded is left alone
   * @returns what was done; `hidden` if there are scripts that only some programs see, which are not removed
   * @throws MilterError ERR_MILTER_MIME_LIMIT
   */
  removeScripts(maxSize: number): 'nothing' | 'removed' | 'too large' | 'hidden' {
    const { encoding } = this.content;
    const outcome = this.#leaf.withoutScripts(maxSize, this.lineBreak);
    if (typeof outcome === 'string') return outcome;
    if (outcome.encoding !== encoding) this.setHeader('Content-Transfer-Encoding', outcome.encoding);
    this.source = null;
    this.body = [outcome.body];
    return 'removed';
  }

  /** @internal Whether programs may read this part, as it is written now, in other ways than the usual one. */
  get hasOtherReadings(): boolean {
    return hasOtherReadings(this.content, this.writtenKind, this.fields);
  }

  /** @internal The kind of the part as it is written. */
  protected get writtenKind(): Kind {
    return this.kind;
  }

  /** @internal What other programs may read in place of this part: complete messages. @throws MilterError ERR_MILTER_MIME_LIMIT */
  otherReadings(): Generator<Buffer> {
    const { limits } = this;
    return otherReadings(
      this.fields.toBuffer(),
      this.content,
      this.writtenKind,
      () => this.getPayload(),
      limits,
    );
  }

  /** The content as it is written, still encoded (pymilter's `get_payload`). Do not change it: it may be memory of the message. */
  getPayload(): Buffer {
    const pieces = [...this.bodyPieces()];
    const [only] = pieces;
    return pieces.length === 1 && Buffer.isBuffer(only) ? only : toBuffer(pieces);
  }

  /**
   * As {@link getPayload}, but decoded, unless the encoding is unknown (pymilter's `get_payload_decoded`).
   *
   * @throws MilterError ERR_MILTER_MIME_LIMIT if it expands to more than `maxDecoded` bytes, which only uuencode can do
   */
  getPayloadDecoded(): Buffer {
    const payload = this.getPayload();
    if (this.kind === 'multipart') return payload;
    return decodeWithin(this.limits.maxDecoded, this.content.encoding, [payload]) ?? payload;
  }

  /** The content as it is written, in chunks. Pass them to `replacebody` one after the other. */
  bodyChunks(): Generator<Buffer> {
    return toBlocks(this.bodyPieces());
  }

  /**
   * @internal Makes boundaries of lines that only start with one, between the parts of this multipart: they are boundaries to some
   * programs, and content to others. @returns whether there were any
   */
  repairBoundaries(): boolean {
    if (this.kind !== 'multipart' || !this.frames.areLoose) return false;
    this.frames.repair();
    this.source = null;
    return true;
  }

  /** @internal Removes uuencoded files from the text around the parts of this multipart. @returns whether there were any */
  removeFramedFiles(isUnwanted: FileTest): boolean {
    if (this.kind !== 'multipart' || !this.frames.removeFiles(isUnwanted)) return false;
    this.source = null;
    return true;
  }
}
