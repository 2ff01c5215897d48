/**
 * What the tests of this folder share: both MTAs, a scripted filter behind each of their doors (the same one for both,
 * since a filter does not know who calls), and the sink that everything is delivered to.
 */

import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect } from '@jest/globals';
import type { RunOptions } from 'tsmilter';
import {
  type ClientOptions,
  type Door,
  freePort,
  hasIPv6,
  type Mta,
  type MtaOptions,
  type SendReplies,
  Sink,
  type SinkMessage,
  SmtpClient,
  startPostfix,
  startSendmail,
} from '../../../tools/mta';
import { makeRunDir } from '../../../tools/mta/run-dir';
import { until } from '../../../tools/mta/wait';
import { FilterProcess } from '../../support/filter-process';

export const kinds = ['sendmail', 'postfix'] as const;
export type Kind = (typeof kinds)[number];

/** Long enough for a busy machine and a sanitizer; nothing waits it out unless something is wrong. */
export const patienceMs = 30_000;

const start = { sendmail: startSendmail, postfix: startPostfix } as const;

/** A door as `test` takes its options: skipped where the machine has no IPv6. */
export const skipWithout = (door: Door): string | false =>
  door === 'inet6' && !hasIPv6 && 'this machine has no ::1';

type FilterOptions = Omit<RunOptions, 'factory' | 'onListening'>;

export interface LabOptions {
  /** The doors with a filter. Default: `unix` alone. */
  readonly doors?: readonly Door[];
  /** The filters, a fixture of test/fixtures; null where the test starts its own. Default: `scripted`. */
  readonly fixture?: string | null;
  /** Options of runmilter for the filter behind a door. */
  readonly filter?: FilterOptions | ((door: Door) => FilterOptions);
  /** Options for the MTAs. */
  readonly mta?: Partial<Record<Kind, Partial<MtaOptions>>>;
}

/** What one message is made of. The lab adds a Message-Id by which it is found again. */
export interface Mail {
  readonly from?: string;
  readonly to?: string | readonly string[];
  readonly mailParams?: string;
  readonly rcptParams?: string;
  /** Header lines, before those of the lab. */
  readonly headers?: readonly (string | Buffer)[];
  readonly body?: string | Buffer;
  readonly door?: Door;
}

/** A call of one of the filter's methods. */
export type Call = readonly [method: string, ...args: unknown[]];

export interface Sent extends SendReplies {
  /** In the message's Message-Id, and nowhere else. */
  readonly id: string;
}

/** Headers that both MTAs would add. */
export const standardHeaders = [
  'From: Author <author@src.test>',
  'To: <rcpt@dest.test>',
  'Date: Mon, 01 Jan 2024 00:00:00 +0000',
] as const;

const crlf = Buffer.from('\r\n');
let messages = 0;

/** A new name for a message. */
export function nextId(): string {
  return `m${++messages}.${process.pid}`;
}

/** A whole message. Header lines may be folded already. */
export function compose(id: string, headers: readonly (string | Buffer)[], body: string | Buffer): Buffer {
  const lines = [...standardHeaders, ...headers, `Message-Id: <${id}@src.test>`, ''];
  return Buffer.concat([...lines.flatMap((line) => [Buffer.from(line), crlf]), Buffer.from(body)]);
}

export class Lab {
  readonly sink: Sink;
  readonly #mtas = new Map<Kind, Mta>();
  readonly #filters = new Map<Door, FilterProcess>();
  readonly #sockets = new Map<Door, string>();
  readonly #options: LabOptions;
  /** A folder of its own, for the unix socket and what a test needs beside it. */
  readonly dir = makeRunDir('filter');

  private constructor(sink: Sink, options: LabOptions) {
    this.sink = sink;
    this.#options = options;
  }

  static async start(options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(await Sink.start(), options);
    try {
      await lab.#start();
    } catch (error) {
      await lab.#abandon();
      throw error;
    }
    return lab;
  }

