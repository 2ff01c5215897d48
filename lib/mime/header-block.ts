/** The header fields of a part, with all their original bytes. */

import { encodeBytes } from '../internal/bytes.js';
import { checkField } from '../internal/wire-text.js';
import { beginsField, type Folds, HeaderField } from './header-field.js';
import { limitReached, type MimeLimits } from './limits.js';
import { firstLineBreak, hasLoneCr, lineEnd, SPACE, skipLineBreak, TAB } from './lines.js';
import { ordinaryField } from './ordinary-head.js';

const CONTENT_FIELD = /(?:^|[\r\n])[^!-~\r\n]*content-[!-9;-~]+[ \t]*:/i;
/** The line by which an mbox file separates messages. */
const MBOX_SEPARATOR = /^>?From /;
const LONE_CR = /\r(?!\n)/;

/**
 * Whether the bytes before an empty line are header fields, rather than the first paragraph of a part without any. They are if
 * the first line is a field (or an mbox separator), or any line is a Content- field, because mail programs skip malformed
 * lines.
 */
export function looksLikeHead(bytes: Buffer): boolean {
  const first = bytes.toString('latin1', 0, lineEnd(bytes, 0));
  return beginsField(first) || MBOX_SEPARATOR.test(first) || CONTENT_FIELD.test(bytes.toString('latin1'));
}

/** Whether the bytes begin with a header field, and one of the fields of the first 64 KiB describes content. */
export function beginsWithContentFields(bytes: Buffer): boolean {
  const first = bytes.toString('latin1', 0, Math.min(lineEnd(bytes, 0), 1000));
  return beginsField(first) && CONTENT_FIELD.test(bytes.toString('latin1', 0, 64 * 1024));
}

export class HeaderBlock {
  readonly #original: Buffer;
  #fields: HeaderField[] = [];
  /** The empty line; no bytes if the head ends without one. */
  readonly #separator: Buffer;
  #changed = false;
  /** The line break of the first line. */
  readonly lineBreak: string;
  /**
   * Where the content begins for a program that ends a head at the first line that is no field, at a field with blanks before its
   * colon, at a line of blanks, or at the second line break of CR CR LF: the first place of each kind. Some programs skip such
   * lines; for them the head ends where it does here.
   */
  readonly earlyEnds: readonly number[];
  /** Whether programs differ in which fields they see. */
  readonly isAmbiguous: boolean;
  /** Whether there is a CR that no LF follows, so that programs differ in where lines end. */
  readonly hasLoneCr: boolean;

