/**
 * The parameters of Content-Type and Content-Disposition, in every way that a mail program may read them.
 *
 * The usual reading is that of RFC 2045 5.1 and RFC 2231. Other programs read a value without a type in front of it, take a
 * comma or a blank for a semicolon, a backslash or a quote for an ordinary character, or put segments together otherwise. All
 * readings of a name are returned that have an extension of their own, and all of a boundary and a character set.
 */
import { encodeBytes } from '../internal/bytes.js';
import { decodeText } from './charset-text.js';
import {
  isPlainName,
  MAX_NAME_LENGTH,
  readingsOfName,
  usualName,
  withNewExtensions,
  withoutComments,
} from './names.js';

/** A parameter's name in lower case, and its decoded value. */
export type Parameter = readonly [name: string, value: string];

export interface ParameterReadings {
  /** The usual readings first, then the others. */
  readonly parameters: readonly Parameter[];
  /** Whether there are more than were read. */
  readonly overloaded: boolean;
}

/** What a field without parameters says. */
export const NO_PARAMETERS: ParameterReadings = { parameters: [], overloaded: false };

/** A value that has one reading. Its parameters are found with {@link SIMPLE_PARAMETER}. */
const SIMPLE =
  /^[\w!#$&^.+-]+(?:\/[\w!#$&^.+-]+)?(?:[ \t]*;[ \t]*[\w-]+=(?:"(?! )(?:[\w \-.@#$&!~/+:]|(?<=[-_=."])[=?])*(?<! )"|(?:[\w\-./+:@]|(?<=[-_.])=)+))*[ \t]*;?$/;
const SIMPLE_PARAMETER = /;[ \t]*([\w-]+)=(?:"([^"]*)"|([^; \t]+))/g;

/** Splits a field's value at semicolons outside quoted strings. The first piece is the main value. */
function split(value: string): string[] {
  const pieces: string[] = [];
  let begin = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const character = value[at];
    if (character === '\\') at++;
    else if (character === '"') quoted = !quoted;
    else if (character === ';' && !quoted) {
      pieces.push(value.slice(begin, at));
      begin = at + 1;
    }
  }
  pieces.push(value.slice(begin));
  return pieces;
}

const endAt = (value: string, mark: string, from: number): number => {
  const at = value.indexOf(mark, from);
  return at < 0 ? value.length : at;
};

/** A token, or the content of a quoted string, which need not be closed. */
function unquote(text: string): string {
  const trimmed = text.trim();
  if (!trimmed.startsWith('"')) return trimmed;
  if (!trimmed.includes('\\')) return trimmed.slice(1, endAt(trimmed, '"', 1));
  const closed = /^"((?:[^"\\]|\\[\s\S])*)"?/.exec(trimmed)?.[1] ?? '';
  return closed.replace(/\\([\s\S])/g, '$1');
}

/** `name*1*` as the name, the number of the segment, and whether it is encoded (RFC 2231 7). */
const ATTRIBUTE = /^([^*]*)(?:\*(\d*))?(\*?)$/;

interface Segment {
  readonly index: number;
  readonly text: string;
  readonly encoded: boolean;
}

/** What one field says about one attribute. */
interface Attribute {
  readonly plain: string[];
  readonly segments: Segment[];
}

/** What the name of a parameter says: the attribute, and the number of a segment; null if the value is no segment. */
interface AttributeName {
  readonly name: string;
  readonly index: number | null;
  readonly encoded: boolean;
}

function readAttribute(attribute: string): AttributeName {
  if (/^[a-z-]+$/i.test(attribute)) return { name: attribute.toLowerCase(), index: null, encoded: false };
  // Invisible characters, and comments, are no part of an attribute.
  const key = withoutComments(attribute)
    .replace(/[^!-~]+/g, '')
    .toLowerCase();
  const [, name = '', number, star] = ATTRIBUTE.exec(key) ?? [null, key.slice(0, key.indexOf('*')), ''];
  const index = number === undefined ? null : Number(number || 0);
  return { name, index, encoded: index !== null && (star === '*' || number === '') };
}

class Attributes {
  readonly #found = new Map<string, Attribute>();

  /** Adds values of one attribute, each once. */
  add(attribute: string, values: Iterable<string>): void {
    const { name, index, encoded } = readAttribute(attribute);
    const entry = this.#found.get(name) ?? { plain: [], segments: [] };
    this.#found.set(name, entry);
    for (const text of values) {
      if (index === null) entry.plain.push(text);
      else entry.segments.push({ index, text, encoded });
    }
  }

  get entries(): IterableIterator<[string, Attribute]> {
    return this.#found.entries();
  }
}

/** Splits `charset'language'text`. Where quotes are missing, all is text, or what follows the only quote. */
function extendedValue(text: string): [charset: string, text: string][] {
  const first = text.indexOf("'");
  const second = text.indexOf("'", first + 1);
  if (first < 0) return [['', text]];
  if (second >= 0) return [[text.slice(0, first).toLowerCase(), text.slice(second + 1)]];
  return [
    [text.slice(0, first).toLowerCase(), text.slice(first + 1)],
    ['', text],
  ];
}

