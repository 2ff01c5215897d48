/** The recipients of a message: which of them are our own rewritten senders, and whether the message leaves this host again. */
import type { Srs, SrsReversed } from 'tsmilter/srs';

/** What is known of mail that leaves this host again. */
export interface Forwarding {
  /** Null if senders are not rewritten. */
  readonly srs: Srs | null;
  readonly isForwarded: (recipient: string) => boolean;
}

/** What is to be changed in the envelope. */
export interface EnvelopeChanges {
  readonly remove: readonly string[];
  readonly add: readonly string[];
  /** Null keeps the sender. */
  readonly sender: string | null;
}

export class Recipients {
  readonly #forwarding: Forwarding;
  readonly #restored = new Map<string, string>();
  #forwarded = false;

  constructor(forwarding: Forwarding) {
    this.#forwarding = forwarding;
  }

  /** Takes a recipient. `forged` and `expired` ones are to be refused. */
  add(recipient: string): SrsReversed['result'] {
    const { srs, isForwarded } = this.#forwarding;
    const reversed: SrsReversed = srs?.reverse(recipient) ?? { result: 'none' };
    if (reversed.result === 'ok') this.#restored.set(recipient, reversed.address);
    else if (reversed.result === 'none') this.#forwarded ||= isForwarded(recipient);
    return reversed.result;
  }

  /** Whether mail of this message leaves this host again. */
  get forwarded(): boolean {
    return this.#forwarded;
  }

  changes(sender: string): EnvelopeChanges {
    const { srs } = this.#forwarding;
    const rewritten = this.#forwarded && srs ? srs.forward(sender) : sender;
    return {
      remove: [...this.#restored.keys()],
      add: [...this.#restored.values()],
      sender: rewritten === sender ? null : rewritten,
    };
  }
}
