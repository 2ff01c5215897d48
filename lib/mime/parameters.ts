/**
 * The parameters of Content-Type and Content-Disposition, in every way that a mail program may read them.
 *
 * The usual reading is that of RFC 2045 5.1 and RFC 2231. Other programs read a value without a type in front of it, take a
 * comma or a blank for a semicolon, a backslash or a quote for an ordinary character, or put segments together otherwise. All
 * readings of a name are returned that have an extension of their own, and all of a boundary and a character set.
 */
import { encodeBytes } from '../internal/bytes.js';
import { isPlainName, NameBudget, usualName, withNewExtensions, withoutComments } from './names.js';
import { Attributes, valuesOf } from './rfc2231.js';

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

/**
 * Where a parameter may begin: an attribute and an equals sign, wherever they stand. Looked for from the beginning of a word only,
 * so that a long word is read once.
 */
const BEGINNING = /(?<![^\s;,="'<>[\]{}\\])[^\s;,="'<>[\]{}\\]+[ \t]*=[ \t]*/g;
/** Attributes whose other readings matter. */
const RELEVANT = /name|boundary|charset/i;

/** A value that ends at a semicolon for every program. */
const TOKEN = /^[\w.-]+$/;

/** Where a value may end that is not quoted, besides a semicolon. */
const VALUE_ENDS: readonly string[] = [',', ' ', '\t', '(', ')', '"'];
/** Where a name may end besides: a token has none of these (RFC 2045 5.1). */
const TOKEN_ENDS: readonly string[] = ['@', '[', ']', '=', '/', '<', '>', '\\', '?', ':'];
const NAME_ENDS: readonly string[] = [...VALUE_ENDS, ...TOKEN_ENDS];
/** A whole encoded word, at which some programs end a value. */
const FIRST_WORD = /^=\?[^?]*\?[bq]\?[^?]*\?=/i;

/** The beginnings of an unquoted value up to each of these characters. */
function* endedAt(text: string, ends: readonly string[]): Generator<string> {
  for (const end of ends) {
    const found = text.indexOf(end);
    if (found > 0) yield text.slice(0, found);
  }
}

/** A field's value without quotes, of which any part can be taken: they are removed once, not for each parameter. */
class WithoutQuotes {
  readonly #text: string;
  /** How many quotes there are before each index of the value. */
  readonly #quotes: Uint32Array;

  constructor(value: string) {
    this.#text = value.replace(/["']/g, '');
    this.#quotes = new Uint32Array(value.length + 1);
    let count = 0;
    for (let at = 0; at < value.length; at++) {
      if (value[at] === '"' || value[at] === "'") count++;
      this.#quotes[at + 1] = count;
    }
  }

  /** What `value.slice(begin, end)` is without quotes. */
  slice(begin: number, end: number): string {
    return this.#text.slice(begin - (this.#quotes[begin] as number), end - (this.#quotes[end] as number));
  }
}

/** The texts that a value which begins at `at` may be if no rule of the RFC applies. */
function* looseValues(
  value: string,
  at: number,
  isName: boolean,
  withoutQuotes: () => WithoutQuotes,
): Generator<string> {
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
    yield withoutQuotes().slice(at, semicolon).trim();
    return;
  }
  yield text.trim();
  if (text.includes('\\')) yield text.replace(/\\(.)/g, '$1').trim();
  yield* endedAt(text, isName ? NAME_ENDS : VALUE_ENDS);
  const [word] = FIRST_WORD.exec(text) ?? [];
  if (word !== undefined) yield word;
  if (text.endsWith('\\'))
    yield unquote(value.slice(at, endAt(value, ';', semicolon + 1)).replace(/\\;/g, ';'));
}

/** Text that is read of a field in any case. It is small, because a message has many fields. */
const MIN_LOOSE_TEXT = 8 * 1024;

/** Adds every text that looks like a parameter. @returns whether there were too many to read */
function readLoosely(value: string, attributes: Attributes, maxParameters: number): boolean {
  let count = 0;
  let budget = 16 * value.length + MIN_LOOSE_TEXT;
  let stripped: WithoutQuotes | undefined;
  const withoutQuotes = (): WithoutQuotes => {
    stripped ??= new WithoutQuotes(value);
    return stripped;
  };
  for (const { 0: beginning, index } of value.matchAll(BEGINNING)) {
    const attribute = beginning.slice(0, beginning.lastIndexOf('=')).trim();
    if (!RELEVANT.test(attribute)) continue;
    if (++count > maxParameters) return true;
    const isName = /name/i.test(attribute);
    const texts = new Set(looseValues(value, index + beginning.length, isName, withoutQuotes));
    for (const text of texts) budget -= text.length + 64;
    if (budget < 0) return true;
    attributes.add(attribute, texts);
  }
  return false;
}

/** Whether no program can read other parameters in a value than those that RFC 2045 5.1 says. Longer values are read carefully. */
export const isSimpleValue = (value: string): boolean =>
  value.length < 1000 && SIMPLE.test(value) && !value.includes('=?');

/** The parameters of a simple value. Each has one value, which is read in one way unless it is an odd name. */
function simpleParameters(value: string, names: NameReader): ParameterReadings {
  const parameters: Parameter[] = [];
  SIMPLE_PARAMETER.lastIndex = 0;
  for (let found = SIMPLE_PARAMETER.exec(value); found; found = SIMPLE_PARAMETER.exec(value)) {
    const name = (found[1] as string).toLowerCase();
    const [, , quoted, token = ''] = found;
    const text = quoted ?? token;
    const others = name.includes('name') ? [...endedAt(token, TOKEN_ENDS)] : [];
    if (!name.includes('name') || (isPlainName(text) && others.length === 0)) parameters.push([name, text]);
    else parameters.push(...readingsIn(name, [text], others, names));
  }
  return { parameters, overloaded: names.overloaded };
}

/**
 * The parameters of a field's value.
 *
 * @param maxParameters of more, the rest is not read
 * @param budget what may still be spent on names that have several readings
 */
export function parseParameters(
  value: string,
  maxParameters: number,
  budget = new NameBudget(),
): ParameterReadings {
  if (!value.includes('=')) return NO_PARAMETERS;
  const names = new NameReader(budget);
  if (isSimpleValue(value)) return simpleParameters(value, names);
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

/** The readings of the names in one field. */
class NameReader {
  readonly #budget: NameBudget;
  /** Whether there were names that were not read. */
  overloaded = false;

  constructor(budget: NameBudget) {
    this.#budget = budget;
  }

  /** The usual reading of a name. */
  usual(name: string): string {
    return isPlainName(name) ? name : (this.#budget.read(name)?.usual ?? usualName(name));
  }

  /** The readings of names that have an extension. */
  *readingsOf(names: readonly string[]): Generator<string> {
    for (const name of new Set(names)) {
      const readings = isPlainName(name) ? [name] : this.#budget.read(name)?.readings;
      if (readings) yield* readings;
      else this.overloaded = true;
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
    values = [...new Set(usual.map((text) => names.usual(text)))];
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

/** A type begins with a letter or a digit (RFC 6838 4.2), so what stands before it ends in one place only. */
const MEDIA_TYPE = /^\W*(\w[\w!#$&^.+-]*)\s*\/\s*([\w!#$&^.+-]+)/;

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

const withoutBrackets = (text: string): string =>
  text.startsWith('<') && text.endsWith('>') ? text.slice(1, -1) : text;

const NO_BOUNDARIES: ReadonlySet<string> = new Set();

/** Programs that keep only as much of a boundary as RFC 2046 5.1.1 allows compare only that. */
const MAX_BOUNDARY = 70;

/** What a program may take for the boundary that a parameter gives. */
function* boundaryReadings(text: string): Generator<string> {
  const inner = unquoted(text);
  yield text;
  yield inner;
  // Python takes angle brackets for quotes, and removes quotes twice.
  yield withoutBrackets(inner);
  yield withoutBrackets(withoutBrackets(inner));
  if (text.includes('=?')) yield usualName(text);
  if (text.includes('\0')) yield text.slice(0, text.indexOf('\0'));
  if (text.length > MAX_BOUNDARY) yield text.slice(0, MAX_BOUNDARY);
}

/** All boundaries that mail programs may read, as latin1: `b` for `"b"`, `""b""`, `"\"b\""` and `"<b>"`. An empty one counts. */
export function boundariesOf(parameters: readonly Parameter[]): ReadonlySet<string> {
  const found = parameters.filter(([name]) => name === 'boundary');
  if (found.length === 0) return NO_BOUNDARIES;
  const boundaries = found.flatMap(([, text]) => [...boundaryReadings(text)]).map((text) => text.trimEnd());
  return new Set(boundaries.map((text) => encodeBytes(text).toString('latin1')));
}
