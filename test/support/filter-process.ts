/**
 * A fixture filter that a test controls by requests (test/fixtures/serve.ts is the other end), in a process of its own because
 * libmilter runs once per process.
 */

import type { ForkOptions } from 'node:child_process';
import { existsSync } from 'node:fs';
import { MtaSession, type MtaSessionOptions } from 'tsmilter/testing';
import { TIMEOUT, within } from '../../tools/wait.js';
import type { Script } from '../fixtures/script.js';
import { type Message, type ToldError, toldError } from '../fixtures/serve.js';
import { expectThat } from './expect.js';
import { FixtureProcess } from './fixture-process.js';

/** An event of the filter: its name, then its arguments. */
export type FilterEvent = readonly [name: string, ...args: unknown[]];

/** How a fixture is started. */
export interface FilterProcessOptions {
  /** The filter's name. Default: `fixture`. */
  readonly name?: string;
  /** Further settings of the fixture; `scripted` takes options of runmilter. */
  readonly options?: unknown;
  /** The socket. Default: a unix socket in the private directory. */
  readonly socket?: string;
  /** Phase to wait for. Default: `listening`. */
  readonly until?: string;
  /** How its process is started: as another user, with another environment. Default: as this one. */
  readonly fork?: ForkOptions;
}

/** The envelope of an ordinary message. */
export const ENVELOPE = { sender: '<alice@client.example>', recipients: ['<bob@example.com>'] } as const;

interface Waiting {
  readonly name: string;
  readonly resolve: (event: FilterEvent) => void;
}

export class FilterProcess extends FixtureProcess {
  readonly #phases: { phase: string; value: unknown }[] = [];
  readonly #requests = new Map<number, (message: Message & { kind: 'reply' }) => void>();
  readonly #wakes = new Set<() => void>();
  #events: FilterEvent[] = [];
  #waiting: Waiting[] = [];
  #generation = 0;
  #lastRequest = 0;

  private constructor(fixture: string, options: FilterProcessOptions) {
    super({
      fixture,
      socket: options.socket,
      args: (socket) => [socket, options.name ?? 'fixture', JSON.stringify(options.options ?? {})],
      fork: { execArgv: ['--enable-source-maps'], ...options.fork, serialization: 'advanced' },
    });
    this.child.on('message', (message) => this.#receive(message as Message));
    void this.closed.then(() => this.#wake());
  }

  /** Starts test/fixtures/`fixture`.ts and waits until it listens. */
  static async start(fixture: string, options: FilterProcessOptions = {}): Promise<FilterProcess> {
    const filter = new FilterProcess(fixture, options);
    try {
      await filter.phase(options.until ?? 'listening');
    } catch (error) {
      await filter[Symbol.asyncDispose]();
      throw error;
    }
    return filter;
  }

  /** Opens an MTA's session with the filter. */
  session(options: MtaSessionOptions = {}): Promise<MtaSession> {
    return MtaSession.open(this.socket, options);
  }

  /** Opens an MTA's session and sends connect and HELO. */
  async greeted(options: MtaSessionOptions = {}): Promise<MtaSession> {
    const mta = await this.session(options);
    await mta.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 40000 });
    await mta.helo('client.example');
    return mta;
  }

