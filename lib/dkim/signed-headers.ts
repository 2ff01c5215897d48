/** The header block of a message, and what a signature's hash takes of it (RFC 6376 3.7 and 5.4.2). */
import { badArgument } from '../internal/errors.js';
import { type Canonicalization, canonicalHeader, type HeaderField } from './canonical-header.js';

const FIELD_NAME = /^[\x21-\x39\x3c-\x7e]+$/;

/** @throws MilterError ERR_MILTER_BAD_ARGUMENT for what cannot stand in `h=` */
export function checkSignedNames(where: string, names: readonly string[]): void {
  for (const name of names) {
    if (!FIELD_NAME.test(name)) throw badArgument(`${where}: ${JSON.stringify(name)} is not a header's name`);
  }
}

export class HeaderBlock {
  readonly #fields: HeaderField[] = [];
  /** Where the fields of a name stand, from top to bottom. */
  readonly #places = new Map<string, number[]>();
  /** Canonical fields, made once for all signatures. */
  readonly #canonical: Record<Canonicalization, (string | undefined)[]> = { simple: [], relaxed: [] };
  #bytes = 0;

  add(field: HeaderField): void {
    const places = this.#places.get(field.key);
    if (places) places.push(this.#fields.length);
    else this.#places.set(field.key, [this.#fields.length]);
    this.#fields.push(field);
    this.#bytes += field.name.length + field.value.length + ':\r\n'.length;
  }

  /** Octets of all fields, with their line ends. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The fields of a name, from top to bottom. */
  all(key: string): HeaderField[] {
    return (this.#places.get(key) ?? []).map((place) => this.#fields[place] as HeaderField);
  }

  count(key: string): number {
    return this.#places.get(key)?.length ?? 0;
  }

  /**
   * The names of `h=`: each as often as the field occurs, and once more if it is oversigned. From is always there.
   *
   * @param names that are signed if they are present, in any case
   */
  namesToSign(names: readonly string[], oversigned: readonly string[]): string[] {
    const more = new Set(oversigned.map((name) => name.toLowerCase()));
    const all = new Set(['from', ...names.map((name) => name.toLowerCase()), ...more]);
    return [...all].flatMap((name) => Array<string>(this.count(name) + (more.has(name) ? 1 : 0)).fill(name));
  }

  /**
   * The text that is signed: the named fields, each in its canonical form and with CRLF. Where a name is there several
   * times its fields are taken from the bottom up; a name without a field left is passed over.
   *
   * @param but a field that is not taken: the signature itself
   */
  signedText(names: readonly string[], how: Canonicalization, but?: HeaderField): string {
    const taken = new Map<string, number>();
    const lines: string[] = [];
    for (const name of names) {
      const places = this.#places.get(name);
      if (!places) continue;
      let left = taken.get(name) ?? places.length;
      if (left > 0 && this.#fields[places[left - 1] as number] === but) left--;
      if (left === 0) continue;
      lines.push(this.#line(places[left - 1] as number, how));
      taken.set(name, left - 1);
    }
    return lines.join('');
  }

  #line(place: number, how: Canonicalization): string {
    const made = this.#canonical[how];
    const line = made[place] ?? `${canonicalHeader(this.#fields[place] as HeaderField, how)}\r\n`;
    made[place] = line;
    return line;
  }
}
