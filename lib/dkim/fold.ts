/**
 * Folding of fields made of tags, as MTAs deliver them: lines of up to 78 characters if possible, each fold an
 * LF and a tab (libmilter's spelling of CRLF and a tab). Neither Sendmail nor Postfix folds such a field again.
 */

const MAX_LINE = 78;
const FOLD = '\n\t';
/** The tab that begins a folded line counts as one character. */
const INDENT = 1;

export class FoldedTags {
  #text = '';
  #column: number;

  /** @param name of the field, which stands on the first line with a colon and a space */
  constructor(name: string) {
    this.#column = `${name}: `.length;
  }

  /** Adds `name=value`; breaks before it, and in front of any of `pieces`, if the line would become too long. */
  add(name: string, ...pieces: readonly string[]): this {
    if (this.#text !== '') this.#append('; ', false);
    const [first = '', ...more] = pieces;
    this.#append(`${name}=${first}`, true);
    for (const piece of more) this.#append(piece, true);
    return this;
  }

  /** Adds a list with colons between its items. */
  addList(name: string, items: readonly string[]): this {
    return this.add(name, ...items.map((item, index) => (index < items.length - 1 ? `${item}:` : item)));
  }

  /** Adds a value that white space may be put into anywhere: base64. */
  addBase64(name: string, value: string): this {
    return this.add(name).continueBase64(value);
  }

  /** Writes base64 on behind what is there: the value of a tag that was added empty. */
  continueBase64(value: string): this {
    for (let at = 0; at < value.length; ) {
      const room = MAX_LINE - this.#column - 1;
      if (room <= 0) {
        this.#break();
        continue;
      }
      this.#append(value.slice(at, at + room), false);
      at += room;
    }
    return this;
  }

  toString(): string {
    return this.#text;
  }

  #append(piece: string, mayBreak: boolean): void {
    // The semicolon that may follow belongs to this line.
    if (mayBreak && this.#column + piece.length + 1 > MAX_LINE) this.#break();
    this.#text += piece;
    this.#column += piece.length;
  }

  #break(): void {
    this.#text = `${this.#text.endsWith(' ') ? this.#text.slice(0, -1) : this.#text}${FOLD}`;
    this.#column = INDENT;
  }
}
