/** The program `tsmilter` as a process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { projectRoot } from '../../tools/project-root.js';
import { until, within } from '../../tools/wait.js';

export const TSMILTER = join(projectRoot, 'dist/cli/tsmilter.js');

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string | Buffer;
  readonly uid?: number;
  readonly gid?: number;
}

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `tsmilter` that runs until it is stopped. */
export class CliProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], { input, ...options }: CliOptions = {}) {
    this.#child = spawn(process.execPath, [TSMILTER, ...args], { ...options, stdio: 'pipe' });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.#child.stdin?.on('error', () => {}); // it may end before it has read its input
    this.#child.stdin?.end(input);
    this.#closed = once(this.#child, 'close');
  }

  /** Waits until a line of the output matches, `times` times; resolves to the last match. */
  said(pattern: RegExp, times = 1): Promise<RegExpMatchArray> {
    const every = new RegExp(pattern.source, `${pattern.flags}g`);
    return until(
      `tsmilter to say ${pattern}`,
      () => [...`${this.stdout}\n${this.stderr}`.matchAll(every)][times - 1],
      undefined,
      () => `stdout: ${this.stdout} stderr: ${this.stderr}`,
    );
  }

  async ended(): Promise<CliResult> {
    await within(() => `tsmilter to end; stdout: ${this.stdout} stderr: ${this.stderr}`, this.#closed);
    return { status: this.#child.exitCode, stdout: this.stdout, stderr: this.stderr };
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<CliResult> {
    this.#child.kill(signal);
    return this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await this.#closed;
  }
}

/** Runs `tsmilter` to its end. */
export function tsmilter(args: readonly string[], options?: CliOptions): Promise<CliResult> {
  return new CliProcess(args, options).ended();
}