/** Puts segments together and decodes those that are encoded, in the character set that the first one names. */
function join(segments: readonly Segment[]): string[] {
  const [first] = segments;
  if (!first) return [];
  const heads = first.encoded ? extendedValue(first.text) : ([['', first.text]] as [string, string][]);
  return heads.map(([charset, text]) => {
    const all = [{ ...first, text }, ...segments.slice(1)].map((segment) =>
      segment.encoded
        ? segment.text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
            String.fromCharCode(Number.parseInt(hex, 16)),
          )
        : encodeBytes(segment.text).toString('latin1'),
    );
    const encodedText = all.join('');
    // Text that is no byte string was not encoded at all.
    return /[^\0-\xff]/.test(encodedText)
      ? encodedText
      : decodeText(Buffer.from(encodedText, 'latin1'), charset);
  });
}

/** The values of an attribute. */
interface Values {
  readonly usual: readonly string[];
  readonly others: readonly string[];
}

/** The readings of segments: by number; then as far as the numbers go, in the order of the field, and each by itself. */
function assembled(segments: readonly Segment[]): Values {
  if (segments.length === 0) return { usual: [], others: [] };
  const sorted = [...segments].sort((a, b) => a.index - b.index);
  const distinct = sorted.filter(({ index }, at) => index !== sorted[at - 1]?.index);
  const last = sorted.filter(({ index }, at) => index !== sorted[at + 1]?.index);
  const gap = distinct.findIndex(({ index }, at) => index !== at);
  const usual = join(distinct);
  // A value without a character set is read both as it is and decoded.
  const [head] = distinct;
  if (distinct.length === 1 && head?.encoded && !head.text.includes("'")) usual.unshift(head.text);
  const others = [
    ...(gap > 0 ? join(distinct.slice(0, gap)) : []),
    ...join(last),
    ...join(segments),
    ...(segments.length <= 16 ? segments.flatMap((each) => join([each])) : []),
  ];
  return { usual, others };
}

/**
 * Where a parameter may begin: an attribute and an equals sign, wherever they stand. Looked for from the beginning of a word only,
 * so that a long word is read once.
 */
