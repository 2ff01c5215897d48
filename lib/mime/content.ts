/** The content of a part as its header fields describe it. */
import { encodeBytes } from '../internal/bytes.js';
import type { HeaderBlock } from './header-block.js';
import { boundariesOf, mainValue, parseParameters } from './parameters.js';

/** An attribute and its value, such as `['name', 'invoice.pdf']`. */
export type NamePair = readonly [attribute: string, value: string];

/** Types whose content is a message, or the beginning of one. */
const MESSAGE_TYPES: ReadonlySet<string> = new Set([
  'message/rfc822',
  'message/global',
  'message/news',
  'message/partial',
]);

const ZIP_TYPES: ReadonlySet<string> = new Set([
  'application/zip',
  'application/x-zip',
  'application/x-zip-compressed',
]);

const TYPE = /^[^\s/]+\/[^\s/]+$/;
/** Mail programs may show application/octet-stream with such a name as HTML. */
const HTML_NAME = /\.html?$/i;

export class Content {
  readonly #headers: HeaderBlock;
  /** In lower case; from the first Content-Type field if there are several. */
  readonly type: string;
  /** The types of all Content-Type fields, because mail programs differ in which one they use. */
  readonly #types: readonly string[];
  /** Content-Transfer-Encoding in lower case; empty if there is none. */
  readonly encoding: string;
  /** Decoded as latin1; empty if this is not a multipart, or has no boundary. */
  readonly boundaries: ReadonlySet<string>;
  #names: readonly NamePair[] | undefined;
  readonly #parameters = new Map<string, readonly NamePair[]>();

  /** @param defaultType the type of a part without Content-Type: message/rfc822 in a multipart/digest (RFC 2046 5.1.5) */
  constructor(headers: HeaderBlock, defaultType: string) {
    this.#headers = headers;
    const fields = headers.getAll('Content-Type');
    const types = fields.map(mainValue).map((type) => (TYPE.test(type) ? type : 'text/plain'));
    this.#types = types.length > 0 ? types : [defaultType];
    this.type = this.#types[0] as string;
    this.encoding = mainValue(headers.getAll('Content-Transfer-Encoding')[0] ?? '');
    const multiparts = fields.filter((_, index) => (types[index] as string).startsWith('multipart/'));
    this.boundaries = new Set(
      multiparts.flatMap(boundariesOf).map((boundary) => encodeBytes(boundary).toString('latin1')),
    );
  }

  get isMultipart(): boolean {
    return this.boundaries.size > 0;
  }

  /** Whether the content is a message. */
  get isMessage(): boolean {
    return !this.isMultipart && this.#types.some((type) => MESSAGE_TYPES.has(type));
  }

  /** Whether the content is text/html, or application/octet-stream with the name of an HTML file. */
  get isHtml(): boolean {
    if (this.#types.includes('text/html')) return true;
    return this.#types.includes('application/octet-stream') && this.#isNamed(HTML_NAME);
  }

  get isZip(): boolean {
    return this.#types.some((type) => ZIP_TYPES.has(type)) || this.#isNamed(/\.zip[\s.]*$/i);
  }

  /** The character set, in lower case; empty if none is given. */
  get charset(): string {
    return (
      this.parameters('Content-Type')
        .find(([name]) => name === 'charset')?.[1]
        .toLowerCase() ?? ''
    );
  }

  /** All parameters of all fields of this name. */
  parameters(field: string): readonly NamePair[] {
    const key = field.toLowerCase();
    const found = this.#parameters.get(key) ?? this.#headers.getAll(field).flatMap(parseParameters);
    this.#parameters.set(key, found);
    return found;
  }

  /** Parameters of Content-Type whose own name contains `name`, and the filename of Content-Disposition. */
  get names(): readonly NamePair[] {
    this.#names ??= [
      ...this.parameters('Content-Type').filter(([attribute]) => attribute.includes('name')),
      ...this.parameters('Content-Disposition').filter(([attribute]) => attribute === 'filename'),
    ];
    return this.#names;
  }

  #isNamed(pattern: RegExp): boolean {
    return this.names.some(([, name]) => pattern.test(name));
  }
}
