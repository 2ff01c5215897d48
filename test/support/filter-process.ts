/**
 * A fixture filter (test/fixtures) in a process of its own, for libmilter runs once per process, with a socket in a
 * private directory. Every wait has a deadline and says what it waited for.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MtaSession, type MtaSessionOptions } from 'tsmilter/testing';
import type { Script } from '../fixtures/script.js';
import { type Message, type ToldError, toldError } from '../fixtures/serve.js';
import { expectThat } from './expect.js';

/** What a filter told: its name, then what goes with it. */
export type FilterEvent = readonly [name: string, ...args: unknown[]];

/** How a fixture is started. */
export interface FilterProcessOptions {
  /** The filter's name. Default: `fixture`. */
  readonly name?: string;
  /** What the fixture is told besides; `scripted` takes options of runmilter. */
  readonly options?: unknown;
  /** The socket. Default: a unix socket in the private directory. */
  readonly socket?: string;
  /** Phase to wait for. Default: `listening`. */
  readonly until?: string;
}

/** The least of a message. */
export const ENVELOPE = { sender: '<alice@client.example>', recipients: ['<bob@example.com>'] } as const;

const START_MS = 20_000;
const REQUEST_MS = 10_000;
const EVENT_MS = 10_000;
const STOP_MS = 20_000;

const fixtures = join(__dirname, '..', 'fixtures');

interface Waiting {
  readonly name: string;
  readonly resolve: (event: FilterEvent) => void;
}

