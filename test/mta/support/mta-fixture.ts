/**
 * What the tests of this folder share: both MTAs, a scripted filter for each of their endpoints (the same one for both MTAs), and
 * the sink to which everything is delivered.
 */

import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect } from '@jest/globals';
import type { RunOptions } from 'tsmilter';
import { freePort } from '../../../tools/free-ports';
import {
  type ClientOptions,
  type EndpointName,
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
import { TIMEOUT, until } from '../../../tools/wait';
import { FilterProcess } from '../../support/filter-process';

export const kinds = ['sendmail', 'postfix'] as const;
export type Kind = (typeof kinds)[number];

const start = { sendmail: startSendmail, postfix: startPostfix } as const;

/** Why tests of an endpoint are skipped; false if they are not. */
export const skipWithout = (endpoint: EndpointName): string | false =>
  endpoint === 'inet6' && !hasIPv6 && 'this machine has no ::1';

type FilterOptions = Omit<RunOptions, 'factory' | 'onListening'>;

export interface MtaFixtureOptions {
  /** The endpoints with a filter. Default: `unix` alone. */
  readonly endpoints?: readonly EndpointName[];
  /** The filters, a fixture of test/fixtures; null where the test starts its own. Default: `scripted`. */
  readonly fixture?: string | null;
  /** Options of runmilter for the filter behind an endpoint. */
  readonly filter?: FilterOptions | ((endpoint: EndpointName) => FilterOptions);
  /** Options for the MTAs. */
  readonly mta?: Partial<Record<Kind, Partial<MtaOptions>>>;
}

/** A message. The fixture adds a Message-Id, by which it is found again. */
export interface Mail {
  readonly from?: string;
  readonly to?: string | readonly string[];
  readonly mailParams?: string;
  readonly rcptParams?: string;
  /** Header lines, before those of the fixture. */
  readonly headers?: readonly (string | Buffer)[];
  readonly body?: string | Buffer;
  readonly endpoint?: EndpointName;
}

/** A call of one of the filter's methods. */
export type Call = readonly [method: string, ...args: unknown[]];

export interface Sent extends SendReplies {
  /** A part of the message's Message-Id, and of nothing else. */
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

export class MtaFixture implements AsyncDisposable {
  readonly sink: Sink;
  readonly #mtas = new Map<Kind, Mta>();
  readonly #filters = new Map<EndpointName, FilterProcess>();
  readonly #sockets = new Map<EndpointName, string>();
  readonly #options: MtaFixtureOptions;
  /** A folder for the unix socket and for other files of a test. */
  readonly dir = makeRunDir('filter');

  private constructor(sink: Sink, options: MtaFixtureOptions) {
    this.sink = sink;
    this.#options = options;
  }

  static async start(options: MtaFixtureOptions = {}): Promise<MtaFixture> {
    const mtas = new MtaFixture(await Sink.start(), options);
    try {
      await mtas.#start();
    } catch (error) {
      await mtas.#abandon();
      throw error;
    }
    return mtas;
  }

  async #start(): Promise<void> {
    const endpoints = (this.#options.endpoints ?? ['unix']).filter((endpoint) => !skipWithout(endpoint));
    for (const endpoint of endpoints) this.#sockets.set(endpoint, await this.#socketFor(endpoint));
    const filters = Object.fromEntries(this.#sockets);
    await Promise.all([
      ...(this.#options.fixture === null ? [] : endpoints.map((endpoint) => this.startFilter(endpoint))),
      ...kinds.map(async (kind) => {
        const own = this.#options.mta?.[kind];
        this.#mtas.set(kind, await start[kind]({ sinkPort: this.sink.port, filters, ...own }));
      }),
    ]);
  }

  async #socketFor(endpoint: EndpointName): Promise<string> {
    if (endpoint === 'unix') return `unix:${path.join(this.dir, 'sock')}`;
    return `${endpoint}:${await freePort()}@${endpoint === 'inet' ? '127.0.0.1' : '::1'}`;
  }

  /** Starts the filter of an endpoint, for the first time or after its end. */
  async startFilter(endpoint: EndpointName = 'unix'): Promise<FilterProcess> {
    const { fixture, filter: options } = this.#options;
    const filter = await FilterProcess.start(fixture ?? 'scripted', {
      socket: this.socket(endpoint),
      options: {
        // Postfix connects as a user of its own
        ...(endpoint === 'unix' && { mode: 0o666 }),
        ...(typeof options === 'function' ? options(endpoint) : options),
      },
    });
    this.#filters.set(endpoint, filter);
    return filter;
  }

  /** Stops the filter of an endpoint; {@link FilterProcess.stop} says what is checked then. */
  async stopFilter(endpoint: EndpointName = 'unix'): Promise<void> {
    const filter = this.#filters.get(endpoint);
    this.#filters.delete(endpoint);
    await filter?.stop();
  }

  /** Kills the filter of an endpoint. */
  async killFilter(endpoint: EndpointName = 'unix'): Promise<void> {
    const filter = this.#filters.get(endpoint);
    this.#filters.delete(endpoint);
    await filter?.[Symbol.asyncDispose]();
  }

  /** Where the MTAs look for the filter of an endpoint. */
  socket(endpoint: EndpointName = 'unix'): string {
    return this.#sockets.get(endpoint) as string;
  }

  mta(kind: Kind): Mta {
    return this.#mtas.get(kind) as Mta;
  }

  filter(endpoint: EndpointName = 'unix'): FilterProcess {
    const filter = this.#filters.get(endpoint);
    if (!filter) throw new Error(`no filter runs behind the endpoint ${endpoint}`);
    return filter;
  }

  /** The SMTP client of one session. */
  open(kind: Kind, endpoint: EndpointName = 'unix', options: ClientOptions = {}): Promise<SmtpClient> {
    const { host, port } = this.mta(kind).endpoints[endpoint];
    return SmtpClient.open(host, port, { timeoutMs: 2 * TIMEOUT, ...options });
  }

  /** A session with one message. */
  async submit(kind: Kind, mail: Mail = {}): Promise<Sent> {
    const client = await this.open(kind, mail.endpoint);
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

  /** Sends a message whose eom makes these calls, none of which throws. */
  async modify(kind: Kind, calls: readonly Call[], mail: Mail = {}): Promise<Sent> {
    const filter = this.filter(mail.endpoint);
    await filter.use({ handlers: { eom: { call: calls } } });
    const sent = await this.submit(kind, mail);
    expect(await filter.eventsOf('error', 'report')).toStrictEqual([]);
    return sent;
  }

  /** The message of that id, once it has been delivered. */
  delivered(id: string): Promise<SinkMessage> {
    return this.sink.next(({ raw }) => raw.includes(`<${id}@`), TIMEOUT);
  }

  /** Waits until the MTA has nothing left to deliver. */
  async queueEmpty(kind: Kind): Promise<void> {
    const { queueDir } = this.mta(kind);
    await until(`an empty queue of ${kind}`, () => waitingIn(kind, queueDir) === 0);
  }

  /** Waits until the MTA has nothing left to deliver; then says whether the message has arrived. */
  async wasDelivered(kind: Kind, id: string): Promise<boolean> {
    await this.queueEmpty(kind);
    return this.sink.messages.some(({ raw }) => raw.includes(`<${id}@`));
  }

  /** The messages that the MTA holds in quarantine: the files with their header fields. */
  held(kind: Kind): string[] {
    const { queueDir } = this.mta(kind);
    const files =
      kind === 'sendmail'
        ? fs.readdirSync(queueDir).flatMap((name) => (name.startsWith('hf') ? path.join(queueDir, name) : []))
        : pathsIn(path.join(queueDir, 'hold'));
    return files.map((file) => fs.readFileSync(file, 'latin1'));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#mtas.values()].map((mta) => mta.stop()));
    const ends = await Promise.allSettled(
      [...this.#filters.keys()].map((endpoint) => this.stopFilter(endpoint)),
    );
    await this.#abandon();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
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
    (count, name) => count + pathsIn(path.join(queueDir, name)).length,
    0,
  );
}

/** Files, not folders: Postfix hashes some of its queues into folders, which stay. */
function pathsIn(dir: string): string[] {
  return fs
    .readdirSync(dir, { withFileTypes: true, recursive: true })
    .flatMap((entry) => (entry.isFile() ? path.join(entry.parentPath, entry.name) : []));
}
