/** A header field, or another line of a head, as it was written. */
import { decodeBytes } from '../internal/bytes.js';

/** Whether the blanks after a fold are kept, as they should be (RFC 5322 2.2.3), or removed with it, as some programs do. */
export type Folds = 'kept' | 'joined';

/** The longest beginning of a line that is searched for the end of a name. */
const MAX_NAME_LINE = 1000;
/** A field's name (RFC 5322 2.2), and the blanks that RFC 822 allowed before the colon. */
const FIELD = /^([!-9;-~]+)[ \t]*:/;
/** A field whose name has characters in it that some programs skip, such as NUL, or whose colon is in the next line. */
const HIDDEN_FIELD = /^[^:]{0,100}:/;
const LINE_BREAKS = /[\r\n]+/g;
const FOLDS = /[\r\n]+[ \t]*/g;

/** Whether a text has no byte beyond ASCII, so that it needs no decoding. */
const isAscii = (latin1: string): boolean => !/[\x80-\xff]/.test(latin1);

export class HeaderField {
  /** As it was written; empty for a line that is no header field. */
  readonly name: string;
  /**
   * The name in lower case. For the readings, a field of content that hides its name has it, although it is not listed and
   * counts as garbage.
   */
  readonly key: string;
  /** The bytes with their line breaks, as latin1. */
  readonly text: string;
  #kept: string | undefined;
  #joined: string | undefined;

  constructor(name: string, key: string, text: string) {
    this.name = name;
    this.key = key;
    this.text = text;
  }

  /** A field whose name is to be found in its bytes. */
  static read(text: string): HeaderField {
    const [line = ''] = text.slice(0, MAX_NAME_LINE).split(/[\r\n]/, 1);
    const name = FIELD.exec(line)?.[1] ?? '';
    if (name !== '') return new HeaderField(name, name.toLowerCase(), text);
    const hidden = HIDDEN_FIELD.exec(text)?.[0].slice(0, -1) ?? '';
    const key = hidden.replace(/[^!-~]/g, '').toLowerCase();
    return new HeaderField('', key.startsWith('content-') ? key : '', text);
  }

  /** The value, unfolded and trimmed. Bytes that are not UTF-8 are kept as lone surrogates (surrogateescape). */
  value(folds: Folds): string {
    this.#kept ??= this.#decode().replace(LINE_BREAKS, '').trim();
    if (folds === 'kept') return this.#kept;
    this.#joined ??= this.#isFolded ? this.#decode().replace(FOLDS, '').trim() : this.#kept;
    return this.#joined;
  }

  #decode(): string {
    const written = this.text.slice(this.text.indexOf(':') + 1);
    return isAscii(written) ? written : decodeBytes(Buffer.from(written, 'latin1'));
  }

  /** Whether there is a line break before the last line ends. */
  get #isFolded(): boolean {
    return /[\r\n]+[^\r\n]/.test(this.text);
  }
}

/** Whether a line begins with a field's name. */
export const beginsField = (line: string): boolean => FIELD.test(line);