  /**
   * @param raw the fields, and the empty line after them if there is one
   * @param lineBreak used if `raw` has no line break
   * @throws MilterError ERR_MILTER_MIME_LIMIT
   */
  constructor(raw: Buffer, limits: MimeLimits, lineBreak = '\n') {
    this.#original = raw;
    this.lineBreak = firstLineBreak(raw) ?? lineBreak;
    const text = raw.toString('latin1');
    const earlyEnds = new Map<EarlyEnd, number>();
    const endEarly = (kind: EarlyEnd, place: number): void => {
      if (!earlyEnds.has(kind)) earlyEnds.set(kind, place);
    };
    let at = 0;
    let isOrdinary = true;
    while (at < text.length) {
      const begin = at;
      const ordinary = ordinaryField(text, begin);
      if (ordinary) {
        at = ordinary.end;
        this.#fields.push(new HeaderField(ordinary.name, ordinary.name.toLowerCase(), text.slice(begin, at)));
      } else if (lineEnd(raw, begin) === begin) {
        break; // the empty line
      } else {
        isOrdinary = false;
        at = fieldEnd(raw, begin, endEarly);
        const field = HeaderField.read(text.slice(begin, at));
        const kind = earlyEndAt(field);
        if (kind && !(begin === 0 && MBOX_SEPARATOR.test(field.text))) endEarly(kind, begin);
        this.#fields.push(field);
      }
      if (at - begin > limits.maxHeaderLength) checkLength(text.slice(begin, at), limits.maxHeaderLength);
      if (this.#fields.length > limits.maxHeaders)
        throw limitReached('maxHeaders', limits.maxHeaders, 'header fields of a part');
    }
    this.#separator = raw.subarray(at);
    this.earlyEnds = [...new Set(earlyEnds.values())];
    isOrdinary &&= /^(?:\r?\n)?$/.test(text.slice(at));
    this.hasLoneCr = !isOrdinary && hasLoneCr(raw);
    this.isAmbiguous = this.earlyEnds.length > 0 || (!isOrdinary && LONE_CR.test(text));
  }

  /** The number of bytes that were read, with the empty line. */
  get size(): number {
    return this.#original.length;
  }

  /** Whether there are no fields at all. */
  get isEmpty(): boolean {
    return this.#fields.length === 0;
  }

  /** Whether a field describes the content, also one that hides its name. */
  get describesContent(): boolean {
    return this.#fields.some(({ key }) => key.startsWith('content-'));
  }

  /** The names and values, in order. */
  entries(): [name: string, value: string][] {
    return this.#fields.filter(({ name }) => name !== '').map((each) => [each.name, each.value('kept')]);
  }

  /**
   * The values of all fields of this name, in any letter case.
   *
   * @param folds whether the blanks after a fold are kept, as they should be, or removed with it
   */
  getAll(name: string, folds: Folds = 'kept'): string[] {
    const key = name.toLowerCase();
    const values: string[] = [];
    for (const field of this.#fields) if (field.key === key) values.push(field.value(folds));
    return values;
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
    return MBOX_SEPARATOR.test(this.#fields[0]?.text ?? '');
  }

  /** The bytes; the original ones unless a field was changed. */
  toBuffer(): Buffer {
    if (!this.#changed) return this.#original;
    const separator = this.#separator.length > 0 ? this.#separator : Buffer.from(this.lineBreak);
    return Buffer.concat([this.toFields(), separator]);
  }

  /** The bytes of the fields, without the empty line. */
  toFields(): Buffer {
    const lines = this.#fields.map(({ text }) => (/[\r\n]$/.test(text) ? text : text + this.lineBreak));
    return Buffer.from(lines.join(''), 'latin1');
  }

  #create(name: string, value: string): HeaderField {
    checkField('mime', 'headerName', name);
    checkField('mime', 'headerValue', value);
    const line = `${name}: ${value.replace(/\r?\n/g, this.lineBreak)}${this.lineBreak}`;
    return new HeaderField(name, name.toLowerCase(), encodeBytes(line).toString('latin1'));
  }
}

/**
 * Why a program may end a head where others do not. It does so at the first place of a kind, so a head has few early ends, however
 * many such lines there are.
 */
type EarlyEnd = 'no colon' | 'no name' | 'blanks before the colon' | 'blanks' | 'CR CR LF';

/** Why a program may take the line that this field begins with for content; null if none does. */
function earlyEndAt({ name, text }: HeaderField): EarlyEnd | null {
  if (name === '') return text.includes(':') ? 'no name' : 'no colon';
  return text[name.length] === ':' ? null : 'blanks before the colon';
}

/** Whether the line break from `end` to `next` is an empty line to programs that take a lone CR for a line break. */
const isCrCrLf = (end: number, next: number): boolean => next - end > 2;

function isBlank(raw: Buffer, begin: number, end: number): boolean {
  let at = begin;
  while (at < end && (raw[at] === SPACE || raw[at] === TAB)) at++;
  return at === end;
}

/** Where the field at `begin`, which may be any line, ends with its folds. Tells where its head may end before. */
function fieldEnd(raw: Buffer, begin: number, endEarly: (kind: EarlyEnd, place: number) => void): number {
  let lineBreak = lineEnd(raw, begin);
  let end = skipLineBreak(raw, lineBreak);
  if (isCrCrLf(lineBreak, end)) endEarly('CR CR LF', end);
  while (raw[end] === SPACE || raw[end] === TAB) {
    const fold = end;
    lineBreak = lineEnd(raw, fold);
    end = skipLineBreak(raw, lineBreak);
    if (isBlank(raw, fold, lineBreak)) endEarly('blanks', end);
    if (isCrCrLf(lineBreak, end)) endEarly('CR CR LF', end);
  }
  return end;
}

/** @throws MilterError ERR_MILTER_MIME_LIMIT if the field is too long without its last line break */
function checkLength(field: string, limit: number): void {
  if (field.replace(/[\r\n]+$/, '').length > limit)
    throw limitReached('maxHeaderLength', limit, 'bytes of a header field');
}
