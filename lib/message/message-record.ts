/** What has arrived of a message, recorded beside a filter, for the case that one of its handlers fails. */
import { describeError, type FailedMessages, type SavedFacts, type SavedMacros } from '../archive/index.js';
import { BodyStore, type StorageOptions } from './body-store.js';
import type { HeaderField } from './header-field.js';

/** What a session has said before its messages. */
export type RecordedSession = Pick<SavedFacts, 'client' | 'helo' | 'macros'>;

/** A message from MAIL on. */
export class MessageRecord {
  readonly #session: RecordedSession;
  readonly #sender: readonly string[];
  readonly #body: BodyStore;
  readonly #recipients: SavedFacts['recipients'][number][] = [];
  readonly #headers: HeaderField[] = [];
  readonly #macros = new Map<string, SavedMacros>();
  /** The save, once a handler has failed: later failures of the same message are not saved again. */
  #saved: Promise<void> | null = null;
  /** Whether the end of the message has come. */
  complete = false;

  constructor(session: RecordedSession, sender: readonly string[], storage: Required<StorageOptions>) {
    this.#session = session;
    this.#sender = sender;
    this.#body = new BodyStore(storage);
  }

  addMacros(step: string, macros: SavedMacros): void {
    this.#macros.set(step, macros);
  }

  addRecipient(command: readonly string[], macros: SavedMacros): void {
    this.#recipients.push({ command, macros });
  }

  addHeader(field: HeaderField): void {
    this.#headers.push(field);
  }

  addBody(chunk: Buffer): Promise<void> {
    return this.#body.add(chunk);
  }

  /** Saves what there is; resolves when it is done, or `onError` was called. */
  save(
    failed: FailedMessages,
    step: string,
    error: unknown,
    onError: (error: unknown) => void,
  ): Promise<void> {
    this.#saved ??= failed.save(this.#facts(step, error), this.#source()).then(() => {}, onError);
    return this.#saved;
  }

  /** Forgets the message, after a save under way. */
  async dispose(): Promise<void> {
    await this.#saved;
    await this.#body.dispose();
  }

  #facts(step: string, error: unknown): SavedFacts {
    const { client, helo, macros } = this.#session;
    return {
      savedAt: new Date().toISOString(),
      step,
      error: describeError(error),
      client,
      helo,
      sender: this.#sender,
      recipients: this.#recipients,
      macros: { ...macros, ...Object.fromEntries(this.#macros) },
      complete: this.complete,
    };
  }

  async *#source(): AsyncGenerator<Buffer> {
    yield Buffer.concat([...this.#headers.map(({ bytes }) => bytes), Buffer.from('\r\n')]);
    yield* this.#body.read();
  }
}
