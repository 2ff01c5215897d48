/** SMTP clients that send one message after the other, and what became of each message. */
import { performance } from 'node:perf_hooks';
import type { SmtpClient } from '../../../tools/mta';
import { until, within } from '../../../tools/wait';
import { expectThat } from '../../support/expect';
import { compose, type Kind, type MtaFixture, nextId } from '../support/mta-fixture';

/** Clients at a time. Every second one opens a connection for each message; the others keep theirs while it serves them. */
const CLIENTS = 6;

/** A message that has had its last reply. */
interface Attempt {
  readonly id: string;
  readonly code: number;
  /** When its connection was opened (`performance.now()`). */
  readonly opened: number;
}

export class Load {
  /** The messages whose sender was accepted, and which have not had their last reply. */
  readonly underWay = new Set<string>();
  readonly #mtas: MtaFixture;
  readonly #kind: Kind;
  readonly #attempts: Attempt[] = [];
  /** How many messages of others the sink has had before. */
  readonly #before: number;
  readonly #clients: Promise<unknown>;
  #over = false;

  constructor(mtas: MtaFixture, kind: Kind) {
    this.#mtas = mtas;
    this.#kind = kind;
    this.#before = mtas.sink.messages.length;
    this.#clients = Promise.all(Array.from({ length: CLIENTS }, (_, nth) => this.#client(nth % 2 === 0)));
    this.#clients.catch(() => {}); // reported by end()
  }

  /** The code of the last reply to that message. */
  code(id: string): number | undefined {
    return this.#attempts.find((attempt) => attempt.id === id)?.code;
  }

  /** Waits until `count` messages, on connections that were opened after `since`, have had this code as their last reply. */
  async reached(count: number, code: number, since = 0): Promise<void> {
    const replies = () => this.#since(since).filter((attempt) => attempt.code === code).length;
    await Promise.race([
      until(
        `${count} replies ${code} to messages`,
        () => replies() >= count,
        undefined,
        () => this.state(),
      ),
      this.#clients.then(() => undefined),
    ]);
  }

  /** Checks that each message on a connection that was opened after `since` was accepted. */
  allAccepted(since: number): void {
    const codes = new Set(this.#since(since).map(({ code }) => code));
    expectThat([...codes], this.state()).toStrictEqual([250]);
  }

  /**
   * Lets the clients finish, and checks their messages: what was accepted is delivered once and has passed the filter; what was
   * deferred is not delivered; there is no other reply.
   */
  async end(): Promise<void> {
    await this.stop();
    await this.#mtas.queueEmpty(this.#kind);
    const delivered = new Map<string | undefined, string[]>();
    for (const { text } of this.#mtas.sink.messages.slice(this.#before)) {
      const id = /^Message-Id: <(.*)@src\.test>/im.exec(text)?.[1];
      delivered.set(id, [...(delivered.get(id) ?? []), text]);
    }
    for (const { id, code } of this.#attempts) {
      const copies = delivered.get(id) ?? [];
      expectThat([250, 451], `the reply to ${id}`).toContain(code);
      expectThat(copies.length, `copies of ${id}, to which the reply was ${code}`).toBe(code === 250 ? 1 : 0);
      for (const text of copies) expectThat(text, `${id} has passed the filter`).toMatch(/^X-Filtered: yes/m);
    }
  }

  /** Lets the clients finish; rejects if one of them has failed. */
  stop(): Promise<unknown> {
    this.#over = true;
    return within(() => `the end of the clients; ${this.state()}`, this.#clients);
  }

  /** The replies so far, for the message of a failure. */
  state(): string {
    return `replies: ${this.#attempts.map(({ code }) => code).join(' ')}; under way: ${[...this.underWay].join(' ')}`;
  }

  #since(since: number): Attempt[] {
    return this.#attempts.filter(({ opened }) => opened > since);
  }

  async #client(keepsItsConnection: boolean): Promise<void> {
    while (!this.#over) {
      const opened = performance.now();
      using client = await this.#mtas.open(this.#kind);
      const { code: welcome } = await client.command('EHLO client.test');
      let code = welcome;
      do {
        const id = nextId();
        if (welcome === 250) code = await this.#message(client, id);
        this.underWay.delete(id);
        this.#attempts.push({ id, code, opened });
      } while (keepsItsConnection && code === 250 && !this.#over);
    }
  }

  /** Sends a message; resolves to the code of the last reply. */
  async #message(client: SmtpClient, id: string): Promise<number> {
    for (const command of ['MAIL FROM:<from@src.test>', 'RCPT TO:<rcpt@dest.test>', 'DATA']) {
      const { code } = await client.command(command);
      if (code >= 400) return code;
      this.underWay.add(id);
    }
    return (await client.content(compose(id, [], 'a line\r\n'))).code;
  }
}
