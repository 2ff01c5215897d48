/** A fixture of test/fixtures in a process of its own: its output, its end, and the private directory for its socket. */
import { type ChildProcess, type ForkOptions, fork } from 'node:child_process';
import { join } from 'node:path';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { within } from '../../tools/wait.js';

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export const CLEAN_END: End = { code: 0, signal: null };

/** How a fixture's process is started. */
export interface FixtureProcessOptions {
  /** The compiled file in test/fixtures, without .js. */
  readonly fixture: string;
  /** The filter's socket, as runmilter and MtaSession take it. Default: a unix socket in the private directory. */
  readonly socket: string | undefined;
  /** The process's arguments. */
  readonly args: (socket: string) => readonly string[];
  /** Descriptors that the process gets as 4, 5, ... Default: none. */
  readonly descriptors?: readonly number[];
  /** The permissions of the private directory. Default: 0o700. */
  readonly mode?: number;
  readonly fork?: ForkOptions;
}

export class FixtureProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  /** The filter's socket, as runmilter and MtaSession take it. */
  readonly socket: string;
  /** A private directory, removed at the end. */
  readonly directory: string;
  /** Everything the process has written to stdout. */
  stdout = '';
  /** Everything the process has written to stderr. */
  stderr = '';
  /** Resolves when the process has exited; its output may not have been read to the end yet. */
  protected readonly exit: Promise<End>;
  /** Resolves when the process has exited and its output has been read. */
  protected readonly closed: Promise<End>;
  #end: End | undefined;

  protected constructor({
    fixture,
    socket,
    args,
    descriptors = [],
    mode,
    fork: options,
  }: FixtureProcessOptions) {
    this.directory = privateDirectory('fixture', mode);
    this.socket = socket ?? `unix:${join(this.directory, 'sock')}`;
    this.child = fork(join(__dirname, '../fixtures', `${fixture}.js`), args(this.socket), {
      execArgv: [],
      ...options,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...descriptors],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exit = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => {
        this.#end = { code, signal };
        resolve(this.#end);
      });
    });
    this.closed = new Promise((resolve) => {
      this.child.once('close', (code, signal) => resolve({ code, signal }));
    });
    process.once('exit', this.#cleanUp);
  }

  get pid(): number {
    return this.child.pid as number;
  }

  get running(): boolean {
    return this.#end === undefined;
  }

  /** How the process ended; undefined while it runs. */
  get end(): End | undefined {
    return this.#end;
  }

  /** Kills the process if it still runs, and removes its directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill();
    process.off('exit', this.#cleanUp);
    try {
      await within(`process ${this.pid} killed`, this.exit);
    } finally {
      removeDirectory(this.directory);
    }
  }

  #kill(): void {
    if (this.running) this.child.kill('SIGKILL');
  }

  /** For a test process that ends without stopping its filter. */
  readonly #cleanUp = (): void => {
    this.#kill();
    removeDirectory(this.directory);
  };
}
