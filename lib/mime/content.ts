/** The content of a part as its header fields describe it, in every way that they can be read. */
import { encodingsOf, isIdentity } from './encoding-readings.js';
import { trimFilename } from './extensions.js';
import type { HeaderBlock } from './header-block.js';
import { decodedValue, NameBudget, usualName, withNewExtensions } from './names.js';
import {
  boundariesOf,
  mainValue,
  mediaType,
  NO_PARAMETERS,
  type ParameterReadings,
  parseParameters,
} from './parameters.js';
import { namesOfUnnamed } from './unnamed.js';

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
const HTML_TYPE = /html|[/+](?:xml|xsl)|^image\/svg/;
const XML_TYPE = /[/+](?:xml|xsl)|svg/;
/** HTML by a label that is no type. */
const HTML_LABEL = /^\W*x?html\b/i;
const CALENDAR_TYPE = /^(?:text|application)\/(?:calendar|ics|x-vcalendar)/;
/** Types of messages besides `message/*`. */
const MESSAGE_LIKE_TYPE = /^(?:text\/rfc822|application\/x-mimearchive)/;

/** Names of HTML, which mail programs and browsers open as such whatever its type is. */
const HTML_NAME = /\.(?:[sx]?html?|xht|xml|svg|mht|mhtml)$/i;
const XML_NAME = /\.(?:xhtml?|xht|xml|svg)$/i;
/** Names of messages, which mail programs open as such. */
const MESSAGE_NAME = /\.(?:eml|mht|mhtml|nws)$/i;
/** `winmail.dat`, also with something before or between, as copies of it are called. */
const TNEF_NAME = {
  test(name: string): boolean {
    const file = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
    return /\.dat$/i.test(file) && /winmail/i.test(file);
  },
};
const CALENDAR_NAME = /\.(?:ics|ical|ifb|vcs)$/i;

/** The first boundary of a Content-Type, as RFC 2046 5.1.1 gives it, with its first character. */
const PLAIN_BOUNDARY = /;\s*boundary\s*=\s*"?([^\s";]?)/i;

/**
 * How many names with several readings are read in a message. Content-Type is read with the head, and other fields only when they are
 * needed, so each has a budget of its own.
 */
export class NameBudgets {
  readonly types = new NameBudget();
  readonly others = new NameBudget();
}

export class Content {
  readonly #headers: HeaderBlock;
  readonly #maxParameters: number;
  readonly #budgets: NameBudgets;
  /** In lower case; from the first Content-Type field if there are several. */
  readonly type: string;
  /** The types of all Content-Type fields, because mail programs differ in which one they use. */
  readonly types: readonly string[];
  /** Whether it is a message, or may be one, because it stands in a digest and has no Content-Type. */
  readonly isMessageByDefault: boolean;
  /** Content-Transfer-Encoding in lower case; empty if there is none. */
  readonly encoding: string;
  /** The encodings that a program may decode the content from; the one that {@link encoding} means comes first. */
  readonly encodings: readonly string[];
  /** Decoded as latin1; empty if this is not a multipart, or has no boundary. */
  readonly boundaries: ReadonlySet<string>;
  readonly #contentType: ParameterReadings;
  #disposition: ParameterReadings | undefined;
  #names: readonly NamePair[] | undefined;
  /** The names as Windows reads them. */
  #files: readonly string[] | undefined;

