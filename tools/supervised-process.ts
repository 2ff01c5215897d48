import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import * as path from 'node:path';
import type { SupervisedCommand, SupervisorMessage } from './supervisor';
import { within } from './wait';

/** Longer than the supervisor waits before it kills. */
const STOP_TIMEOUT = 30_000;

/** A process that ends with this one, and its folder, which is removed then; see supervisor.ts. */
export class SupervisedProcess {
  readonly #supervisor: ChildProcess;
  readonly #exited: Promise<unknown>;
  #output = '';
  #pid: number | undefined;
  #ended: string | undefined;

  constructor(command: SupervisedCommand) {
    // The test's environment is not passed on, because it may preload a sanitizer.
    this.#supervisor = fork(
      path.join(__dirname, `supervisor${path.extname(__filename)}`),
      [JSON.stringify(command)],
      {
        detached: true,
        env: {},
        execArgv: [],
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      },
    );
    this.#exited = once(this.#supervisor, 'exit');
    this.#supervisor.on('message', (message: SupervisorMessage) => {
      if ('pid' in message) this.#pid = message.pid;
      else this.#ended = message.ended;
    });
    this.#supervisor.on('exit', () => {
      this.#ended ??= 'its supervisor ended';
    });
    // Everything is unreferenced, so that a test that forgets to stop the process can still end.
    this.#supervisor.unref();
    this.#supervisor.channel?.unref();
    for (const stream of [this.#supervisor.stdout, this.#supervisor.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString('latin1');
      });
      (stream as Socket | null)?.unref();
    }
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  /** How the process ended, if it ended by itself. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** What it wrote to standard output and standard error so far. */
  get output(): string {
    return this.#output;
  }

  /** Ends the process and everything it started, and removes its folder. */
  async stop(): Promise<void> {
    this.#supervisor.ref();
    if (this.#supervisor.connected) this.#supervisor.disconnect();
    await within(`the end of process ${this.#pid} and its children`, this.#exited, STOP_TIMEOUT);
  }
}
