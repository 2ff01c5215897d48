/** The sample filter in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE = 10_000;

export class Filter {
  /** What it has written so far. */
  readonly log: string[] = [];
  readonly #child: ChildProcess;

  /** Starts it on a socket; resolves when it listens. */
  static async start(socket: string): Promise<Filter> {
    const filter = new Filter(socket);
    await filter.awaitLine('listening', 0);
    return filter;
  }

  private constructor(socket: string) {
    const script = join(__dirname, '../../examples/sample.js');
    this.#child = spawn(process.execPath, [script, socket], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface(stream).on('line', (line) => this.log.push(line));
    }
  }

  /** Waits for a line with `text` in it, among those from the `from`th on. */
  async awaitLine(text: string, from: number): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (!this.log.slice(from).some((line) => line.includes(text))) {
      if (this.#ended) throw new Error(`the filter has ended:\n${this.log.join('\n')}`);
      if (Date.now() > deadline) throw new Error(`the filter did not log '${text}':\n${this.log.join('\n')}`);
      await sleep(5);
    }
  }

  /** Stops it as systemd does. @returns its exit code */
  async stop(): Promise<number | null> {
    if (!this.#ended) {
      const exit = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await exit;
    }
    return this.#child.exitCode;
  }

  /** Ends it at once, for when the demonstration itself is ended. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}
