import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SupervisedCommand, SupervisorMessage } from './supervisor';

// longer than the supervisor's own patience with the MTA
const stopMs = 8000;

/** A process whose life is bound to this one's, with the folder it works in; see supervisor.ts. */
export class SupervisedProcess {
  readonly #supervisor: ChildProcess;
  readonly #exited: Promise<unknown>;
  #output = '';
  #pid: number | undefined;
  #ended: string | undefined;

  constructor(command: SupervisedCommand) {
    // Nothing of the test's environment goes along: sanitizers are preloaded that way, for one thing.
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
    // A test that forgets to stop an MTA must still be able to end, hence the unref of everything.
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

  /** How the process ended, if it did so by itself. */
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
    const expired = new AbortController();
    await Promise.race([
      this.#exited,
      sleep(stopMs, undefined, { signal: expired.signal }).then(() => {
        throw new Error(`process ${this.#pid} and its family did not end within ${stopMs} ms`);
      }),
    ]).finally(() => expired.abort());
  }
}