/** `promise`, or an error that says what took longer than `ms`. */
async function within<T>(ms: number, promise: Promise<T>, what: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()}: not within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export class FilterProcess implements AsyncDisposable {
  /** The filter's socket, as runmilter and MtaSession take it. */
  readonly socket: string;
  /** A private directory, removed at the end. */
  readonly directory: string;
  /** Everything the process has written to stderr. */
  stderr = '';
  /** Everything the process has written to stdout. */
  stdout = '';
  readonly #child: ChildProcess;
  readonly #exited: Promise<string>;
  readonly #phases: { phase: string; value: unknown }[] = [];
  readonly #requests = new Map<number, (message: Message & { kind: 'reply' }) => void>();
  readonly #wakes = new Set<() => void>();
  #events: FilterEvent[] = [];
  #waiting: Waiting[] = [];
  #generation = 0;
  #lastRequest = 0;

  private constructor(fixture: string, directory: string, options: FilterProcessOptions) {
    this.directory = directory;
    this.socket = options.socket ?? `unix:${join(directory, 'sock')}`;
    const env = { ...process.env };
    this.#child = fork(
      join(fixtures, `${fixture}.js`),
      [this.socket, options.name ?? 'fixture', JSON.stringify(options.options ?? {})],
      {
        env,
        execArgv: ['--enable-source-maps'],
        serialization: 'advanced',
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      },
    );
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#child.on('message', (message) => this.#receive(message as Message));
    this.#exited = new Promise((resolve) => {
      // 'close' comes when the output has been read as well.
      this.#child.once('close', (code, signal) => resolve(signal ?? String(code)));
      this.#child.once('error', (error) => resolve(`could not start: ${error.message}`));
    });
    void this.#exited.then(() => this.#wake());
    process.once('exit', this.#cleanUp);
  }

  /** Starts test/fixtures/`fixture`.ts and waits until it listens. */
  static async start(fixture: string, options: FilterProcessOptions = {}): Promise<FilterProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'tsmilter-'));
    const filter = new FilterProcess(fixture, directory, options);
    try {
      await filter.phase(options.until ?? 'listening', START_MS);
    } catch (error) {
      await filter[Symbol.asyncDispose]();
      throw error;
    }
    return filter;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Opens an MTA's session with the filter. */
  session(options: MtaSessionOptions = {}): Promise<MtaSession> {
    return MtaSession.open(this.socket, options);
  }

  /** Opens an MTA's session and goes on until after HELO. */
  async greeted(options: MtaSessionOptions = {}): Promise<MtaSession> {
    const mta = await this.session(options);
    await mta.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 40000 });
    await mta.helo('client.example');
    return mta;
  }

  /** Waits until the process has reached a phase of its life; resolves to what it said of it. */
  async phase(name: string, ms = EVENT_MS): Promise<unknown> {
    const reached = () => this.#phases.find(({ phase }) => phase === name);
    const gone = this.#exited.then((code) => {
      if (reached()) return;
      throw new Error(`the filter ended (${code}) before it was ${name}; ${this.#story()}`);
    });
    const seen = (async () => {
      while (!reached()) await new Promise<void>((resolve) => this.#wakes.add(resolve));
    })();
    await within(ms, Promise.race([seen, gone]), () => `the filter to be ${name}; ${this.#story()}`);
    return reached()?.value;
  }

  /** Asks the fixture for one of its commands; throws what that threw. */
  async request<T = unknown>(command: string, ...args: unknown[]): Promise<T> {
    const id = ++this.#lastRequest;
    const reply = new Promise<Message & { kind: 'reply' }>((resolve) => this.#requests.set(id, resolve));
    const ended = this.#exited.then((code) => {
      throw new Error(`the filter ended (${code}) before it answered ${command}; ${this.#story()}`);
    });
    this.#child.send({ id, command, args }, (error) => {
      if (error) this.#requests.get(id)?.({ kind: 'reply', id, error: toldError(error) });
    });
    const { value, error } = await within(
      REQUEST_MS,
      Promise.race([reply, ended]),
      () => `reply to ${command}`,
    );
    if (error) throw Object.assign(new Error(error.message), { name: error.name, code: error.code });
    return value as T;
  }

  /**
   * Sets the factory: a script for the fixture `scripted`, one of its filters' names for another. Forgets what was told
   * before, and what filters of before will still tell.
   */
  async use(filter: Script | string): Promise<void> {
    this.#generation = await this.request<number>('use', filter);
    this.#events = [];
  }

  /** What has been told since the last look, by everything that happened before this call. */
  async events(): Promise<FilterEvent[]> {
    await this.request('sync');
    return this.#events.splice(0);
  }

  /** As `events`, of these names only; the others are left for a later look. */
  async eventsOf(...names: string[]): Promise<FilterEvent[]> {
    const all = await this.events();
    this.#events.unshift(...all.filter(([name]) => !names.includes(name)));
    return all.filter(([name]) => names.includes(name));
  }

  /** The next event of that name: one that came already, or else the next to come. */
  async event(name: string, ms = EVENT_MS): Promise<FilterEvent> {
    const at = this.#events.findIndex(([found]) => found === name);
    if (at >= 0) return this.#events.splice(at, 1)[0] as FilterEvent;
    let waiting: Waiting | undefined;
    const coming = new Promise<FilterEvent>((resolve) => {
      waiting = { name, resolve };
      this.#waiting.push(waiting);
    });
    const gone = this.#exited.then((code) => {
      throw new Error(`the filter ended (${code}) before it told of ${name}; ${this.#story()}`);
    });
    try {
      return await within(
        ms,
        Promise.race([coming, gone]),
        () => `the filter to tell of ${name}; it told of ${JSON.stringify(this.#events)}; ${this.#story()}`,
      );
    } finally {
      this.#waiting = this.#waiting.filter((one) => one !== waiting);
    }
  }

  /** The next error that the hook was told of. */
  async report(): Promise<{ step: string } & ToldError> {
    const [, step, error] = await this.event('report');
    return { step: step as string, ...(error as ToldError) };
  }

  /** Waits for the process to end by itself; resolves to its exit code, or the signal's name. */
  exited(ms = STOP_MS): Promise<string> {
    return within(ms, this.#exited, () => `the filter to exit; ${this.#story()}`);
  }

  /** Stops the filter as an init system does, see {@link ended}. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.ended();
  }

  /**
   * Waits for the end and holds it against what every end promises: the process ends by itself with 0, its socket is
   * gone, every context that was made has ended.
   */
  async ended(): Promise<void> {
    try {
      const code = await this.exited();
      expectThat(code, `exit code; ${this.#story()}`).toBe('0');
      const [, , path] = /^(unix|local):(.*)$/.exec(this.socket) ?? [];
      if (path !== undefined) expectThat(existsSync(path), 'the socket is gone').toBe(false);
      const counts = this.#phases.find(({ phase }) => phase === 'stopped')?.value;
      if (!Array.isArray(counts)) throw new Error(`the fixture did not tell its counts; ${this.#story()}`);
      expectThat(counts[1], 'contexts ended and made').toBe(counts[0]);
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  /** Whatever has happened: no process and no file is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill();
    process.off('exit', this.#cleanUp);
    try {
      await within(STOP_MS, this.#exited, () => `process ${this.pid} to die of SIGKILL`);
    } finally {
      rmSync(this.directory, { recursive: true, force: true });
    }
  }

  #kill(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
  }

  /** For a test process that ends without stopping its filter. */
  readonly #cleanUp = (): void => {
    this.#kill();
    rmSync(this.directory, { recursive: true, force: true });
  };

  #receive(message: Message): void {
    switch (message.kind) {
      case 'phase':
        this.#phases.push({ phase: message.phase, value: message.value });
        this.#wake();
        break;
      case 'reply':
        this.#requests.get(message.id)?.(message);
        this.#requests.delete(message.id);
        break;
      case 'event':
        if (message.generation >= this.#generation) this.#hear(message.event);
        break;
    }
  }

  #hear(event: FilterEvent): void {
    const at = this.#waiting.findIndex(({ name }) => name === event[0]);
    if (at < 0) this.#events.push(event);
    else this.#waiting.splice(at, 1)[0]?.resolve(event);
  }

  #wake(): void {
    for (const wake of this.#wakes) wake();
    this.#wakes.clear();
  }

  #story(): string {
    const phases = this.#phases.map(({ phase, value }) =>
      value === undefined ? phase : `${phase} ${JSON.stringify(value)}`,
    );
    return `phases: ${phases.join(', ') || 'none'}; stderr: ${this.stderr.trim() || 'empty'}`;
  }
}
