/** The programs of a chain: each in a process and a folder of its own, with DNS servers of our choice. */
import { chmodSync, existsSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installation } from '../../tools/mta/installation';
import { SupervisedProcess } from '../../tools/supervised-process';
import { cpuSeconds, resident } from '../proc';

/** Milliseconds that a program may take to start. */
const START_TIMEOUT = 20_000;

/** How one program is started. */
export interface Program {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files of its folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A running program. Its socket is `sock` in its folder, unless it listens on TCP. */
export class Running implements AsyncDisposable {
  readonly #process: SupervisedProcess;

  /** @param make is given the folder */
  static async start(make: (directory: string) => Program, nameserver: string): Promise<Running> {
    // A short path, because that of a unix socket is limited. The supervisor removes the folder.
    const directory = mkdtempSync('/tmp/tsmilter-chain-');
    chmodSync(directory, 0o711);
    const running = new Running(make(directory), directory, nameserver);
    try {
      await running.#listening();
      return running;
    } catch (error) {
      await running[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(
    private readonly program: Program,
    private readonly directory: string,
    nameserver: string,
  ) {
    const { command, args, env, files = {} } = program;
    const { libraryPath } = installation();
    const resolver = join(directory, 'resolv.conf');
    for (const [name, text] of Object.entries({ ...files, 'resolv.conf': `nameserver ${nameserver}\n` })) {
      writeFileSync(join(directory, name), text, { mode: 0o600 });
    }
    chmodSync(resolver, 0o644);
    this.#process = new SupervisedProcess({
      dir: directory,
      command: 'unshare',
      args: [
        '--mount',
        '/bin/sh',
        '-c',
        `mount --bind ${resolver} /etc/resolv.conf && exec "$@"`,
        'sh',
        command,
        ...args,
      ],
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LD_LIBRARY_PATH: libraryPath, ...env },
    });
  }

  get socket(): string {
    return join(this.directory, 'sock');
  }

  /** Its CPU seconds so far. */
  get cpu(): number {
    return cpuSeconds(this.#process.pid ?? 0);
  }

  /** The MiB that it takes now. */
  get mebibytes(): number {
    return resident(this.#process.pid ?? 0).now / 2 ** 20;
  }

  /** @throws if it has ended by itself */
  check(): void {
    const { ended, output } = this.#process;
    if (ended !== undefined)
      throw new Error(`${this.program.name} ended (${ended}): ${output.trim().slice(-2_000)}`);
  }

  async #listening(): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT;
    while (!(existsSync(this.socket) && statSync(this.socket).isSocket() && (await answers(this.socket)))) {
      this.check();
      if (performance.now() > deadline)
        throw new Error(`${this.program.name} does not listen: ${this.#process.output}`);
      await sleep(20);
    }
    chmodSync(this.socket, 0o666); // Postfix is no root
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process.stop();
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
