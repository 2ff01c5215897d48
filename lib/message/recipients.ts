/** The recipients of a message as a document. */
import { badArgument } from '../internal/errors.js';
import { EnvelopeAddress, type EsmtpParams, withoutBrackets } from './address.js';

/** A recipient, or its address, compared as it is written but without angle brackets. */
export type RecipientPlace = EnvelopeAddress | string;

/**
 * The recipients that the filter has accepted so far, in the order of the RCPT commands. An edit is only remembered, and sent to
 * the MTA at the end of the message.
 */
export class Recipients implements Iterable<EnvelopeAddress> {
  readonly #before: EnvelopeAddress[] = [];
  #after: EnvelopeAddress[] = [];

  /** @internal The MTA has named a recipient. */
  accept(recipient: EnvelopeAddress): void {
    this.#before.push(recipient);
    this.#after.push(recipient);
  }

  /** The number of recipients. */
  get length(): number {
    return this.#after.length;
  }

  [Symbol.iterator](): Iterator<EnvelopeAddress> {
    return this.#after.values();
  }

  /** Whether the message goes to this address. */
  has(place: RecipientPlace): boolean {
    return this.#after.some(matches(place));
  }

  /** Adds a recipient, unless there is one with this address. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
  add(address: string, params?: EsmtpParams): void {
    const recipient = EnvelopeAddress.written('recipients.add', 'recipient', address, params);
    if (!this.has(recipient.address)) this.#after.push(recipient);
  }

  /** Removes a recipient. @returns whether there was one */
  delete(place: RecipientPlace): boolean {
    const isMeant = matches(place);
    const left = this.#after.filter((recipient) => !isMeant(recipient));
    const found = left.length < this.#after.length;
    this.#after = left;
    return found;
  }

  /** Puts other recipients in the place of one. @throws MilterError ERR_MILTER_BAD_ARGUMENT if the message does not go to it */
  replace(place: RecipientPlace, ...addresses: string[]): void {
    if (!this.delete(place))
      throw badArgument(`recipients.replace: the message does not go to ${String(place)}`);
    for (const address of addresses) this.add(address);
  }

  /** @internal The recipients to add and to remove. */
  get changes(): {
    readonly added: readonly EnvelopeAddress[];
    readonly removed: readonly EnvelopeAddress[];
  } {
    const [before, after] = [new Set(this.#before), new Set(this.#after)];
    return {
      added: this.#after.filter((recipient) => !before.has(recipient)),
      removed: this.#before.filter((recipient) => !after.has(recipient)),
    };
  }
}

function matches(place: RecipientPlace): (recipient: EnvelopeAddress) => boolean {
  if (typeof place !== 'string') return (recipient) => recipient === place;
  const bare = withoutBrackets(place);
  return (recipient) => recipient.address === bare;
}
