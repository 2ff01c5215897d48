/** Macro strings (RFC 7208 7). */
import { isPrintable } from './text.js';

/** The macros of RFC 7208 7.2; `c`, `r` and `t` are allowed only in explanations. */
export type MacroLetter = 's' | 'l' | 'o' | 'd' | 'i' | 'p' | 'h' | 'v' | 'c' | 'r' | 't';

/** Returns the value of a macro, or undefined if it is too long. */
export type MacroValues = (letter: MacroLetter) => string | undefined;

interface Macro {
  readonly letter: MacroLetter;
  /** Whether it is written as a capital letter, so that the value is escaped as in a URL. */
  readonly escaped: boolean;
  /** The number of parts to keep, from the right. */
  readonly count: number;
  readonly reversed: boolean;
  /** Separates the parts; undefined if the value is not split. */
  readonly delimiter: RegExp | undefined;
}

/** More than the length of any name. Names are expanded from their end up to this length. */
const NAME_LENGTH_LIMIT = 255;

/** Characters of values that one expansion looks at: macros may expand to nothing, and reach no length. */
const MAX_WORK = 65_536;

/** No two alternatives can match the same text, so there is no backtracking. */
const TOKEN = /%\{([slodiphvcrt])(\d*)(r?)([.\-+,/_=]*)\}|%([%_-])|([\x20-\x24\x26-\x7e]+)/iy;

const ESCAPES: Record<string, string> = { '%': '%', _: ' ', '-': '%20' };

/** A `macro-string`, or an `explain-string`, which may have spaces. */
export class MacroString {
  readonly #parts: readonly (string | Macro)[];
  /** The literal text after the last macro or escape; null if there is none. */
  readonly tail: string | null;
  /** Whether it is literal text, without macros and escapes. */
  readonly plain: boolean;

  private constructor(parts: readonly (string | Macro)[], tail: string | null, plain: boolean) {
    this.#parts = parts;
    this.tail = tail;
    this.plain = plain;
  }

  /** @returns undefined for a syntax error, a character outside printable ASCII, or zero as a number of parts */
  static read(text: string): MacroString | undefined {
    const parts: (string | Macro)[] = [];
    let tail: string | null = null;
    let plain = true;
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.length) {
      const token = TOKEN.exec(text);
      if (token === null) return undefined;
      const [, letter, count = '', reversed, delimiters = '', escaped, literal] = token;
      tail = literal ?? null;
      plain &&= literal !== undefined;
      if (literal !== undefined) parts.push(literal);
      else if (escaped !== undefined) parts.push(ESCAPES[escaped] as string);
      else {
        if (/^0+$/.test(count)) return undefined;
        parts.push(macroOf(letter as string, count, reversed !== '', delimiters));
      }
    }
    return new MacroString(parts, tail, plain);
  }

  /** Whether it contains one of these macros. */
  uses(...letters: MacroLetter[]): boolean {
    return this.#parts.some((part) => typeof part !== 'string' && letters.includes(part.letter));
  }

  /**
   * Expands a domain name. Only the end of a name that is too long is expanded, because a record with many long macros could
   * otherwise expand to megabytes.
   *
   * @returns undefined if a value is too long, or not printable ASCII, or if there are too many; such a term matches nothing (RFC 8616 4)
   */
  name(values: MacroValues): string | undefined {
    const pieceOf = expansion(values);
    let text = '';
    for (let at = this.#parts.length - 1; at >= 0 && text.length < NAME_LENGTH_LIMIT; at--) {
      const piece = pieceOf(this.#parts[at] as string | Macro);
      if (piece === undefined) return undefined;
      text = piece + text;
    }
    return text;
  }

  /**
   * Expands a text.
   *
   * @param maxLength the text is cut here
   * @returns undefined if a value is too long, or not printable ASCII, or if there are too many
   */
  text(values: MacroValues, maxLength: number): string | undefined {
    const pieceOf = expansion(values);
    let text = '';
    for (const part of this.#parts) {
      const piece = pieceOf(part);
      if (piece === undefined) return undefined;
      text += piece;
      if (text.length > maxLength) return text.slice(0, maxLength);
    }
    return text;
  }
}

function macroOf(letter: string, count: string, reversed: boolean, delimiters: string): Macro {
  const lower = letter.toLowerCase() as MacroLetter;
  const transformed = count !== '' || reversed || delimiters !== '';
  return {
    letter: lower,
    escaped: letter !== lower,
    count: count === '' ? Number.POSITIVE_INFINITY : Number(count),
    reversed,
    delimiter: transformed ? new RegExp(`[${(delimiters || '.').replaceAll('-', '\\-')}]`) : undefined,
  };
}

/** What each part expands to; undefined for a value that cannot be used, and from then on if the values were too much work. */
function expansion(values: MacroValues): (part: string | Macro) => string | undefined {
  let work = 0;
  return (part) => {
    if (typeof part === 'string') return part;
    const value = values(part.letter);
    if (value === undefined || !isPrintable(value)) return undefined;
    work += value.length;
    if (work > MAX_WORK) return undefined;
    const text = part.delimiter === undefined ? value : transformed(value, part.delimiter, part);
    return part.escaped ? urlEncoded(text) : text;
  };
}

function transformed(value: string, delimiter: RegExp, { count, reversed }: Macro): string {
  const parts = value.split(delimiter);
  if (reversed) parts.reverse();
  return parts.slice(Math.max(parts.length - count, 0)).join('.');
}

/** Escapes all but the unreserved characters (RFC 3986 2.3). encodeURIComponent leaves some others as they are. */
function urlEncoded(text: string): string {
  return text.replace(/[^a-z0-9._~-]/gi, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`; // two digits, because the text is printable ASCII
  });
}
