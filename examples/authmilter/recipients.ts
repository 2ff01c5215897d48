/** The recipients of a message: which of them are our own rewritten senders, and whether the message leaves this host again. */
import type { SrsReversed } from 'tsmilter/srs';
import type { Forwarding } from './settings';

/** What is to be changed in the envelope. */
export interface EnvelopeChanges {
  readonly remove: readonly string[];
  readonly add: readonly string[];
  /** Null keeps the sender. */
  readonly sender: string | null;
}

export class Recipients {
  readonly #forwarding: Forwarding | null;
  readonly #restored = new Map<string, string>();
  #forwarded = false;

  constructor(forwarding: Forwarding | null) {
    this.#forwarding = forwarding;
  }

  /** Takes a recipient. `forged` and `expired` ones are to be refused. */
  add(recipient: string): SrsReversed['result'] {
    if (!this.#forwarding) return 'none';
    const reversed = this.#forwarding.srs.reverse(recipient);
    if (reversed.result === 'ok') this.#restored.set(recipient, reversed.address);
    else if (reversed.result === 'none') this.#forwarded ||= this.#forwarding.isForwarded(recipient);
    return reversed.result;
  }

  /** Whether mail of this message leaves this host again. */
  get forwarded(): boolean {
    return this.#forwarded;
  }

  changes(sender: string): EnvelopeChanges {
    const rewritten = this.#forwarded && this.#forwarding ? this.#forwarding.srs.forward(sender) : sender;
    return {
      remove: [...this.#restored.keys()],
      add: [...this.#restored.values()],
      sender: rewritten === sender ? null : rewritten,
    };
  }
}
