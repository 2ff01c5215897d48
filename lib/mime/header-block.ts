/** The header fields of a part, with every byte they came in. */

import { decodeBytes, encodeBytes } from '../internal/bytes.js';
import { checkHeaderName, checkHeaderValue } from '../internal/validate.js';
import { limitReached, type MimeLimits } from './limits.js';
import { CR, firstLineBreak, LF, lineEnd, SPACE, skipLineBreak, TAB } from './lines.js';

interface Field {
  /** The name as it came; empty for a line that is no field. */
  readonly name: string;
  readonly key: string;
  /** The field with its line breaks. */
  readonly raw: Buffer;
}

/** A field's name (RFC 5322 2.2), and blanks that RFC 822 allowed before the colon. */
const FIELD = /^([!-9;-~]+)[ \t]*:/;
const CONTENT_FIELD = /(?:^|[\r\n])content-[!-9;-~]+[ \t]*:/i;

/**
 * Whether bytes up to an empty line are header fields, and not the first paragraph of a part that has none. A part is
 * believed to have fields where its first line is one (or an mbox separator), or any line is a Content- field:
 * mail programs skip lines of garbage and read on.
 */
export function looksLikeHead(bytes: Buffer): boolean {
  const first = bytes.toString('latin1', 0, lineEnd(bytes, 0));
  return FIELD.test(first) || /^>?From /.test(first) || CONTENT_FIELD.test(bytes.toString('latin1'));
}

export class HeaderBlock {
  readonly #original: Buffer;
  #fields: Field[];
  /** The empty line; nothing where the head ends without one. */
  readonly #separator: Buffer;
  #changed = false;
  /** What ends its lines: that of the first line, LF where there is none. */
  readonly lineBreak: string;

  /**
   * @param raw the fields, and the empty line behind them where there is one
   * @param lineBreak for fields that are added where `raw` is empty
   * @throws MilterError ERR_MILTER_MIME_LIMIT
   */
  constructor(raw: Buffer, limits: MimeLimits, lineBreak = '\n') {
    this.#original = raw;
    this.lineBreak = firstLineBreak(raw) ?? lineBreak;
    this.#fields = [];
    let at = 0;
    while (at < raw.length) {
      let end = lineEnd(raw, at);
      if (end === at) break; // the empty line
      let next = skipLineBreak(raw, end);
      while (raw[next] === SPACE || raw[next] === TAB) {
        end = lineEnd(raw, next);
        next = skipLineBreak(raw, end);
      }
      if (end - at > limits.maxHeaderLength)
        throw limitReached('maxHeaderLength', limits.maxHeaderLength, 'bytes of a header field');
      this.#fields.push(field(raw.subarray(at, next)));
      if (this.#fields.length > limits.maxHeaders)
        throw limitReached('maxHeaders', limits.maxHeaders, 'header fields of a part');
      at = next;
    }
    this.#separator = raw.subarray(at);
  }

  /** Names and values in their order. */
  entries(): [name: string, value: string][] {
    return this.#fields.filter(({ name }) => name !== '').map((each) => [each.name, fieldValue(each)]);
  }

  /** The values of all fields of this name, whatever its letter case. */
  getAll(name: string): string[] {
    const key = name.toLowerCase();
    return this.#fields.filter((each) => each.key === key).map(fieldValue);
  }

  /** The names, as they came, of all fields whose lower-case name `test` accepts; each once. */
  names(test: (key: string) => boolean): string[] {
    const found = new Map<string, string>();
    for (const { key, name } of this.#fields)
      if (name !== '' && test(key) && !found.has(key)) found.set(key, name);
    return [...found.values()];
  }

  /** Adds a field behind the others. */
  add(name: string, value: string): void {
    this.#fields.push(this.#made(name, value));
    this.#changed = true;
  }

  /** Puts a field in the place of the first of its name, or behind all. @returns how many others of the name went */
  set(name: string, value: string): number {
    const made = this.#made(name, value);
    const at = this.#fields.findIndex(({ key }) => key === made.key);
    if (at < 0) {
      this.add(name, value);
      return 0;
    }
    const rest = this.#fields.slice(at + 1).filter(({ key }) => key !== made.key);
    const others = this.#fields.length - at - 1 - rest.length;
    this.#fields = [...this.#fields.slice(0, at), made, ...rest];
    this.#changed = true;
    return others;
  }

  /** Takes all fields of the name away. @returns how many there were */
  delete(name: string): number {
    const key = name.toLowerCase();
    const left = this.#fields.filter((each) => each.key !== key);
    const gone = this.#fields.length - left.length;
    this.#fields = left;
    this.#changed ||= gone > 0;
    return gone;
  }

  /** The bytes: those it was made of, unless a field was changed. */
  toBuffer(): Buffer {
    if (!this.#changed) return this.#original;
    const pieces: Buffer[] = [];
    for (const { raw } of this.#fields) {
      pieces.push(raw);
      const last = raw[raw.length - 1];
      if (last !== LF && last !== CR) pieces.push(Buffer.from(this.lineBreak));
    }
    pieces.push(this.#separator.length > 0 ? this.#separator : Buffer.from(this.lineBreak));
    return Buffer.concat(pieces);
  }

  #made(name: string, value: string): Field {
    checkHeaderName('mime', name);
    checkHeaderValue('mime', value);
    const line = `${name}: ${value.replace(/\r?\n/g, this.lineBreak)}${this.lineBreak}`;
    return { name, key: name.toLowerCase(), raw: encodeBytes(line) };
  }
}

function field(raw: Buffer): Field {
  const line = raw.toString('latin1', 0, Math.min(lineEnd(raw, 0), 1000));
  const name = FIELD.exec(line)?.[1] ?? '';
  return { name, key: name.toLowerCase(), raw };
}

/** The value in one line, without the blanks around it. Bytes that are not UTF-8 are kept (surrogateescape). */
function fieldValue({ raw }: Field): string {
  return decodeBytes(raw.subarray(raw.indexOf(':') + 1))
    .replace(/[\r\n]/g, '')
    .trim();
}
