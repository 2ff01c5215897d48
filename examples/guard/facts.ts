/** What rules are told, by name. */
import type { DnsSession } from 'tsmilter/dns';
import type { AuthLevel } from 'tsmilter/lists';
import type { EnvelopeAddress, Transaction } from 'tsmilter/message';
import type { Authentication } from './authentication';
import type { Client } from './client';

/** At connect and hello. */
export interface SessionFacts {
  readonly client: Client;
  /** The name that the client has given itself; null before HELO, or without it. */
  readonly helo: string | null;
  /** The name of this host, as the MTA says it. */
  readonly host: string;
  /** The DNS questions that this session, or this message, may still ask; SPF has as many of its own. */
  readonly dns: DnsSession;
  /** As many again, for what must not fail because a sender has used up the others. */
  freshDns(): DnsSession;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** What the client has lost so far in this session. */
  readonly demerits: number;
}

/** From MAIL on. */
export interface MessageFacts extends SessionFacts {
  /** Sender, recipients and login, then headers and body. Only edits of findings may change it. */
  readonly message: Transaction;
  /** How the sender is authenticated: SPF, asked when somebody first wants to know. */
  authentication(): Promise<Authentication>;
  /** The same as one word, by which lists and reputation tell a domain from whoever forges it. */
  level(): Promise<AuthLevel>;
}

/** At RCPT. */
export interface RecipientFacts extends MessageFacts {
  /** The recipient, which is not yet one of `message.recipients`. */
  readonly recipient: EnvelopeAddress;
}
