/** A message in the course of an SMTP session: who sends it to whom, what it says, and what the filter makes of it. */
import { Readable } from 'node:stream';
import { checkField } from '../internal/wire-text.js';
import { type MimeLimitOptions, MimeMessage, messageFromFile } from '../mime/index.js';
import { EnvelopeAddress } from './address.js';
import { Body, type BodySource, checkBodySource } from './body.js';
import { BodyStore, type StorageOptions } from './body-store.js';
import type { HeaderField } from './header-field.js';
import { Headers } from './headers.js';
import { Recipients } from './recipients.js';
import type { AuthFacts, ClientFacts, TlsFacts } from './session-facts.js';
import { useHeaders } from './use-headers.js';

/** What a filter has changed; null for what it has not. */
interface Edits {
  readonly received: readonly HeaderField[];
  readonly sender: EnvelopeAddress | null;
  readonly body: BodySource | null;
  readonly quarantine: string | null;
}

/** The facts about the session that a transaction belongs to. */
export interface SessionFacts {
  /** The SMTP client. */
  readonly client: ClientFacts;
  /** The name that the client has given itself in HELO or EHLO; null if it has given none. */
  readonly helo: string | null;
  /** The TLS connection; null if the session is not encrypted. */
  readonly tls: TlsFacts | null;
  /** The login; null if the client has not logged in. */
  readonly auth: AuthFacts | null;
}

/**
 * One message, from MAIL on. What is not known yet is empty: recipients come with RCPT, headers and body after DATA.
 *
 * Its edits are remembered, and carried out at the end of the message if it is accepted.
 */
export class Transaction implements SessionFacts {
  readonly client: ClientFacts;
  readonly helo: string | null;
  readonly tls: TlsFacts | null;
  readonly auth: AuthFacts | null;
  /** Who gets the message. */
  readonly recipients = new Recipients();
  /** The header fields, without the Received field that the MTA adds itself. */
  readonly headers: Headers;
  readonly #store: BodyStore;
  readonly #body: Body;
  readonly #sender: EnvelopeAddress;
  readonly #received: HeaderField[] = [];
  #newSender: EnvelopeAddress | null = null;
  #newBody: BodySource | null = null;
  #quarantine: string | null = null;

  /** The MTA's id for the message. Postfix has none before the first recipient is accepted: until then it is null. */
  queueId: string | null = null;
  /** @internal Accepted before its end: no more questions. */
  accepted = false;

  /** @internal */
  constructor(session: SessionFacts, sender: EnvelopeAddress, storage: Required<StorageOptions>) {
    this.client = session.client;
    this.helo = session.helo;
    this.tls = session.tls;
    this.auth = session.auth;
    this.#sender = sender;
    this.#store = new BodyStore(storage);
    this.#body = new Body(this.#store);
    this.headers = new Headers();
  }

  /** The envelope sender; its address is empty for a bounce. */
  get sender(): EnvelopeAddress {
    return this.#newSender ?? this.#sender;
  }

  /** Changes the envelope sender: an address with or without `<>`, empty for the null sender. */
  set sender(sender: EnvelopeAddress | string) {
    this.#newSender =
      typeof sender === 'string' ? EnvelopeAddress.written('sender', 'sender', sender) : sender;
  }

  /** The body as it arrived. */
  get body(): Body {
    return this.#body;
  }

  /** Replaces the body. A stream is read at the end of the message. */
  set body(source: BodySource) {
    checkBodySource(source);
    this.#newBody = source;
  }

  /** Has the MTA keep the message in its quarantine. `reason`: one line; Postfix drops it. */
  quarantine(reason: string): void {
    checkField('quarantine', 'reason', reason);
    this.#quarantine = reason;
  }

  /** The whole message as it arrived, in pieces: its headers, an empty line and its body, with CRLF. */
  async *source(): AsyncGenerator<Buffer> {
    yield this.#header;
    yield* this.#store.read();
  }

  get #header(): Buffer {
    return Buffer.concat([...this.#received.map(({ bytes }) => bytes), Buffer.from('\r\n')]);
  }

  /** A new stream of the whole message as it arrived. It must be read before the handler returns. */
  stream(): Readable {
    return Readable.from(this.source(), { objectMode: false });
  }

  /**
   * The message as it arrived, read by tsmilter/mime. An edit of what is returned does not change the message: see {@link use}.
   * @throws MilterError ERR_MILTER_MIME_LIMIT
   */
  mime(limits?: MimeLimitOptions): Promise<MimeMessage> {
    return messageFromFile(this.source(), limits);
  }

  /**
   * Makes an edited message of {@link mime} the one that is delivered: its body, and those of its header fields that were
   * changed, added or removed. Where a CR without LF seems to begin a field, or to end the header, it is none of the message's.
   */
  use(message: MimeMessage): void {
    const arrived = MimeMessage.from(this.#header, message.limits);
    useHeaders(this.headers, this.#received, arrived, message);
    this.body = withoutBeginning(message.getPayload(), arrived.getPayload());
  }

  /** @internal The MTA has passed a header field. */
  addReceived(field: HeaderField): void {
    this.#received.push(field);
    this.headers.receive(field);
  }

  /** @internal The MTA has passed a chunk of the body. */
  addBody(chunk: Buffer): Promise<void> {
    return this.#store.add(chunk);
  }

  /** @internal Whether there is anything to change at the end of the message. */
  get isEdited(): boolean {
    const { added, removed } = this.recipients.changes;
    const envelope = this.#newSender !== null || added.length + removed.length > 0;
    const headers =
      this.headers.length !== this.#received.length ||
      [...this.headers].some((f, at) => f !== this.#received[at]);
    return envelope || headers || this.#newBody !== null || this.#quarantine !== null;
  }

  /** @internal What the filter has changed. */
  get edits(): Edits {
    return {
      received: this.#received,
      sender: this.#newSender,
      body: this.#newBody,
      quarantine: this.#quarantine,
    };
  }

  /** @internal The message has ended. */
  dispose(): Promise<void> {
    return this.#store.dispose();
  }
}

/** The header that a CR without LF has ended for tsmilter/mime goes on in the body that it has read, but not for the MTA. */
const withoutBeginning = (body: Buffer, beginning: Buffer): Buffer =>
  body.subarray(0, beginning.length).equals(beginning) ? body.subarray(beginning.length) : body;
