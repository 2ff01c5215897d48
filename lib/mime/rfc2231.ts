/**
 * Parameters in segments and with a character set (RFC 2231), in every way that programs put them together.
 *
 * The usual reading goes by the numbers of the segments. Other programs stop at a gap or at an empty segment, take segments in the
 * order of the field, the last instead of the first of a number, or each for a value of its own.
 */
import { encodeBytes } from '../internal/bytes.js';
import { asciiOf, decodeOdd, decodeText, ODD_LABEL } from './charset-text.js';
import { SHIFT_CONTROLS } from './left-out.js';
import { withoutComments } from './names.js';

/** `name*1*` as the name, the number of the segment, and whether it is encoded (RFC 2231 7). */
const ATTRIBUTE = /^([^*]*)(?:\*(\d*))?(\*?)$/;

const isAsciiText = (text: string): boolean => /^[\0-\x7f]*$/.test(text);

interface Segment {
  readonly index: number;
  readonly text: string;
  readonly encoded: boolean;
  /** The bytes that the text stands for, as latin1. */
  readonly bytes: string;
}

/** What one field says about one attribute. */
export interface Attribute {
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
  const visible = /^[!-'*-~]*$/.test(attribute)
    ? attribute
    : withoutComments(attribute).replace(/[^!-~]+/g, '');
  const key = visible.toLowerCase();
  const [, name = '', number, star] = ATTRIBUTE.exec(key) ?? [null, key.slice(0, key.indexOf('*')), ''];
  const index = number === undefined ? null : Number(number || 0);
  return { name, index, encoded: index !== null && (star === '*' || number === '') };
}

export class Attributes {
  readonly #found = new Map<string, Attribute>();

  /** Adds values of one attribute, each once. */
  add(attribute: string, values: Iterable<string>): void {
    const { name, index, encoded } = readAttribute(attribute);
    const entry = this.#found.get(name) ?? { plain: [], segments: [] };
    this.#found.set(name, entry);
    for (const text of values) {
      if (index === null) entry.plain.push(text);
      else entry.segments.push({ index, text, encoded, bytes: bytesOf(text, encoded) });
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

/** What a segment stands for: bytes, as latin1; or text that is no byte string, as it is. */
function bytesOf(text: string, encoded: boolean): string {
  if (!encoded) return isAsciiText(text) ? text : encodeBytes(text).toString('latin1');
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** The text of bytes in a character set; null if there is no such reading. */
type Decode = (bytes: Buffer, charset: string) => string | null;

/** NUL, and what switches between character sets. */
const SHIFT_MARKS: readonly number[] = [0, ...SHIFT_CONTROLS];

/** Puts segments together and decodes them in the character set that the first one names if it is encoded. */
function join(segments: readonly Segment[], decode: Decode = decodeText): string[] {
  const [first] = segments;
  if (!first) return [];
  const rest = segments
    .slice(1)
    .map(({ bytes }) => bytes)
    .join('');
  const heads = first.encoded ? extendedValue(first.text) : ([['', first.text]] as [string, string][]);
  return heads.flatMap(([charset, text]) => {
    const joined = bytesOf(text, first.encoded) + rest;
    if (charset === '' && isAsciiText(joined)) return [joined];
    // Text that is no byte string was not encoded at all.
    return /[^\0-\xff]/.test(joined) ? [joined] : (decode(Buffer.from(joined, 'latin1'), charset) ?? []);
  });
}

/** The readings of segments, the usual one first. */
const joinInAllWays = (segments: readonly Segment[]): string[] =>
  [decodeText, decodeWithoutShifts, decodeByOddLabel].flatMap((decode) => join(segments, decode));

const decodeWithoutShifts: Decode = (bytes, charset) =>
  charset !== '' && SHIFT_MARKS.some((mark) => bytes.includes(mark)) ? asciiOf(bytes) : null;

const decodeByOddLabel: Decode = (bytes, charset) =>
  ODD_LABEL.test(charset) ? decodeOdd(bytes, charset) : null;

/** The values of an attribute. */
export interface Values {
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
  const empty = distinct.findIndex(({ text }) => text === '');
  const usual = join(distinct);
  // A value without a character set is read both as it is and decoded.
  const [head] = distinct;
  if (distinct.length === 1 && head?.encoded && !head.text.includes("'")) usual.unshift(head.text);
  const others = [
    ...joinInAllWays(distinct),
    ...(gap > 0 ? joinInAllWays(distinct.slice(0, gap)) : []),
    ...(empty > 0 ? joinInAllWays(distinct.slice(0, empty)) : []),
    ...joinInAllWays(last),
    ...joinInAllWays(segments),
    ...(segments.length <= 16 ? segments.flatMap((each) => joinInAllWays([each])) : []),
  ];
  return { usual, others };
}

/** The values that a field gives an attribute, whole or in segments. */
export function valuesOf({ plain, segments }: Attribute): Values {
  const { usual, others } = assembled(segments);
  return { usual: [...usual, ...plain], others };
}
