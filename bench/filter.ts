/** A contender's filter in a process of its own, whose life is bound to the benchmark's. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MtaSession } from 'tsmilter/testing';
import { freePort, projectRoot } from '../tools/mta';
import { SupervisedProcess } from '../tools/mta/process';
import { type Contender, commandOf, type Work } from './contenders';
import { libmilterOf } from './proc';

/** A filter that does not listen within that time, in milliseconds, is not going to. */
const START_MS = 20_000;

export class Filter implements AsyncDisposable {
  /** As libmilter spells it. */
  readonly socket: string;
  /** Milliseconds from the start of the process to its answer to the first negotiation. */
  startup = 0;
  readonly #process: SupervisedProcess;

  /** Starts a filter and waits for its first answer. @throws with what it said, where none comes */
  static async start(contender: Contender, work: Work): Promise<Filter> {
    // A short path, for a unix socket's is limited; the supervisor removes the folder, whatever happens.
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
    // Not left to its supervisor alone, which is patient: the load ends with the filter.
    process.once('exit', this.#kill);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The file names of the libmilter it runs on. */
  get libmilter(): string[] {
    return libmilterOf(this.pid);
  }

  /** Lets MTAs in that do not run as root. */
  open(): void {
    const [, path] = /^unix:(.*)$/.exec(this.socket) ?? [];
    if (path === undefined) return;
    chmodSync(join(path, '..'), 0o711);
    chmodSync(path, 0o666);
  }

  /** @throws where the filter has ended by itself, which spoils what was measured */
  check(): void {
    const { ended, output } = this.#process;
    if (ended !== undefined)
      throw new Error(`the filter ended (${ended}): ${output.trim() || 'without a word'}`);
  }

  /** Ends it at once: what is measured is measured, and libmilter takes up to 5 s for an orderly stop. */
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
    const deadline = performance.now() + START_MS;
    let begin: number | undefined;
    for (;;) {
      this.check();
      if (begin === undefined && this.pid > 0) begin = performance.now();
      if (begin !== undefined && (await this.#answers())) break;
      if (performance.now() > deadline) throw new Error(`no answer within ${START_MS} ms`);
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
