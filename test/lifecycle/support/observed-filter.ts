/** A fixture filter that reports events (test/fixtures/lifecycle/line.ts is the other end), in a process of its own. */
import { existsSync, readdirSync } from 'node:fs';
import { MtaSession, type MtaSessionOptions } from 'tsmilter/testing';
import { privateDirectory } from '../../../tools/private-directory.js';
import { TIMEOUT, within } from '../../../tools/wait.js';
import type { Command, Settings } from '../../fixtures/lifecycle/line.js';
import { asUser } from '../../support/as-user.js';
import { type End, FixtureProcess } from '../../support/fixture-process.js';

export { CLEAN_END, type End } from '../../support/fixture-process.js';

/** A message of a fixture; `event` says what happened. */
export type Told = { readonly event: string } & Readonly<Record<string, unknown>>;

/** How a filter is started. */
export interface StartOptions extends Omit<Settings, 'socket'> {
  /** The process is this user's, and of the group of that number. Default: this process's. */
  readonly uid?: number;
  /** The compiled file in test/fixtures/lifecycle, without .js. Default: controllable-filter. */
  readonly fixture?: string;
  /** Default: a unix socket in a private directory. */
  readonly socket?: string;
  /** Descriptors that the process gets as 4, 5, ... */
  readonly descriptors?: readonly number[];
  /** Resolve only when the filter listens. Default true. */
  readonly listening?: boolean;
}

/** Fixtures may become another user, who must be able to use the directory. */
const EVERY_USER = 0o777;

/** A directory of the test's own, open to every user. */
export function openDirectory(): string {
  return privateDirectory('lifecycle', EVERY_USER);
}

export class ObservedFilter extends FixtureProcess {
  readonly told: Told[] = [];
  readonly #listeners = new Set<() => void>();

  private constructor(options: StartOptions) {
    const {
      fixture = 'controllable-filter',
      socket,
      descriptors = [],
      listening,
      uid,
      ...settings
    } = options;
    super({
      fixture: `lifecycle/${fixture}`,
      socket,
      args: (given) => [JSON.stringify({ ...settings, socket: given } satisfies Settings)],
      descriptors,
      mode: EVERY_USER,
      fork: uid === undefined ? {} : asUser(uid),
    });
    this.child.on('message', (message: Told) => {
      this.told.push(message);
      this.#look();
    });
    void this.exit.then(() => this.#look());
  }

  static async start(options: StartOptions = {}): Promise<ObservedFilter> {
    const filter = new ObservedFilter(options);
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

  /** The unix socket's path. */
  get path(): string {
    return this.socket.replace(/^[a-z]*:/, '');
  }

  /** What it wrote to stdout and stderr. */
  get output(): string {
    return this.stdout + this.stderr;
  }

  count(event: string): number {
    return this.told.filter((told) => told.event === event).length;
  }

  all(event: string): Told[] {
    return this.told.filter((told) => told.event === event);
  }

  /** The `nth` (from 1) `event` that `fits`; rejects if the process ends without it. */
  async event(
    event: string,
    fits: (told: Told) => boolean = () => true,
    nth = 1,
    ms = TIMEOUT,
  ): Promise<Told> {
    let look = () => {};
    const found = new Promise<Told>((resolve, reject) => {
      look = () => {
        const told = this.told.filter((one) => one.event === event && fits(one))[nth - 1];
        if (told) resolve(told);
        // What was sent before the exit may arrive after it.
        else if (this.end) setImmediate(() => reject(new Error(`it ended: ${JSON.stringify(this.end)}`)));
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
  async ended(ms = TIMEOUT): Promise<End> {
    try {
      return await within('the end of the filter process', this.exit, ms);
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
    return MtaSession.open(this.socket, { timeout: TIMEOUT, ...options });
  }

  /** What it has done so far, for the message of a failure. */
  state(): string {
    const last = this.told.slice(-12).map((told) => JSON.stringify(told));
    const threads = this.running ? threadsOf(this.pid) : '';
    return (
      `\n  ended: ${JSON.stringify(this.end)}\n  told (${this.told.length}): ${last.join(' ')}` +
      `\n  threads: ${threads}\n  output: ${this.output.slice(-2000)}`
    );
  }

  #look(): void {
    for (const listener of this.#listeners) listener();
  }
}

function threadsOf(pid: number): string {
  const tasks = `/proc/${pid}/task`;
  return existsSync(tasks) ? String(readdirSync(tasks).length) : 'none';
}
