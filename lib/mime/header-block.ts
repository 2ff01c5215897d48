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
const CONTENT_FIELD = /(?:^|[\r\n])[^!-~\r\n]*content-[!-9;-~]+[ \t]*:/i;
/** A field whose name has characters in it that some programs skip, such as NUL. */
const HIDDEN_FIELD = /^[^:]{0,100}:/;
/** The line by which an mbox file separates messages. */
const MBOX_SEPARATOR = /^>?From /;

/**
 * Whether the bytes before an empty line are header fields, rather than the first paragraph of a part without any. They are if
 * the first line is a field (or an mbox separator), or any line is a Content- field, because mail programs skip malformed
 * lines.
 */
export function looksLikeHead(bytes: Buffer): boolean {
  const first = bytes.toString('latin1', 0, lineEnd(bytes, 0));
  return FIELD.test(first) || MBOX_SEPARATOR.test(first) || CONTENT_FIELD.test(bytes.toString('latin1'));
}

/** Whether the bytes begin with a header field, and one of the fields of the first 64 KiB describes content. */
export function beginsWithContentFields(bytes: Buffer): boolean {
  const first = bytes.toString('latin1', 0, Math.min(lineEnd(bytes, 0), 1000));
  return FIELD.test(first) && CONTENT_FIELD.test(bytes.toString('latin1', 0, 64 * 1024));
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
   * Where the content begins for a program that ends a head at the first line that is no field, at a line of blanks, or at the
   * second line break of CR CR LF. Some programs skip such lines; for them the head ends where it does here.
   */
  readonly earlyEnds: readonly number[];

  /**
   * @param raw the fields, and the empty line after them if there is one
   * @param lineBreak used if `raw` has no line break
   * @throws MilterError ERR_MILTER_MIME_LIMIT
   */
  constructor(raw: Buffer, limits: MimeLimits, lineBreak = '\n') {
    this.#original = raw;
    this.lineBreak = firstLineBreak(raw) ?? lineBreak;
    this.#fields = [];
    const earlyEnds = new Set<number>();
    let at = 0;
    while (at < raw.length) {
      let end = lineEnd(raw, at);
      if (end === at) break; // the empty line
      let next = skipLineBreak(raw, end);
      let early = isCrCrLf(end, next) ? next : -1;
      while (raw[next] === SPACE || raw[next] === TAB) {
        const begin = next;
        end = lineEnd(raw, next);
        next = skipLineBreak(raw, end);
        if (early < 0 && (isBlank(raw, begin, end) || isCrCrLf(end, next))) early = next;
      }
      if (end - at > limits.maxHeaderLength)
        throw limitReached('maxHeaderLength', limits.maxHeaderLength, 'bytes of a header field');
      const read = field(raw.subarray(at, next));
      if (read.name === '' && !(at === 0 && MBOX_SEPARATOR.test(raw.toString('latin1', 0, 6))))
        earlyEnds.add(at);
      if (early >= 0) earlyEnds.add(early);
      this.#fields.push(read);
      if (this.#fields.length > limits.maxHeaders)
        throw limitReached('maxHeaders', limits.maxHeaders, 'header fields of a part');
      at = next;
    }
    this.#separator = raw.subarray(at);
    this.earlyEnds = [...earlyEnds].slice(0, MAX_EARLY_ENDS);
  }

  /** Whether there are no fields at all. */
  get isEmpty(): boolean {
    return this.#fields.length === 0;
  }

  /** Whether programs differ in which fields they see. */
  get isAmbiguous(): boolean {
    return this.earlyEnds.length > 0 || hasLoneCr(this.#original);
  }

  /** The names and values, in order. */
  entries(): [name: string, value: string][] {
    return this.#fields
      .filter(({ name }) => name !== '')
      .map((each) => [each.name, fieldValue(each, 'kept')]);
  }

  /**
   * The values of all fields of this name, in any letter case.
   *
   * @param folds whether the blanks after a fold are kept, as they should be, or removed with it
   */
  getAll(name: string, folds: 'kept' | 'joined' = 'kept'): string[] {
    const key = name.toLowerCase();
    return this.#fields.filter((each) => each.key === key).map((each) => fieldValue(each, folds));
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

  /** Removes all lines that are no fields. */
  deleteGarbage(): void {
    const fields = this.#fields.filter(
      ({ name }, at) => name !== '' || (at === 0 && this.#startsWithSeparator),
    );
    this.#changed ||= fields.length < this.#fields.length;
    this.#fields = fields;
  }

  get #startsWithSeparator(): boolean {
    return MBOX_SEPARATOR.test(this.#fields[0]?.raw.toString('latin1', 0, 6) ?? '');
  }

  /** The bytes; the original ones unless a field was changed. */
  toBuffer(): Buffer {
    if (!this.#changed) return this.#original;
    const separator = this.#separator.length > 0 ? this.#separator : Buffer.from(this.lineBreak);
    return Buffer.concat([this.toFields(), separator]);
  }

  /** The bytes of the fields, without the empty line. */
  toFields(): Buffer {
    const pieces: Buffer[] = [];
    for (const { raw } of this.#fields) {
      pieces.push(raw);
      const last = raw[raw.length - 1];
      if (last !== LF && last !== CR) pieces.push(Buffer.from(this.lineBreak));
    }
    return Buffer.concat(pieces);
  }

  #create(name: string, value: string): Field {
    checkField('mime', 'headerName', name);
    checkField('mime', 'headerValue', value);
    const line = `${name}: ${value.replace(/\r?\n/g, this.lineBreak)}${this.lineBreak}`;
    return { name, key: name.toLowerCase(), raw: encodeBytes(line) };
  }
}

/** Of more places where a head may end, only these are tried. */
const MAX_EARLY_ENDS = 3;

/** Whether the line break from `end` to `next` is an empty line to programs that take a lone CR for a line break. */
const isCrCrLf = (end: number, next: number): boolean => next - end > 2;

function isBlank(raw: Buffer, begin: number, end: number): boolean {
  let at = begin;
  while (at < end && (raw[at] === SPACE || raw[at] === TAB)) at++;
  return at === end;
}

function hasLoneCr(raw: Buffer): boolean {
  for (let at = raw.indexOf(CR); at >= 0; at = raw.indexOf(CR, at + 1)) if (raw[at + 1] !== LF) return true;
  return false;
}

function field(raw: Buffer): Field {
  const line = raw.toString('latin1', 0, Math.min(lineEnd(raw, 0), 1000));
  const name = FIELD.exec(line)?.[1] ?? '';
  if (name !== '') return { name, key: name.toLowerCase(), raw };
  // For the readings, a field that hides its name has it; but it is not listed, and counts as garbage.
  const hidden = HIDDEN_FIELD.exec(line)?.[0].slice(0, -1) ?? '';
  const key = hidden.replace(/[^!-~]/g, '').toLowerCase();
  return { name: '', key: key.startsWith('content-') ? key : '', raw };
}

/** The value, unfolded and trimmed. Bytes that are not UTF-8 are kept as lone surrogates (surrogateescape). */
function fieldValue({ raw }: Field, folds: 'kept' | 'joined'): string {
  return decodeBytes(raw.subarray(raw.indexOf(':') + 1))
    .replace(folds === 'kept' ? /[\r\n]/g : /[\r\n]+[ \t]*/g, '')
    .trim();
}
