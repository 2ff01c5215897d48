/** Splits the value of an address header into its parts, including values that break the rules (RFC 5322 3.2, 3.4, 4.4). */

/** A part of a header's value. */
export interface AddressPart {
  readonly kind: 'text' | 'quoted' | 'comment' | 'angle' | 'separator' | 'colon';
  /** The text: of a quoted string and a comment without their delimiters and backslashes, of an angle address what is in it. */
  readonly text: string;
  /** The part as it is written. */
  readonly raw: string;
}

const SPECIAL = /["(<,;:]|@\[/g;
/** A domain literal, whose colons are not those of a group: `@[IPv6:2001:db8::1]`. */
const LITERAL = /@\[[^\][\s<>,;]{0,64}\]/y;
const WHITE = /\s/;

/**
 * The parts of an unfolded value, in time proportional to its length. A quote or a parenthesis that is never closed is ordinary
 * text, as in `12" vinyl` and `:(`.
 */
export function scanAddresses(value: string): AddressPart[] {
  return new Scanner(value).parts();
}

class Scanner {
  readonly #value: string;
  readonly #parts: AddressPart[] = [];
  /** The index of the parenthesis that closes a comment, by that which opens it. */
  #commentEnds: ReadonlyMap<number, number> | undefined;
  /** From here on, no quote is closed. */
  #quotesEnd: number;
  #textStart = 0;

  constructor(value: string) {
    this.#value = value;
    this.#quotesEnd = value.length;
  }

  parts(): AddressPart[] {
    let at = 0;
    for (;;) {
      SPECIAL.lastIndex = at;
      const found = SPECIAL.exec(this.#value);
      if (found === null) break;
      at = this.#special(found[0], found.index) ?? found.index + 1;
    }
    this.#endText(this.#value.length);
    return this.#parts;
  }

  /** Reads the part that begins with a special character. @returns where it ends; undefined if the character is ordinary text */
  #special(character: string, at: number): number | undefined {
    switch (character) {
      case '"':
        return this.#quoted(at);
      case '(':
        return this.#comment(at);
      case '<':
        return this.#angle(at);
      case '@[':
        LITERAL.lastIndex = at;
        return LITERAL.test(this.#value) ? LITERAL.lastIndex : undefined;
      default:
        return this.#add(character === ':' ? 'colon' : 'separator', at, at + 1, character);
    }
  }

  #add(kind: AddressPart['kind'], start: number, end: number, text: string): number {
    this.#endText(start);
    this.#parts.push({ kind, text, raw: this.#value.slice(start, end) });
    this.#textStart = end;
    return end;
  }

  #endText(end: number): void {
    const text = this.#value.slice(this.#textStart, end);
    if (text !== '') this.#parts.push({ kind: 'text', text, raw: text });
  }

  #quoted(at: number): number | undefined {
    const end = this.#closingQuote(at + 1);
    if (end === undefined) return undefined;
    const text = this.#value.slice(at + 1, end);
    // An inch mark in `12" vinyl <a@b>, 7" single <c@d>` must not hide an address.
    if (this.#followsWord(at) && text.includes('<')) return undefined;
    return this.#add('quoted', at, end + 1, withoutBackslashes(text));
  }

  #closingQuote(from: number): number | undefined {
    if (from >= this.#quotesEnd) return undefined;
    for (let at = from; at < this.#value.length; at++) {
      const here = this.#value[at];
      if (here === '"') return at;
      if (here === '\\') at++;
    }
    this.#quotesEnd = from;
    return undefined;
  }

  #followsWord(at: number): boolean {
    const before = this.#value[at - 1];
    return at > this.#textStart && before !== undefined && !WHITE.test(before);
  }

  #comment(at: number): number | undefined {
    this.#commentEnds ??= matchParentheses(this.#value, at);
    const end = this.#commentEnds.get(at);
    if (end === undefined) return undefined;
    return this.#add('comment', at, end + 1, withoutBackslashes(this.#value.slice(at + 1, end)));
  }

  /** `<…>`; if it is not closed before another `<` or the end, its first word. */
  #angle(at: number): number {
    let end = at + 1;
    while (end < this.#value.length && !/[<>]/.test(this.#value[end] as string)) {
      const quote = this.#value[end] === '"' ? this.#closingQuote(end + 1) : undefined;
      end = (quote ?? end) + 1;
    }
    const text = this.#value.slice(at + 1, end);
    if (this.#value[end] === '>') return this.#add('angle', at, end + 1, text);
    const word = /^\s*[^\s,;]*/.exec(text)?.[0] ?? '';
    return this.#add('angle', at, at + 1 + word.length, word);
  }
}

/** Matches the parentheses of a text from an index on. A backslash makes the next character ordinary. */
function matchParentheses(text: string, from: number): Map<number, number> {
  const ends = new Map<number, number>();
  const open: number[] = [];
  for (let at = from; at < text.length; at++) {
    const here = text[at];
    if (here === '\\' && open.length > 0) at++;
    else if (here === '(') open.push(at);
    else if (here === ')') {
      const start = open.pop();
      if (start !== undefined) ends.set(start, at);
    }
  }
  return ends;
}

function withoutBackslashes(text: string): string {
  return text.replace(/\\(.)/gs, '$1');
}