  /**
   * @param defaultTypes the types of a part without Content-Type
   * @param maxParameters parameters of one field that are read
   * @param budgets what may still be spent on names in this message
   */
  constructor(
    headers: HeaderBlock,
    defaultTypes: readonly string[],
    maxParameters: number,
    budgets = new NameBudgets(),
  ) {
    this.#budgets = budgets;
    this.#headers = headers;
    this.#maxParameters = maxParameters;
    const types = headers.getAll('Content-Type');
    this.types = types.length > 0 ? withDecoded(types).map(typeOf) : defaultTypes;
    this.type = this.types[0] as string;
    this.isMessageByDefault = types.length === 0 && defaultTypes.includes('message/rfc822');
    const encodings = headers.getAll('Content-Transfer-Encoding');
    this.encoding = mainValue(encodings[0] ?? '');
    // The encoding of a message, which must have none (RFC 2046 5.2.1), is ignored by some programs.
    const isIgnored = headers.isAmbiguous || this.types.some((type) => type.startsWith('message/'));
    this.encodings = encodingsOf(withDecoded(encodings).map(mainValue), isIgnored);
    this.#contentType = this.#read('Content-Type', types);
    this.boundaries = boundariesOf(this.#contentType.parameters);
  }

  /** Whether it has a boundary, and so is tried as a multipart whatever its type is. */
  get isMultipart(): boolean {
    return this.boundaries.size > 0;
  }

  /** Whether it has a type that is none of a multipart. */
  get hasOtherType(): boolean {
    return this.types.some((type) => !type.startsWith('multipart'));
  }

  /** Whether it says that it is a multipart, but not in a way that every program reads where its parts begin. */
  get lacksBoundary(): boolean {
    const fields = this.#headers.getAll('Content-Type').filter((value) => /^\W*multipart/i.test(value));
    if (fields.length === 0 && !this.types.some((type) => type.startsWith('multipart'))) return false;
    return fields.length === 0 || !fields.every((value) => PLAIN_BOUNDARY.exec(value)?.[1]);
  }

  /** Whether the content is a message. */
  get isMessage(): boolean {
    return !this.isMultipart && this.types.some((type) => MESSAGE_TYPES.has(type));
  }

  /** Whether some program may read the content as a message, or opens it as one. */
  get mayBeMessage(): boolean {
    const isMessage = (type: string): boolean => type.startsWith('message/') || MESSAGE_LIKE_TYPE.test(type);
    return this.types.some(isMessage) || this.#isNamed(MESSAGE_NAME);
  }

  /** Whether the content is a calendar, in which there may be files. */
  get isCalendar(): boolean {
    return this.types.some((type) => CALENDAR_TYPE.test(type)) || this.#isNamed(CALENDAR_NAME);
  }

  /** Whether the content is HTML, or XML with scripts, by a type or a name. */
  get isHtml(): boolean {
    return this.types.some((type) => HTML_TYPE.test(type)) || this.#isNamed(HTML_NAME);
  }

  /** Whether the content is XML with scripts, such as SVG and XHTML. */
  get isXml(): boolean {
    return this.types.some((type) => XML_TYPE.test(type)) || this.#isNamed(XML_NAME);
  }

  /** Whether lines that end in a blank are joined without it (RFC 3676). */
  get isJoined(): boolean {
    return this.parameters('Content-Type').some(([name, value]) => name === 'delsp' && /yes/i.test(value));
  }

  get isZip(): boolean {
    return this.types.some((type) => ZIP_TYPES.has(type)) || this.#isNamed(/\.zip$/i);
  }

  /** Whether the content is a container of Outlook's, usually named winmail.dat. */
  get isTnef(): boolean {
    return this.types.some((type) => TNEF_TYPES.has(type)) || this.#isNamed(TNEF_NAME);
  }

  /** Whether the content is text, or is not encoded, so that programs look for uuencoded files in it. */
  get isText(): boolean {
    return this.types.some((type) => type.startsWith('text/')) || this.encodings.some(isIdentity);
  }

  /** The character set, in lower case; empty if none is given. */
  get charset(): string {
    return this.charsets[0] ?? '';
  }

  /** All character sets that are given, each once, in lower case. */
  get charsets(): readonly string[] {
    const given = this.parameters('Content-Type').filter(([name]) => name === 'charset');
    return [...new Set(given.map(([, label]) => label.toLowerCase()))];
  }

  /** Whether a field has more parameters than are read, or there are more character sets than content is read in. */
  get isOverloaded(): boolean {
    const { overloaded } = this.#contentType;
    return overloaded || this.#contentDisposition.overloaded || this.charsets.length > MAX_CHARSETS;
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
    const budget = field === 'Content-Type' ? this.#budgets.types : this.#budgets.others;
    const parse = (value: string): ParameterReadings => parseParameters(value, this.#maxParameters, budget);
    const readings = values.map(parse);
    // Where a line was folded, some programs keep the blanks and some remove them; some decode encoded words first.
    const joined = this.#headers.getAll(field, 'joined');
    const known = new Set(values);
    const others = [...joined, ...values.map(decodedValue)].filter((value) => !known.has(value)).map(parse);
    const [only = NO_PARAMETERS] = readings;
    if (readings.length <= 1 && others.length === 0) return only;
    const usual = readings.flatMap(({ parameters }) => parameters);
    return {
      parameters: [...usual, ...newParameters(others, usual)],
      overloaded: [...readings, ...others].some(({ overloaded }) => overloaded),
    };
  }

  /** Parameters of Content-Type and Content-Disposition whose own name contains `name`; without any, what programs take for it. */
  get names(): readonly NamePair[] {
    this.#names ??= this.#readNames();
    return this.#names;
  }

  #readNames(): readonly NamePair[] {
    const parameters = [...this.#contentType.parameters, ...this.#contentDisposition.parameters];
    const names = parameters.filter(([attribute]) => attribute.includes('name'));
    if (names.some(([, name]) => name !== '')) return names;
    const locations = this.#headers.getAll('Content-Location');
    // The file of a message/external-body is elsewhere (RFC 2017).
    if (this.types.includes('message/external-body'))
      locations.push(...parameters.filter(([attribute]) => attribute === 'url').map(([, url]) => url));
    const descriptions = this.#headers.getAll('Content-Description').map(decodedValue);
    return [...names, ...namesOfUnnamed(this.types, locations, descriptions)];
  }

  #isNamed(pattern: Pick<RegExp, 'test'>): boolean {
    this.#files ??= this.names.map(([, name]) => trimFilename(name));
    return this.#files.some((name) => pattern.test(name));
  }
}

/** Of more character sets, the rest is not tried. */
export const MAX_CHARSETS = 16;

/** A type or an encoding stands at the beginning of a field. */
const MAX_LABEL = 200;

/** The values themselves first, then their beginnings if encoded words in them say something else. */
const withDecoded = (values: readonly string[]): string[] => [
  ...values,
  ...values
    .filter((value) => value.slice(0, MAX_LABEL).includes('=?'))
    .map((value) => usualName(value.slice(0, MAX_LABEL))),
];

const typeOf = (value: string): string =>
  mediaType(value) ?? (HTML_LABEL.test(value) ? 'text/html' : 'text/plain');

/** What other readings of a field add to the usual ones: boundaries, other values, and names with extensions of their own. */
function newParameters(readings: readonly ParameterReadings[], usual: readonly NamePair[]): NamePair[] {
  const textOf = ([name, value]: NamePair): string => `${name}=${value}`;
  const known = new Set(usual.map(textOf));
  const found = readings.flatMap(({ parameters }) => parameters).filter((pair) => !known.has(textOf(pair)));
  const attributes = new Set(found.map(([name]) => name));
  return [...attributes].flatMap((attribute) => {
    const valuesIn = (pairs: readonly NamePair[]): string[] =>
      pairs.filter(([name]) => name === attribute).map(([, value]) => value);
    const values = new Set(valuesIn(found));
    const added = attribute.includes('name') ? withNewExtensions(valuesIn(usual), values) : [...values];
    return added.map((value): NamePair => [attribute, value]);
  });
}