  /** Waits until the process has reached a phase of its life; resolves to the value that it reported. */
  async phase(name: string, timeout = TIMEOUT): Promise<unknown> {
    const reached = () => this.#phases.find(({ phase }) => phase === name);
    const gone = this.#exited().then((code) => {
      if (reached()) return;
      throw new Error(`the filter ended (${code}) before it was ${name}; ${this.state()}`);
    });
    const seen = (async () => {
      while (!reached()) await new Promise<void>((resolve) => this.#wakes.add(resolve));
    })();
    await within(() => `the filter to be ${name}; ${this.state()}`, Promise.race([seen, gone]), timeout);
    return reached()?.value;
  }

  /** Runs one of the fixture's commands; throws what it throws. */
  async request<T = unknown>(command: string, ...args: unknown[]): Promise<T> {
    const id = ++this.#lastRequest;
    const reply = new Promise<Message & { kind: 'reply' }>((resolve) => this.#requests.set(id, resolve));
    const ended = this.#exited().then((code) => {
      throw new Error(`the filter ended (${code}) before it answered ${command}; ${this.state()}`);
    });
    this.child.send({ id, command, args }, (error) => {
      if (error) this.#requests.get(id)?.({ kind: 'reply', id, error: toldError(error) });
    });
    const { value, error } = await within(`reply to ${command}`, Promise.race([reply, ended]));
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

  /** The events since the last call, up to this one. */
  async events(): Promise<FilterEvent[]> {
    await this.request('sync');
    return this.#events.splice(0);
  }

  /** As `events`, but only those of these names; the others are kept for later. */
  async eventsOf(...names: string[]): Promise<FilterEvent[]> {
    const all = await this.events();
    this.#events.unshift(...all.filter(([name]) => !names.includes(name)));
    return all.filter(([name]) => names.includes(name));
  }

  /** The next event of that name: one that came already, or else the next to come. */
  async event(name: string, timeout = TIMEOUT): Promise<FilterEvent> {
    const at = this.#events.findIndex(([found]) => found === name);
    if (at >= 0) return this.#events.splice(at, 1)[0] as FilterEvent;
    let waiting: Waiting | undefined;
    const coming = new Promise<FilterEvent>((resolve) => {
      waiting = { name, resolve };
      this.#waiting.push(waiting);
    });
    const gone = this.#exited().then((code) => {
      throw new Error(`the filter ended (${code}) before it told of ${name}; ${this.state()}`);
    });
    try {
      return await within(
        () => `the filter to tell of ${name}; it told of ${JSON.stringify(this.#events)}; ${this.state()}`,
        Promise.race([coming, gone]),
        timeout,
      );
    } finally {
      this.#waiting = this.#waiting.filter((one) => one !== waiting);
    }
  }

  /** The next error that the error hook has received. */
  async report(): Promise<{ step: string } & ToldError> {
    const [, step, error] = await this.event('report');
    return { step: step as string, ...(error as ToldError) };
  }

  /** Waits for the process to end by itself; resolves to its exit code, or the signal's name. */
  exited(timeout = TIMEOUT): Promise<string> {
    return within(() => `the filter to exit; ${this.state()}`, this.#exited(), timeout);
  }

  /** Stops the filter as an init system does, see {@link ended}. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.ended();
  }

  /**
   * Waits for the end and checks what every end must leave: the process exits with 0, its socket is removed, every context
   * has ended.
   */
  async ended(): Promise<void> {
    try {
      const code = await this.exited();
      expectThat(code, `exit code; ${this.state()}`).toBe('0');
      const [, , path] = /^(unix|local):(.*)$/.exec(this.socket) ?? [];
      if (path !== undefined) expectThat(existsSync(path), 'the socket is gone').toBe(false);
      const counts = this.#phases.find(({ phase }) => phase === 'stopped')?.value;
      if (!Array.isArray(counts)) throw new Error(`the fixture did not tell its counts; ${this.state()}`);
      expectThat(counts[1], 'contexts ended and made').toBe(counts[0]);
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  /** The exit code or the signal, once the output has been read. */
  async #exited(): Promise<string> {
    const { code, signal } = await this.closed;
    return signal ?? String(code);
  }

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

  /** What the process has done so far, for the message of a failure. */
  state(): string {
    const phases = this.#phases.map(({ phase, value }) =>
      value === undefined ? phase : `${phase} ${JSON.stringify(value)}`,
    );
    return `phases: ${phases.join(', ') || 'none'}; stderr: ${this.stderr.trim() || 'empty'}`;
  }
}
