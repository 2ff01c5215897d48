/** Envelope addresses and their ESMTP parameters, as objects. */
import { badArgument } from '../internal/errors.js';
import { checkField } from '../internal/wire-text.js';

/** An envelope address. It never changes: to edit the envelope, put another one in its place. */
export class EnvelopeAddress {
  /** The address without angle brackets; empty for the null sender. */
  readonly address: string;
  /** ESMTP parameters by name in upper case; null for one without a value (RFC 5321 4.1.1.11). */
  readonly params: Readonly<Record<string, string | null>>;
  /** @internal As the client wrote it; the MTA knows a recipient by this spelling. */
  readonly wire: string;

  /** @internal */
  constructor(wire: string, params: readonly string[] = []) {
    this.wire = wire;
    this.address = /^<.*>$/s.test(wire) ? wire.slice(1, -1) : wire;
    // Strangers choose the names: an object without a prototype has no names of its own.
    const named: Record<string, string | null> = Object.create(null);
    for (const param of params) {
      const at = param.indexOf('=');
      if (at < 0) named[param.toUpperCase()] = null;
      else named[param.slice(0, at).toUpperCase()] = param.slice(at + 1);
    }
    this.params = named;
  }

  /** @internal An address that a filter gives, with or without angle brackets. */
  static written(
    action: string,
    field: 'sender' | 'recipient',
    address: string,
    params: Readonly<Record<string, string | null>> = {},
  ): EnvelopeAddress {
    if (typeof address !== 'string') throw badArgument(`${action}: the address must be a string`);
    const bare = /^<.*>$/s.test(address) ? address.slice(1, -1) : address;
    checkField(action, field, `<${bare}>`);
    const list = Object.entries(params).map(([name, value]) => (value === null ? name : `${name}=${value}`));
    checkField(action, 'parameters', list.join(' '));
    return new EnvelopeAddress(`<${bare}>`, list);
  }

  /** The part before the last `@`; the whole address if there is none. */
  get localPart(): string {
    const at = this.address.lastIndexOf('@');
    return at < 0 ? this.address : this.address.slice(0, at);
  }

  /** The part after the last `@`, as it is written; empty if there is none. */
  get domain(): string {
    const at = this.address.lastIndexOf('@');
    return at < 0 ? '' : this.address.slice(at + 1);
  }

  /** @internal The parameters as libmilter's actions take them; null if there are none. */
  get esmtp(): string | null {
    const list = Object.entries(this.params).map(([name, value]) =>
      value === null ? name : `${name}=${value}`,
    );
    return list.length === 0 ? null : list.join(' ');
  }

  toString(): string {
    return this.address;
  }
}
