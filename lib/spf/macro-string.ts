/** Text with macros (RFC 7208 7). */
import { isPrintable } from './text.js';

/** Those of 7.2; `c`, `r` and `t` have a meaning in explanations only. */
export type MacroLetter = 's' | 'l' | 'o' | 'd' | 'i' | 'p' | 'h' | 'v' | 'c' | 'r' | 't';

/** What each letter stands for now; undefined where it is too long to stand for anything. */
export type MacroValues = (letter: MacroLetter) => string | undefined;

interface Macro {
  readonly letter: MacroLetter;
  /** Written as a capital letter: the value is escaped as in a URL. */
  readonly escaped: boolean;
  /** How many parts from the right are kept. */
  readonly count: number;
  readonly reversed: boolean;
  /** What separates the parts; undefined where the value is not divided at all. */
  readonly delimiter: RegExp | undefined;
}

/** Longer than a name may be: what a name is made of is expanded so far, from its end. */
const ENOUGH_OF_A_NAME = 255;

/** Each alternative begins and goes on with characters that no other one has, so nothing is read twice. */
const TOKEN = /%\{([slodiphvcrt])(\d*)(r?)([.\-+,/_=]*)\}|%([%_-])|([\x20-\x24\x26-\x7e]+)/iy;

const ESCAPES: Record<string, string> = { '%': '%', _: ' ', '-': '%20' };

/** A `macro-string`, or an `explain-string`, which may have spaces. */
export class MacroString {
  readonly #parts: readonly (string | Macro)[];
  /** The text after the last macro or escape; null where there is none. */
  readonly tail: string | null;
  /** Whether it is what it says: without macros and escapes. */
  readonly plain: boolean;

  private constructor(parts: readonly (string | Macro)[], tail: string | null, plain: boolean) {
    this.#parts = parts;
    this.tail = tail;
    this.plain = plain;
  }

  /** @returns undefined where the syntax is wrong, a character not printable ASCII, or a number of parts 0 */
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

  /** Whether one of these macros is in it. */
  uses(...letters: MacroLetter[]): boolean {
    return this.#parts.some((part) => typeof part !== 'string' && letters.includes(part.letter));
  }

  /**
   * The text of a name. No more than its end is made where it would be much longer than a name can be: a record of many
   * long macros would become megabytes.
   *
   * @returns undefined where a value is too long, or not printable ASCII (RFC 8616 4: such a term matches nothing)
   */
  name(values: MacroValues): string | undefined {
    let text = '';
    for (let at = this.#parts.length - 1; at >= 0 && text.length < ENOUGH_OF_A_NAME; at--) {
      const piece = pieceOf(this.#parts[at] as string | Macro, values);
      if (piece === undefined) return undefined;
      text = piece + text;
    }
    return text;
  }

  /**
   * The text itself.
   *
   * @param longest where it is cut
   * @returns undefined where a value is too long, or not printable ASCII
   */
  text(values: MacroValues, longest: number): string | undefined {
    let text = '';
    for (const part of this.#parts) {
      const piece = pieceOf(part, values);
      if (piece === undefined) return undefined;
      text += piece;
      if (text.length > longest) return text.slice(0, longest);
    }
    return text;
  }
}

function macroOf(letter: string, count: string, reversed: boolean, delimiters: string): Macro {
  const lower = letter.toLowerCase() as MacroLetter;
  const divided = count !== '' || reversed || delimiters !== '';
  return {
    letter: lower,
    escaped: letter !== lower,
    count: count === '' ? Number.POSITIVE_INFINITY : Number(count),
    reversed,
    delimiter: divided ? new RegExp(`[${(delimiters || '.').replaceAll('-', '\\-')}]`) : undefined,
  };
}

function pieceOf(part: string | Macro, values: MacroValues): string | undefined {
  if (typeof part === 'string') return part;
  const value = values(part.letter);
  if (value === undefined || !isPrintable(value)) return undefined;
  const text = part.delimiter === undefined ? value : divided(value, part.delimiter, part);
  return part.escaped ? escapedAsInUrl(text) : text;
}

function divided(value: string, delimiter: RegExp, { count, reversed }: Macro): string {
  const parts = value.split(delimiter);
  if (reversed) parts.reverse();
  return parts.slice(Math.max(parts.length - count, 0)).join('.');
}

/** RFC 3986 2.3: all but the unreserved characters. encodeURIComponent leaves more of them. */
function escapedAsInUrl(text: string): string {
  return text.replace(/[^a-z0-9._~-]/gi, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`; // printable ASCII has two digits
  });
}
