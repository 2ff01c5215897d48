/** A contender's filter in a process of its own, which ends with the benchmark. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MtaSession } from 'tsmilter/testing';
import { freePort } from '../tools/free-ports';
import { projectRoot } from '../tools/project-root';
import { SupervisedProcess } from '../tools/supervised-process';
import { type Contender, commandOf, type Work } from './contenders';
import { libmilterOf } from './proc';

/** Milliseconds that a filter may take to start. */
const START_TIMEOUT = 20_000;

export class Filter implements AsyncDisposable {
  /** Its socket, as for libmilter. */
  readonly socket: string;
  /** Milliseconds from the start of the process to its reply to the first negotiation. */
  startup = 0;
  readonly #process: SupervisedProcess;

  /** Starts a filter and waits for its first reply. @throws with its output, if none comes */
  static async start(contender: Contender, work: Work): Promise<Filter> {
    // A short path, because that of a unix socket is limited. The supervisor removes the folder in any case.
    const directory = mkdtempSync('/tmp/tsmilter-bench-');
    let filter: Filter;
    try {
      const socket =
        contender.socket === 'inet' ? `inet:${await freePort()}@127.0.0.1` : `unix:${directory}/sock`;
      filter = new Filter(contender, directory, socket, work);
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
    try {
      await filter.#answering();
    } catch (error) {
      await filter.stop();
      throw new Error(`${contender.name} does not start: ${(error as Error).message}`);
    }
    return filter;
  }

  private constructor(contender: Contender, directory: string, socket: string, work: Work) {
    this.socket = socket;
    const { command, args } = commandOf(contender, projectRoot, socket, work);
    const { MILTER_ADDON } = process.env;
    this.#process = new SupervisedProcess({
      dir: directory,
      command,
      args,
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', ...(MILTER_ADDON ? { MILTER_ADDON } : {}) },
    });
    // Killed at once, because the load generator ends with the filter; its supervisor would wait.
    process.once('exit', this.#kill);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The file names of the libmilter it has loaded. */
  get libmilter(): string[] {
    return libmilterOf(this.pid);
  }

  /** Opens its unix socket to MTAs that do not run as root. */
  open(): void {
    const [, path] = /^unix:(.*)$/.exec(this.socket) ?? [];
    if (path === undefined) return;
    chmodSync(join(path, '..'), 0o711);
    chmodSync(path, 0o666);
  }

  /** @throws if the filter has ended by itself, which invalidates the figures */
  check(): void {
    const { ended, output } = this.#process;
    if (ended !== undefined) throw new Error(`the filter ended (${ended}): ${output.trim() || 'no output'}`);
  }

  /** Kills it, because libmilter takes up to 5 s for an orderly stop. */
  stop(): Promise<void> {
    process.off('exit', this.#kill);
    this.#kill();
    return this.#process.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  readonly #kill = (): void => {
    try {
      if (this.pid > 0 && this.#process.ended === undefined) process.kill(this.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };

  async #answering(): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT;
    let begin: number | undefined;
    for (;;) {
      this.check();
      if (begin === undefined && this.pid > 0) begin = performance.now();
      if (begin !== undefined && (await this.#answers())) break;
      if (performance.now() > deadline) throw new Error(`no reply within ${START_TIMEOUT} ms`);
      await sleep(1);
    }
    this.startup = performance.now() - begin;
  }

  async #answers(): Promise<boolean> {
    try {
      const session = await MtaSession.open(this.socket);
      await session.quit();
      return true;
    } catch {
      return false;
    }
  }
}
