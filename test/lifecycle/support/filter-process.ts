/** A fixture filter in a process of its own, its line to the test, and its end. */
import { type ChildProcess, fork, type StdioOptions } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MtaSession, type MtaSessionOptions } from 'tsmilter/testing';
import type { Command, Settings } from '../../fixtures/lifecycle/line.js';
import { asUser } from '../../support/as-user.js';
import { PATIENCE, within } from './deadline.js';

/** What a fixture tells; `event` says what happened. */
export type Told = { readonly event: string } & Readonly<Record<string, unknown>>;

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export const CLEAN_END: End = { code: 0, signal: null };

/** How a filter is started. */
export interface StartOptions extends Omit<Settings, 'socket'> {
  /** The process is this user's, and of the group of that number. Default: this process's. */
  readonly uid?: number;
  /** The compiled file in test/fixtures/lifecycle, without .js. Default: steered. */
  readonly fixture?: string;
  /** Default: a unix socket in a private directory. */
  readonly socket?: string;
  /** Descriptors that the process gets as 4, 5, ... */
  readonly descriptors?: readonly number[];
  /** Resolve only when the filter listens. Default true. */
  readonly listening?: boolean;
}

/** A directory of the test's own, open to every user, removed with the process that uses it. */
export function privateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tsmilter-life-'));
  chmodSync(directory, 0o777);
  return directory;
}

export class FilterProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly socket: string;
  /** Where its unix socket is, unless the test chose another. */
  readonly directory: string;
  readonly told: Told[] = [];
  readonly #exit: Promise<End>;
  #output = '';
  #end: End | undefined;
  readonly #listeners = new Set<() => void>();

  private constructor(options: StartOptions) {
    const { fixture = 'steered', socket, descriptors = [], listening, uid, ...settings } = options;
    this.directory = privateDirectory();
    this.socket = socket ?? `unix:${join(this.directory, 'sock')}`;
    const file = join(__dirname, '../../fixtures/lifecycle', `${fixture}.js`);
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', 'ipc', ...descriptors];
    const all: Settings = { ...settings, socket: this.socket };
    const user = uid === undefined ? { execArgv: [] } : asUser(uid);
    this.child = fork(file, [JSON.stringify(all)], { stdio, ...user });
    this.child.on('message', (message: Told) => {
      this.told.push(message);
      for (const listener of this.#listeners) listener();
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
      });
    }
    this.#exit = new Promise((resolve) => {
      // exit, not close: the time that the pipes take is not the filter's.
      this.child.once('exit', (code, signal) => {
        this.#end = { code, signal };
        resolve(this.#end);
        for (const listener of this.#listeners) listener();
      });
    });
  }

  static async start(options: StartOptions = {}): Promise<FilterProcess> {
    const filter = new FilterProcess(options);
    if (options.listening ?? true) {
      try {
        await filter.event('listening');
      } catch (error) {
        await filter[Symbol.asyncDispose]();
        throw error;
      }
    }
    return filter;
  }

  get pid(): number {
    return this.child.pid as number;
  }

  get running(): boolean {
    return this.#end === undefined;
  }

  /** The unix socket's path. */
  get path(): string {
    return this.socket.replace(/^[a-z]*:/, '');
  }

  /** What it wrote to stdout and stderr. */
  get output(): string {
    return this.#output;
  }

  count(event: string): number {
    return this.told.filter((told) => told.event === event).length;
  }

  all(event: string): Told[] {
    return this.told.filter((told) => told.event === event);
  }

  /** The `nth` (from 1) telling of `event` that `fits`; rejects where the process ends without it. */
  async event(
    event: string,
    fits: (told: Told) => boolean = () => true,
    nth = 1,
    ms = PATIENCE,
  ): Promise<Told> {
    let look = () => {};
    const found = new Promise<Told>((resolve, reject) => {
      look = () => {
        const told = this.told.filter((one) => one.event === event && fits(one))[nth - 1];
        if (told) resolve(told);
        // What was sent before the exit may arrive after it.
        else if (this.#end) setImmediate(() => reject(new Error(`it ended: ${JSON.stringify(this.#end)}`)));
      };
    });
    this.#listeners.add(look);
    look();
    try {
      return await within(`the filter's event '${event}'`, found, ms);
    } catch (error) {
      throw new Error(`${(error as Error).message} ${this.state()}`);
    } finally {
      this.#listeners.delete(look);
    }
  }

  tell(command: Command): void {
    this.child.send(command);
  }

  /** Waits until the process has ended. */
  async ended(ms = PATIENCE): Promise<End> {
    try {
      return await within('the end of the filter process', this.#exit, ms);
    } catch (error) {
      throw new Error(`${(error as Error).message} ${this.state()}`);
    }
  }

  /** Stops it by SIGTERM and waits for its end. */
  async stop(): Promise<End> {
    this.child.kill('SIGTERM');
    return await this.ended();
  }

  /** Contexts made and ended, as the filter counts them now. */
  async diag(): Promise<{ made: number; ended: number }> {
    const before = this.count('diag');
    this.tell({ do: 'diag' });
    const told = await this.event('diag', undefined, before + 1);
    return { made: told.made as number, ended: told.ended as number };
  }

  open(options: MtaSessionOptions = {}): Promise<MtaSession> {
    return MtaSession.open(this.socket, { timeout: PATIENCE, ...options });
  }

  /** How far it came, for the message of a failure. */
  state(): string {
    const last = this.told.slice(-12).map((told) => JSON.stringify(told));
    const threads = this.running ? threadsOf(this.pid) : '';
    return (
      `\n  ended: ${JSON.stringify(this.#end)}\n  told (${this.told.length}): ${last.join(' ')}` +
      `\n  threads: ${threads}\n  output: ${this.#output.slice(-2000)}`
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end === undefined) {
      this.child.kill('SIGKILL');
      await this.#exit;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function threadsOf(pid: number): string {
  const tasks = `/proc/${pid}/task`;
  return existsSync(tasks) ? String(readdirSync(tasks).length) : 'none';
}
