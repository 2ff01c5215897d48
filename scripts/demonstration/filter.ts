/** Runs a filter of examples/ in a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const LOG_TIMEOUT = 10_000;

export class Filter {
  /** The lines it has written so far. */
  readonly log: string[] = [];
  readonly #child: ChildProcess;

  /** Starts the filter and resolves when it listens. @param program below `examples/` */
  static async start(program: string, args: readonly string[]): Promise<Filter> {
    const filter = new Filter(program, args);
    await filter.awaitLine(/listening/, 0);
    return filter;
  }

  private constructor(program: string, args: readonly string[]) {
    const script = join(__dirname, '../../examples', program);
    this.#child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface(stream).on('line', (line) => this.log.push(line));
    }
  }

  /** Waits for a line that matches `text`, ignoring the first `from` lines. */
  async awaitLine(text: RegExp, from: number): Promise<void> {
    const deadline = Date.now() + LOG_TIMEOUT;
    while (!this.log.slice(from).some((line) => text.test(line))) {
      if (this.#ended) throw new Error(`the filter has ended:\n${this.log.join('\n')}`);
      if (Date.now() > deadline) throw new Error(`the filter did not log ${text}:\n${this.log.join('\n')}`);
      await sleep(5);
    }
  }

  /** Stops the filter as systemd does, by SIGTERM. @returns its exit code */
  async stop(): Promise<number | null> {
    if (!this.#ended) {
      const exit = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await exit;
    }
    return this.#child.exitCode;
  }

  /** Kills the filter, for when the demonstration itself is interrupted. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}