  async #start(): Promise<void> {
    const doors = (this.#options.doors ?? ['unix']).filter((door) => !skipWithout(door));
    for (const door of doors) this.#sockets.set(door, await this.#socketFor(door));
    const filters = Object.fromEntries(this.#sockets);
    await Promise.all([
      ...(this.#options.fixture === null ? [] : doors.map((door) => this.startFilter(door))),
      ...kinds.map(async (kind) => {
        const own = this.#options.mta?.[kind];
        this.#mtas.set(kind, await start[kind]({ sinkPort: this.sink.port, filters, ...own }));
      }),
    ]);
  }

  async #socketFor(door: Door): Promise<string> {
    if (door === 'unix') return `unix:${path.join(this.dir, 'sock')}`;
    return `${door}:${await freePort()}@${door === 'inet' ? '127.0.0.1' : '::1'}`;
  }

  /** Starts the filter of a door, for the first time or after its end. */
  async startFilter(door: Door = 'unix'): Promise<FilterProcess> {
    const { fixture, filter: options } = this.#options;
    const filter = await FilterProcess.start(fixture ?? 'scripted', {
      socket: this.socket(door),
      options: {
        // Postfix connects as an account of its own
        ...(door === 'unix' && { mode: 0o666 }),
        ...(typeof options === 'function' ? options(door) : options),
      },
    });
    this.#filters.set(door, filter);
    return filter;
  }

  /** Stops the filter of a door; {@link FilterProcess.stop} says what is checked then. */
  async stopFilter(door: Door = 'unix'): Promise<void> {
    const filter = this.#filters.get(door);
    this.#filters.delete(door);
    await filter?.stop();
  }

  /** Ends the filter of a door in the worst way. */
  async killFilter(door: Door = 'unix'): Promise<void> {
    const filter = this.#filters.get(door);
    this.#filters.delete(door);
    await filter?.[Symbol.asyncDispose]();
  }

  /** Where the MTAs look for the filter of a door. */
  socket(door: Door = 'unix'): string {
    return this.#sockets.get(door) as string;
  }

  mta(kind: Kind): Mta {
    return this.#mtas.get(kind) as Mta;
  }

  filter(door: Door = 'unix'): FilterProcess {
    const filter = this.#filters.get(door);
    if (!filter) throw new Error(`no filter runs behind the door ${door}`);
    return filter;
  }

  /** The SMTP client of one session. */
  open(kind: Kind, door: Door = 'unix', options: ClientOptions = {}): Promise<SmtpClient> {
    const { host, port } = this.mta(kind).endpoints[door];
    return SmtpClient.open(host, port, { timeoutMs: 2 * patienceMs, ...options });
  }

  /** A session with one message. */
  async submit(kind: Kind, mail: Mail = {}): Promise<Sent> {
    const client = await this.open(kind, mail.door);
    try {
      const sent = await this.send(client, mail);
      if (sent.last.code !== 421) await client.quit();
      return sent;
    } finally {
      client.destroy();
    }
  }

  /** One message in a session. */
  async send(client: SmtpClient, mail: Mail = {}): Promise<Sent> {
    const { from = 'from@src.test', to = 'rcpt@dest.test', mailParams, rcptParams } = mail;
    const id = nextId();
    const replies = await client.send({
      from,
      to,
      data: compose(id, mail.headers ?? [], mail.body ?? 'a line\r\n'),
      ...(mailParams !== undefined && { mailParams }),
      ...(rcptParams !== undefined && { rcptParams }),
    });
    return { ...replies, id };
  }

  /** A message whose eom makes these calls, of which none throws. */
  async modify(kind: Kind, calls: readonly Call[], mail: Mail = {}): Promise<Sent> {
    const filter = this.filter(mail.door);
    await filter.use({ handlers: { eom: { call: calls } } });
    const sent = await this.submit(kind, mail);
    expect(await filter.eventsOf('error', 'report')).toStrictEqual([]);
    return sent;
  }

  /** The message of that id, once it has been delivered. */
  delivered(id: string): Promise<SinkMessage> {
    return this.sink.next(({ raw }) => raw.includes(`<${id}@`), patienceMs);
  }

  /** Waits until the MTA has nothing left to deliver; then says whether the message has arrived. */
  async wasDelivered(kind: Kind, id: string): Promise<boolean> {
    const { queueDir } = this.mta(kind);
    await until(`an empty queue of ${kind}`, patienceMs, () => waitingIn(kind, queueDir) === 0);
    return this.sink.messages.some(({ raw }) => raw.includes(`<${id}@`));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#mtas.values()].map((mta) => mta.stop()));
    const ends = await Promise.allSettled([...this.#filters.keys()].map((door) => this.stopFilter(door)));
    await this.#abandon();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  async #abandon(): Promise<void> {
    await Promise.all([...this.#mtas.values()].map((mta) => mta.stop()));
    await Promise.all([...this.#filters.values()].map((filter) => filter[Symbol.asyncDispose]()));
    await this.sink.stop();
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Messages that are to be delivered, which those in quarantine are not. */
function waitingIn(kind: Kind, queueDir: string): number {
  if (kind === 'sendmail') return fs.readdirSync(queueDir).filter((name) => /^[qt]f/.test(name)).length;
  return ['maildrop', 'incoming', 'active', 'deferred'].reduce(
    (count, name) => count + filesIn(path.join(queueDir, name)),
    0,
  );
}

/** Files, not folders: Postfix hashes some of its queues into folders, which stay. */
function filesIn(dir: string): number {
  return fs.readdirSync(dir, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile())
    .length;
}
