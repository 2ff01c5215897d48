/** A message of the corpus: what a client does, and what the configuration of the corpus makes of it. */
import { networks } from './world';

export type Field = readonly [name: string, value: string];

export interface Client {
  readonly address: string;
  /** Null for a client that does not say EHLO. */
  readonly helo: string | null;
  /** Who has logged in. */
  readonly user?: string;
}

export interface CorpusMail {
  /** What was generated; for the list of differences. */
  readonly kind: string;
  /** Stands in the Message-Id, and in no other message. */
  readonly id: string;
  readonly client: Client;
  readonly from: string;
  readonly to: readonly string[];
  /** The header, without the Message-Id. */
  readonly fields: readonly Field[];
  readonly body: string;
  /** What must not be delivered, as it stands in the body or in the base64 there. */
  readonly danger?: string;
  /** What each attempt to send it ends with, such as `reject spf` or `tag subject_words`. */
  readonly expected: readonly string[];
}

/** A client of a network, at one of its first addresses. */
export const clientOf = (network: keyof typeof networks, host = 1): Client => {
  const { prefix, helo } = networks[network];
  return { address: `${prefix}.${host}`, helo };
};

/** The whole message. */
export function textOf({ fields, body, id }: CorpusMail): string {
  // Signers fold as filters do: with LF.
  const lines = [...fields, messageId(id)].map(
    ([name, value]) => `${name}: ${value.replaceAll(/\r?\n/g, '\r\n')}\r\n`,
  );
  return `${lines.join('')}\r\n${body}`;
}

export const messageId = (id: string): Field => ['Message-Id', `<${id}@corpus.test>`];
