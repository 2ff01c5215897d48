/** The headers of a message as a document: read them and edit them by name and place, without indexes. */
import { badArgument } from '../internal/errors.js';
import { encodeHeader } from '../utils/encode-header.js';
import { HeaderField } from './header-field.js';

/** Fields that Sendmail drops, or empties, if a filter adds them (the H lines of sendmail.cf). */
const DROPPED = /^(?:return-path|full-name|content-length|bcc|resent-.*)$/i;

/** ASCII, with folds if it has some, and bytes that came with the message. */
const PLAIN = /^[\t\n\r\x20-\x7e\udc80-\udcff]*$/;

/** How a value is written. */
export interface HeaderValueOptions {
  /**
   * Whether a value that is not ASCII is written in encoded words (RFC 2047) and folded. False: the value is written as it is, for fields with a syntax of their own, such as addresses that are encoded already. Default: true.
   */
  readonly encode?: boolean;
}

/** A field, or the name of a field: the first one of that name is meant. */
export type HeaderPlace = HeaderField | string;

/**
 * The header fields of a message, in order. Names are compared without regard to letter case.
 *
 * An edit is only remembered. At the end of the message the difference is sent to the MTA as the smallest list of changes that
 * gives the same delivered message with Sendmail and with Postfix.
 */
export class Headers implements Iterable<HeaderField> {
  #fields: HeaderField[];
  /** Fields that were added at the end. */
  readonly #end = new WeakSet<HeaderField>();

  /** @internal */
  constructor(fields: Iterable<HeaderField> = []) {
    this.#fields = [...fields];
  }

  /** The number of fields. */
  get length(): number {
    return this.#fields.length;
  }

  [Symbol.iterator](): Iterator<HeaderField> {
    return this.#fields.values();
  }

  /** The first field of this name; null if there is none. */
  field(name: string): HeaderField | null {
    const key = name.toLowerCase();
    return this.#fields.find((field) => field.key === key) ?? null;
  }

  /** All fields of this name, in order. */
  fields(name: string): HeaderField[] {
    const key = name.toLowerCase();
    return this.#fields.filter((field) => field.key === key);
  }

  /** Whether there is a field of this name. */
  has(name: string): boolean {
    return this.field(name) !== null;
  }

  /** The value of the first field of this name, unfolded and decoded; null if there is none. */
  get(name: string): string | null {
    return this.field(name)?.value ?? null;
  }

  /** The values of all fields of this name, unfolded and decoded. */
  getAll(name: string): string[] {
    return this.fields(name).map((field) => field.value);
  }

  /**
   * Gives the first field of this name another value, and removes the others of that name. If there is none, it is added.
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a name or value that cannot stand in a message (RFC 5322 2.2)
   */
  set(name: string, value: string, options?: HeaderValueOptions): void {
    const [first, ...others] = this.fields(name);
    if (first === undefined) {
      this.add(name, value, options);
      return;
    }
    // The name keeps its spelling, as it does with libmilter's smfi_chgheader.
    const field = write('headers.set', first.name, value, options);
    const places = new Map<HeaderField, HeaderField[]>(others.map((other) => [other, []]));
    this.#replace(places.set(first, [field]));
  }

  /**
   * Adds a field at the end. A missing From, Date or Message-Id comes where the MTA would put its own.
   * @throws as {@link set}, and ERR_MILTER_BAD_ARGUMENT for a field that Sendmail does not let a filter add, such as Bcc
   */
  add(name: string, value: string, options?: HeaderValueOptions): void {
    const field = create('headers.add', name, value, options);
    this.#end.add(field);
    this.#fields.push(field);
  }

  /** Adds a field at the top, below the Received field that the MTA adds itself. @throws as {@link set} */
  prepend(name: string, value: string, options?: HeaderValueOptions): void {
    this.#fields.unshift(create('headers.prepend', name, value, options));
  }

  /** Adds a field before another one. @throws as {@link set}, and ERR_MILTER_BAD_ARGUMENT if there is no such place */
  insertBefore(place: HeaderPlace, name: string, value: string, options?: HeaderValueOptions): void {
    const at = this.#find('headers.insertBefore', place);
    this.#replace(new Map([[at, [create('headers.insertBefore', name, value, options), at]]]));
  }

  /** Adds a field after another one. @throws as {@link insertBefore} */
  insertAfter(place: HeaderPlace, name: string, value: string, options?: HeaderValueOptions): void {
    const at = this.#find('headers.insertAfter', place);
    this.#replace(new Map([[at, [at, create('headers.insertAfter', name, value, options)]]]));
  }

  /** Gives one field another value. @throws as {@link insertBefore} */
  replace(place: HeaderPlace, value: string, options?: HeaderValueOptions): void {
    const at = this.#find('headers.replace', place);
    this.#replace(new Map([[at, [write('headers.replace', at.name, value, options)]]]));
  }

  /**
   * Removes a field, or all fields of a name.
   * @returns how many there were
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a field that is not in this document
   */
  delete(place: HeaderPlace): number {
    const gone = typeof place === 'string' ? this.fields(place) : [this.#find('headers.delete', place)];
    this.#replace(new Map(gone.map((field) => [field, []])));
    return gone.length;
  }

  /** Gives a field, or all fields of a name, another name, at their places. @returns how many there were. @throws as {@link set} */
  rename(place: HeaderPlace, name: string): number {
    const renamed = typeof place === 'string' ? this.fields(place) : [this.#find('headers.rename', place)];
    create('headers.rename', name, 'x');
    this.#replace(new Map(renamed.map((field) => [field, [new HeaderField(name, field.wire)]])));
    return renamed.length;
  }

  /** @internal Whether this very field is in the document. */
  contains(field: HeaderField): boolean {
    return this.#fields.includes(field);
  }

  /** @internal The MTA has passed a field: it comes above those that a filter has added at the end before. */
  receive(field: HeaderField): void {
    let at = this.#fields.length;
    while (at > 0 && this.#end.has(this.#fields[at - 1] as HeaderField)) at--;
    this.#fields.splice(at, 0, field);
  }

  #find(action: string, place: HeaderPlace): HeaderField {
    const found =
      typeof place === 'string' ? this.field(place) : this.#fields.find((field) => field === place);
    if (found) return found;
    const what =
      typeof place === 'string'
        ? `has no field ${JSON.stringify(place)}`
        : 'does not have this field (any more)';
    throw badArgument(`${action}: the message ${what}; use add or prepend`);
  }

  /** Puts other fields in the places of these, in one pass: a message may have thousands of a name. */
  #replace(places: ReadonlyMap<HeaderField, readonly HeaderField[]>): void {
    this.#fields = this.#fields.flatMap((field) => places.get(field) ?? [field]);
    for (const [field, by] of places) {
      if (this.#end.has(field)) for (const other of by) this.#end.add(other);
    }
  }
}

/** A field that the message does not have yet. */
function create(action: string, name: string, value: string, options?: HeaderValueOptions): HeaderField {
  if (DROPPED.test(name))
    throw badArgument(`${action}: Sendmail does not deliver a field ${name} that a filter adds`);
  return write(action, name, value, options);
}

function write(
  action: string,
  name: string,
  value: string,
  { encode = true }: HeaderValueOptions = {},
): HeaderField {
  return HeaderField.written(
    action,
    name,
    encode && typeof value === 'string' && !PLAIN.test(value) ? encodeHeader(value) : value,
  );
}
