/** Envelope addresses and their ESMTP parameters, as objects. */
import { param2dict } from '../filter/params.js';
import { badArgument } from '../internal/errors.js';
import { checkField } from '../internal/wire-text.js';

/** ESMTP parameters by name, such as `{ NOTIFY: 'NEVER' }`; null for one without a value (RFC 5321 4.1.1.11). */
export type EsmtpParams = Readonly<Record<string, string | null>>;

/** An envelope address. It never changes: to edit the envelope, put another one in its place. */
export class EnvelopeAddress {
  /** The address without angle brackets; empty for the null sender. */
  readonly address: string;
  /** Its ESMTP parameters, by name in upper case. */
  readonly params: EsmtpParams;
  /** @internal As the client wrote it; the MTA knows a recipient by this spelling. */
  readonly wire: string;

  /** @internal */
  constructor(wire: string, params: readonly string[] = []) {
    this.wire = wire;
    this.address = withoutBrackets(wire);
    // Untrusted clients choose the names, so the object has no prototype, whose names could be taken for theirs.
    this.params = Object.assign(Object.create(null), param2dict(params));
  }

  /** @internal An address that a filter gives, with or without angle brackets. */
  static written(
    action: string,
    field: 'sender' | 'recipient',
    address: string,
    params: EsmtpParams = {},
  ): EnvelopeAddress {
    if (typeof address !== 'string') throw badArgument(`${action}: the address must be a string`);
    const wire = `<${withoutBrackets(address)}>`;
    checkField(action, field, wire);
    const list = listOf(params);
    checkField(action, 'parameters', list.join(' '));
    return new EnvelopeAddress(wire, list);
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
    const list = listOf(this.params);
    return list.length === 0 ? null : list.join(' ');
  }

  toString(): string {
    return this.address;
  }
}

/** @internal An address without the angle brackets around it. */
export const withoutBrackets = (address: string): string =>
  /^<.*>$/s.test(address) ? address.slice(1, -1) : address;

const listOf = (params: EsmtpParams): string[] =>
  Object.entries(params).map(([name, value]) => (value === null ? name : `${name}=${value}`));
