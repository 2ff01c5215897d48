/** The header fields of a part, with all their original bytes. */

import { decodeBytes, encodeBytes } from '../internal/bytes.js';
import { checkField } from '../internal/wire-text.js';
import { limitReached, type MimeLimits } from './limits.js';
import { CR, firstLineBreak, LF, lineEnd, SPACE, skipLineBreak, TAB } from './lines.js';

interface Field {
  /** The name as it was written; empty for a line that is not a header field. */
  readonly name: string;
  readonly key: string;
  /** The field with its line breaks. */
  readonly raw: Buffer;
}

/** A field's name (RFC 5322 2.2), and the blanks that RFC 822 allowed before the colon. */
const FIELD = /^([!-9;-~]+)[ \t]*:/;
const CONTENT_FIELD = /(?:^|[\r\n])content-[!-9;-~]+[ \t]*:/i;

/**
 * Whether the bytes before an empty line are header fields, rather than the first paragraph of a part without any. They are if
 * the first line is a field (or an mbox separator), or any line is a Content- field, because mail programs skip malformed
 * lines.
 */
export function looksLikeHead(bytes: Buffer): boolean {
  const first = bytes.toString('latin1', 0, lineEnd(bytes, 0));
  return FIELD.test(first) || /^>?From /.test(first) || CONTENT_FIELD.test(bytes.toString('latin1'));
}

export class HeaderBlock {
  readonly #original: Buffer;
  #fields: Field[];
  /** The empty line; no bytes if the head ends without one. */
  readonly #separator: Buffer;
  #changed = false;
  /** The line break of the first line. */
  readonly lineBreak: string;

  /**
   * @param raw the fields, and the empty line after them if there is one
   * @param lineBreak used if `raw` has no line break
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

  /** The names and values, in order. */
  entries(): [name: string, value: string][] {
    return this.#fields.filter(({ name }) => name !== '').map((each) => [each.name, fieldValue(each)]);
  }

  /** The values of all fields of this name, in any letter case. */
  getAll(name: string): string[] {
    const key = name.toLowerCase();
    return this.#fields.filter((each) => each.key === key).map(fieldValue);
  }

  /** The names of all fields whose lower-case name `test` accepts, each once and in the letter case of the first. */
  names(test: (key: string) => boolean): string[] {
    const found = new Map<string, string>();
    for (const { key, name } of this.#fields)
      if (name !== '' && test(key) && !found.has(key)) found.set(key, name);
    return [...found.values()];
  }

  /** Appends a field. */
  add(name: string, value: string): void {
    this.#fields.push(this.#create(name, value));
    this.#changed = true;
  }

  /** Replaces the first field of this name, or appends it; removes all others of the name. @returns how many were removed */
  set(name: string, value: string): number {
    const made = this.#create(name, value);
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

  /** Removes all fields of this name. @returns how many there were */
  delete(name: string): number {
    const key = name.toLowerCase();
    const left = this.#fields.filter((each) => each.key !== key);
    const gone = this.#fields.length - left.length;
    this.#fields = left;
    this.#changed ||= gone > 0;
    return gone;
  }

  /** The bytes; the original ones unless a field was changed. */
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

  #create(name: string, value: string): Field {
    checkField('mime', 'headerName', name);
    checkField('mime', 'headerValue', value);
    const line = `${name}: ${value.replace(/\r?\n/g, this.lineBreak)}${this.lineBreak}`;
    return { name, key: name.toLowerCase(), raw: encodeBytes(line) };
  }
}

function field(raw: Buffer): Field {
  const line = raw.toString('latin1', 0, Math.min(lineEnd(raw, 0), 1000));
  const name = FIELD.exec(line)?.[1] ?? '';
  return { name, key: name.toLowerCase(), raw };
}

/** The value, unfolded and trimmed. Bytes that are not UTF-8 are kept as lone surrogates (surrogateescape). */
function fieldValue({ raw }: Field): string {
  return decodeBytes(raw.subarray(raw.indexOf(':') + 1))
    .replace(/[\r\n]/g, '')
    .trim();
}
