/** The content of a part as its header fields describe it, in every way that they can be read. */
import { encodingsOf, isIdentity } from './encoding-readings.js';
import type { HeaderBlock } from './header-block.js';
import {
  boundariesOf,
  mainValue,
  mediaType,
  NO_PARAMETERS,
  type ParameterReadings,
  parseParameters,
} from './parameters.js';

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
const TNEF_TYPES: ReadonlySet<string> = new Set(['application/ms-tnef', 'application/vnd.ms-tnef']);
/** Types that are shown as HTML, or as XML with scripts. */
const HTML_TYPE = /^(?:text\/(?:html|xml|xsl)|application\/(?:xhtml\+xml|xml)|image\/svg(?:\+xml)?)/;
const XML_TYPE = /xml|svg/;

/** Names of HTML, which mail programs and browsers open as such whatever its type is. */
const HTML_NAME = /\.(?:[sx]?html?|xht|xml|svg|mht|mhtml)[\s.]*$/i;
const XML_NAME = /\.(?:xhtml?|xht|xml|svg)[\s.]*$/i;

export class Content {
  readonly #headers: HeaderBlock;
  readonly #maxParameters: number;
  /** In lower case; from the first Content-Type field if there are several. */
  readonly type: string;
  /** The types of all Content-Type fields, because mail programs differ in which one they use. */
  readonly types: readonly string[];
  /** Content-Transfer-Encoding in lower case; empty if there is none. */
  readonly encoding: string;
  /** The encodings that a program may decode the content from; the one that {@link encoding} means comes first. */
  readonly encodings: readonly string[];
  /** Decoded as latin1; empty if this is not a multipart, or has no boundary. */
  readonly boundaries: ReadonlySet<string>;
  readonly #contentType: ParameterReadings;
  #disposition: ParameterReadings | undefined;
  #names: readonly NamePair[] | undefined;

  /**
   * @param defaultType the type of a part without Content-Type: message/rfc822 in a multipart/digest (RFC 2046 5.1.5)
   * @param maxParameters parameters of one field that are read
   */
  constructor(headers: HeaderBlock, defaultType: string, maxParameters: number) {
    this.#headers = headers;
    this.#maxParameters = maxParameters;
    const types = headers.getAll('Content-Type');
    this.types = types.length > 0 ? types.map((value) => mediaType(value) ?? 'text/plain') : [defaultType];
    this.type = this.types[0] as string;
    const encodings = headers.getAll('Content-Transfer-Encoding').map(mainValue);
    this.encoding = encodings[0] ?? '';
    this.encodings = encodingsOf(encodings, headers.isAmbiguous);
    this.#contentType = this.#read('Content-Type', types);
    this.boundaries = boundariesOf(this.#contentType.parameters);
  }

  /** Whether it has a boundary, and so is tried as a multipart whatever its type is. */
  get isMultipart(): boolean {
    return this.boundaries.size > 0;
  }

  /** Whether it says that it is a multipart, but not where its parts begin. */
  get lacksBoundary(): boolean {
    if (!this.types.some((type) => type.startsWith('multipart'))) {
      const fields = this.#headers.getAll('Content-Type');
      if (!fields.some((value) => /^\W*multipart/i.test(value))) return false;
    }
    return [...this.boundaries].every((boundary) => boundary === '');
  }

  /** Whether the content is a message. */
  get isMessage(): boolean {
    return !this.isMultipart && this.types.some((type) => MESSAGE_TYPES.has(type));
  }

  /** Whether some program may read the content as a message. */
  get mayBeMessage(): boolean {
    return this.types.some((type) => type.startsWith('message/'));
  }

  /** Whether the content is HTML, or XML with scripts, by a type or a name. */
  get isHtml(): boolean {
    return this.types.some((type) => HTML_TYPE.test(type)) || this.#isNamed(HTML_NAME);
  }

  /** Whether the content is XML with scripts, such as SVG and XHTML. */
  get isXml(): boolean {
    return this.types.some((type) => XML_TYPE.test(type)) || this.#isNamed(XML_NAME);
  }

  get isZip(): boolean {
    return this.types.some((type) => ZIP_TYPES.has(type)) || this.#isNamed(/\.zip[\s.]*$/i);
  }

  /** Whether the content is a container of Outlook's, usually named winmail.dat. */
  get isTnef(): boolean {
    return this.types.some((type) => TNEF_TYPES.has(type)) || this.#isNamed(/winmail[^/\\]*\.dat[\s.]*$/i);
  }

  /** Whether the content is text, or is not encoded, so that programs look for uuencoded files in it. */
  get isText(): boolean {
    return this.types.some((type) => type.startsWith('text/')) || this.encodings.some(isIdentity);
  }

  /** The character set, in lower case; empty if none is given. */
  get charset(): string {
    return this.charsets[0] ?? '';
  }

  /** All character sets that are given, in lower case. */
  get charsets(): readonly string[] {
    return this.parameters('Content-Type')
      .filter(([name]) => name === 'charset')
      .map(([, label]) => label.toLowerCase());
  }

  /** Whether a field has more parameters than are read. */
  get isOverloaded(): boolean {
    return this.#contentType.overloaded || this.#contentDisposition.overloaded;
  }

  /** All parameters of all fields of this name. */
  parameters(field: string): readonly NamePair[] {
    const key = field.toLowerCase();
    if (key === 'content-type') return this.#contentType.parameters;
    return (key === 'content-disposition' ? this.#contentDisposition : this.#read(field)).parameters;
  }

  get #contentDisposition(): ParameterReadings {
    this.#disposition ??= this.#read('Content-Disposition');
    return this.#disposition;
  }

  #read(field: string, values = this.#headers.getAll(field)): ParameterReadings {
    if (values.length === 0) return NO_PARAMETERS;
    const readings = values.map((value) => parseParameters(value, this.#maxParameters));
    // Where a line was folded, some programs keep the blanks and some remove them.
    const joined = this.#headers.getAll(field, 'joined').filter((value) => !values.includes(value));
    const others = joined.map((value) => parseParameters(value, this.#maxParameters));
    const [only = NO_PARAMETERS] = readings;
    if (readings.length <= 1 && others.length === 0) return only;
    const usual = readings.flatMap(({ parameters }) => parameters);
    return {
      parameters: [...usual, ...newParameters(others, usual)],
      overloaded: [...readings, ...others].some(({ overloaded }) => overloaded),
    };
  }

  /** Parameters of Content-Type and Content-Disposition whose own name contains `name`. */
  get names(): readonly NamePair[] {
    this.#names ??= [...this.#contentType.parameters, ...this.#contentDisposition.parameters].filter(
      ([attribute]) => attribute.includes('name'),
    );
    return this.#names;
  }

  #isNamed(pattern: RegExp): boolean {
    return this.names.some(([, name]) => pattern.test(name));
  }
}

/** What the readings without the blanks of folds add to the usual ones: boundaries, and values that differ in more than blanks. */
function newParameters(readings: readonly ParameterReadings[], usual: readonly NamePair[]): NamePair[] {
  const textOf = ([name, value]: NamePair): string => `${name}=${value.replace(/\s+/g, '')}`;
  const known = new Set(usual.map(textOf));
  return readings
    .flatMap(({ parameters }) => parameters)
    .filter((pair) => !known.has(textOf(pair)) || pair[0] === 'boundary');
}
