/** A program that is a filter, as a user runs it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect } from '@jest/globals';
import { until } from '../../../tools/wait';
import { expectThat } from '../../support/expect';

export class Program implements AsyncDisposable {
  /** What it has written to stdout and stderr. */
  output = '';
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #temporary: string;

  private constructor(script: string, args: readonly string[], temporary: string) {
    this.#temporary = temporary;
    const env = { ...process.env, TMPDIR: temporary };
    this.#child = spawn(process.execPath, [script, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#exited = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    process.once('exit', this.#kill);
  }

  /**
   * Starts a compiled script and waits until it has written that.
   * @param temporary its own folder for temporary files, in which it must leave nothing
   */
  static async start(
    script: string,
    args: readonly string[],
    written: RegExp,
    temporary: string,
  ): Promise<Program> {
    fs.mkdirSync(temporary);
    const program = new Program(script, args, temporary);
    try {
      await program.wrote(written);
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
    return program;
  }

  /** Waits until it has written that. */
  async wrote(text: RegExp): Promise<void> {
    const child = this.#child;
    await until(`${text} in the output of ${path.basename(child.spawnargs[1] ?? '')}`, () => {
      if (text.test(this.output)) return true;
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${this.output}`);
      return undefined;
    });
  }

  /** Sends it a signal. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The names of its temporary files. */
  temporaryFiles(): string[] {
    return fs.readdirSync(this.#temporary);
  }

  /** Stops it by SIGTERM: it must exit with 0 and leave nothing behind. */
  async stop(): Promise<void> {
    try {
      this.#child.kill('SIGTERM');
      await until(`the end of process ${this.#child.pid}`, () => this.#child.exitCode !== null);
      await this.#exited;
      expectThat(this.#child.exitCode, this.output).toBe(0);
      expect(this.temporaryFiles()).toStrictEqual([]);
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  /** Kills the process if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill();
    process.off('exit', this.#kill);
    await this.#exited;
  }

  readonly #kill = (): void => {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
  };
}
