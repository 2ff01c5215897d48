/** A part as its header fields describe it: the fields themselves, and the types, names and encodings that they give. */
import { Content, type NamePair } from './content.js';
import type { HeaderBlock } from './header-block.js';
import type { MimeLimits } from './limits.js';

/** What {@link MimeMessage} has of its header fields. */
export abstract class DescribedPart {
  /** The limits that the message was read with. */
  readonly limits: Readonly<MimeLimits>;
  /** @internal */
  protected readonly fields: HeaderBlock;
  /** What the fields say; null after a change, until somebody asks. */
  #content: Content | null;

  /** @internal */
  constructor(fields: HeaderBlock, content: Content, limits: Readonly<MimeLimits>) {
    this.fields = fields;
    this.#content = content;
    this.limits = limits;
  }

  /** @internal What the fields say of the content. */
  protected get content(): Content {
    this.#content ??= new Content(this.fields, ['text/plain'], this.limits.maxParameters);
    return this.#content;
  }

  /** @internal A field was changed. */
  protected abstract edited(): void;
  /** @internal A field was set or added, or removed; then `value` is null. */
  protected abstract report(name: string, value: string | null): void;

  // --- header fields

  /** The value of the first field of this name, unfolded, or null if there is none. Encoded words are not decoded. */
  getHeader(name: string): string | null {
    return this.fields.getAll(name)[0] ?? null;
  }

  /** The values of all fields of this name (pymilter's `getheaders`). */
  getheaders(name: string): string[] {
    return this.fields.getAll(name);
  }

  /** The names and values of all fields, in order. */
  headers(): [name: string, value: string][] {
    return this.fields.entries();
  }

  /**
   * Replaces all fields of this name by one, or appends it if there is none. `headerchange` is called with null for each
   * field that is removed without a replacement, then with the value.
   *
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid name or value
   */
  setHeader(name: string, value: string): void {
    const others = this.fields.set(name, value);
    this.#changed();
    for (let count = 0; count < others; count++) this.report(name, null);
    this.report(name, value);
  }

  /** Appends a field and calls `headerchange`. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
  addHeader(name: string, value: string): void {
    this.fields.add(name, value);
    this.#changed();
    this.report(name, value);
  }

  /** Removes all fields of this name and calls `headerchange` with null for each. @returns whether there was one */
  deleteHeader(name: string): boolean {
    const gone = this.fields.delete(name);
    if (gone > 0) this.#changed();
    for (let count = 0; count < gone; count++) this.report(name, null);
    return gone > 0;
  }

  #changed(): void {
    this.#content = null;
    this.edited();
  }

  /** @internal Removes the lines of the head that are no header fields. */
  deleteGarbage(): void {
    this.fields.deleteGarbage();
    this.edited();
  }

  /** @internal The names of all header fields whose lower-case name `test` accepts. */
  fieldNames(test: (key: string) => boolean): string[] {
    return this.fields.names(test);
  }

  /** The line break of the header fields: `'\r\n'` or `'\n'`, rarely `'\r'`. */
  get lineBreak(): string {
    return this.fields.lineBreak;
  }

  // --- content type, names and encoding

  /** The content type in lower case, without parameters; text/plain if none is given (pymilter's `gettype`). */
  gettype(): string {
    return this.content.type;
  }

  /** A parameter of Content-Type, or of another field, decoded; null if there is none (pymilter's `getparam`). */
  getparam(name: string, field = 'Content-Type'): string | null {
    const key = name.toLowerCase();
    return this.content.parameters(field).find(([attribute]) => attribute === key)?.[1] ?? null;
  }

  /** All parameters of Content-Type, decoded (pymilter's `getparams`). */
  getparams(): NamePair[] {
    return [...this.content.parameters('Content-Type')];
  }

  /** The name that Content-Type gives (pymilter's `getname`). */
  getname(): string | null {
    return this.getparam('name');
  }

  /** The name that Content-Disposition gives, otherwise the one of Content-Type (pymilter's `getfilename`). */
  getfilename(): string | null {
    return this.getparam('filename', 'Content-Disposition') ?? this.getname();
  }

  /** The character set in lower case; empty if none is given. */
  getcharset(): string {
    return this.content.charset;
  }

  /** Content-Transfer-Encoding in lower case; empty if none is given (pymilter's `getencoding`). */
  getencoding(): string {
    return this.content.encoding;
  }

  /** @internal Whether a header field has more parameters than were read. */
  get isOverloaded(): boolean {
    return this.content.isOverloaded;
  }

  /** @internal Whether the content is a message, by its type. */
  get isMessage(): boolean {
    return this.content.isMessage;
  }
}