const BEGINNING = /(?<![^\s;,="'<>[\]{}\\])[^\s;,="'<>[\]{}\\]+[ \t]*=[ \t]*/g;
/** Attributes whose other readings matter. */
const RELEVANT = /name|boundary|charset/i;

/** A value that ends at a semicolon for every program. */
const TOKEN = /^[\w.-]+$/;

/** The texts that a value which begins at `at` may be if no rule of the RFC applies. */
function* looseValues(value: string, at: number): Generator<string> {
  const semicolon = endAt(value, ';', at);
  const text = value.slice(at, semicolon);
  if (TOKEN.test(text)) {
    yield text;
    return;
  }
  const uncommented = withoutComments(text).trim();
  yield unquote(uncommented);
  const opening = value[at];
  if (opening === '"' || opening === "'") {
    yield value.slice(at + 1, endAt(value, opening, at + 1));
    yield unquote(value.slice(at));
    yield text.replace(/["']/g, '').trim();
    return;
  }
  yield text.trim();
  yield text.replace(/\\(.)/g, '$1').trim();
  for (const end of [',', ' ', '\t', '(', '"']) {
    const found = text.indexOf(end);
    if (found > 0) yield text.slice(0, found);
  }
  if (text.endsWith('\\'))
    yield unquote(value.slice(at, endAt(value, ';', semicolon + 1)).replace(/\\;/g, ';'));
}

/** Text that is read of a field in any case. It is small, because a message has many fields. */
const MIN_LOOSE_TEXT = 8 * 1024;

/** Adds every text that looks like a parameter. @returns whether there were too many to read */
function readLoosely(value: string, attributes: Attributes, maxParameters: number): boolean {
  let count = 0;
  let budget = 16 * value.length + MIN_LOOSE_TEXT;
  for (const { 0: beginning, index } of value.matchAll(BEGINNING)) {
    const attribute = beginning.slice(0, beginning.lastIndexOf('=')).trim();
    if (!RELEVANT.test(attribute)) continue;
    if (++count > maxParameters) return true;
    const texts = new Set(looseValues(value, index + beginning.length));
    for (const text of texts) budget -= text.length + 64;
    if (budget < 0) return true;
    attributes.add(attribute, texts);
  }
  return false;
}

function valuesOf({ plain, segments }: Attribute): Values {
  const { usual, others } = assembled(segments);
  return { usual: [...usual, ...plain], others };
}

/** Whether no program can read other parameters in a value than those that RFC 2045 5.1 says. Longer values are read carefully. */
export const isSimpleValue = (value: string): boolean =>
  value.length < 1000 && SIMPLE.test(value) && !value.includes('=?');

/** The parameters of a simple value. Each has one value, which is read in one way unless it is an odd name. */
function simpleParameters(value: string): ParameterReadings {
  const parameters: Parameter[] = [];
  SIMPLE_PARAMETER.lastIndex = 0;
  for (let found = SIMPLE_PARAMETER.exec(value); found; found = SIMPLE_PARAMETER.exec(value)) {
    const name = (found[1] as string).toLowerCase();
    const text = found[2] ?? found[3] ?? '';
    if (!name.includes('name') || isPlainName(text)) parameters.push([name, text]);
    else parameters.push(...readingsIn(name, [text], [], new NameReader()));
  }
  return { parameters, overloaded: false };
}

/**
 * The parameters of a field's value.
 *
 * @param maxParameters of more, the rest is not read
 */
export function parseParameters(value: string, maxParameters: number): ParameterReadings {
  if (!value.includes('=')) return NO_PARAMETERS;
  if (isSimpleValue(value)) return simpleParameters(value);
  const names = new NameReader();
  const usual = new Attributes();
  const pieces = split(value).slice(1);
  for (const piece of pieces.slice(0, maxParameters)) {
    const equals = piece.indexOf('=');
    if (equals > 0) usual.add(piece.slice(0, equals), [unquote(withoutComments(piece.slice(equals + 1)))]);
  }
  const loose = new Attributes();
  const tooMany = readLoosely(value, loose, maxParameters) || pieces.length > maxParameters;
  const parameters: Parameter[] = [];
  const unruly = new Map(
    [...loose.entries].map(([name, each]) => [name, Object.values(valuesOf(each)).flat()]),
  );
  for (const [name, attribute] of usual.entries) {
    const values = valuesOf(attribute);
    parameters.push(
      ...readingsIn(name, values.usual, [...values.others, ...(unruly.get(name) ?? [])], names),
    );
    unruly.delete(name);
  }
  for (const [name, values] of unruly) parameters.push(...readingsIn(name, [], values, names));
  return {
    parameters: parameters.filter(([name]) => name !== ''),
    overloaded: tooMany || names.overloaded,
  };
}

/** Of more names in one field that have several readings, the rest is not read. */
const MAX_ODD_NAMES = 150;

/** The readings of the names in one field, up to a limit. */
class NameReader {
  #left = MAX_ODD_NAMES;
  /** Whether there were names that were not read. */
  overloaded = false;

  *readingsOf(names: readonly string[]): Generator<string> {
    for (const name of new Set(names)) {
      if (isPlainName(name)) yield name;
      else if (name.length > MAX_NAME_LENGTH || this.#left-- <= 0) this.overloaded = true;
      else yield* readingsOfName(name);
    }
  }
}

/** What is listed of an attribute: all usual readings, and those others that make a difference. */
function readingsIn(
  name: string,
  usual: readonly string[],
  others: readonly string[],
  names: NameReader,
): Parameter[] {
  let values: string[];
  if (name.includes('name')) {
    values = [...new Set(usual.map(usualName))];
    values.push(...withNewExtensions(values, names.readingsOf([...usual, ...others])));
  } else if (name === 'boundary' || name === 'charset') {
    values = [...new Set([...usual, ...others])];
  } else values = [...new Set(usual)];
  return values.map((value): Parameter => [name, value]);
}

/** The value before the parameters, in lower case, such as `base64` or `attachment`. */
export function mainValue(value: string): string {
  const main = value.includes('"') ? (split(value)[0] as string) : value.slice(0, endAt(value, ';', 0));
  return withoutComments(main).trim().toLowerCase();
}

const MEDIA_TYPE = /^[^\w]*([\w!#$&^.+-]+)\s*\/\s*([\w!#$&^.+-]+)/;

/** The type that a Content-Type begins with, whatever follows it; null if there is none. */
export function mediaType(value: string): string | null {
  const [, type = '', subtype = ''] = MEDIA_TYPE.exec(withoutComments(value)) ?? [];
  return type === '' ? null : `${type}/${subtype}`.toLowerCase();
}

const unquoted = (text: string): string => {
  let begin = 0;
  let end = text.length;
  while (end - begin >= 2 && text[begin] === '"' && text[end - 1] === '"') {
    begin++;
    end--;
  }
  return text.slice(begin, end);
};

const NO_BOUNDARIES: ReadonlySet<string> = new Set();

/** All boundaries that mail programs may read, as latin1: `b` for `"b"`, `""b""` and `"\"b\""`. An empty one counts. */
export function boundariesOf(parameters: readonly Parameter[]): ReadonlySet<string> {
  const found = parameters.filter(([name]) => name === 'boundary');
  if (found.length === 0) return NO_BOUNDARIES;
  const boundaries = found.flatMap(([, text]) => [text, unquoted(text)]).map((text) => text.trimEnd());
  return new Set(boundaries.map((text) => encodeBytes(text).toString('latin1')));
}
