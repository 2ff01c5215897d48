/** A real HAProxy, and its runtime interface. */
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { installation } from './mta/installation';
import { privateDirectory } from './private-directory';
import { SupervisedProcess } from './supervised-process';
import { until } from './wait';

const START_MS = 60_000;

/** What HAProxy knows of a server. */
export interface ServerStatus {
  /** `UP`, `DOWN`, `DRAIN`, `MAINT`, or on the way from one to the other, such as `UP 1/2`. */
  readonly status: string;
  /** Connections that are open. */
  readonly connections: number;
}

export class HaProxy implements AsyncDisposable {
  readonly #socket: string;
  readonly #process: SupervisedProcess;

  private constructor(socket: string, process: SupervisedProcess) {
    this.#socket = socket;
    this.#process = process;
  }

  /**
   * @param configuration of version 2.6 or later; a private directory takes the place of `/run/haproxy`, in which it must have an
   *   admin.sock
   */
  static async start(configuration: string): Promise<HaProxy> {
    const dir = privateDirectory('haproxy');
    const file = join(dir, 'haproxy.cfg');
    writeFileSync(file, configuration.replaceAll('/run/haproxy', dir));
    const { root, libraryPath } = installation();
    const process = new SupervisedProcess({
      dir,
      command: join(root, 'usr/sbin/haproxy'),
      args: ['-db', '-f', file],
      env: { LD_LIBRARY_PATH: libraryPath },
    });
    const haproxy = new HaProxy(join(dir, 'admin.sock'), process);
    const answers = () => {
      if (process.ended !== undefined) throw new Error(`haproxy ended: ${process.ended}\n${process.output}`);
      return haproxy.command('show version').catch(() => false as const);
    };
    try {
      await until('haproxy to listen', answers, START_MS, () => process.output);
    } catch (error) {
      await process.stop();
      throw error;
    }
    return haproxy;
  }

  /** What it replies to a command of its runtime interface. */
  async command(command: string): Promise<string> {
    const socket = connect(this.#socket);
    socket.write(`${command}\n`);
    return text(socket);
  }

  /** The state of a server in a backend. */
  async server(backend: string, name: string): Promise<ServerStatus> {
    const [header = '', ...rows] = (await this.command('show stat')).replace(/^# /, '').split('\n');
    const columns = header.split(',');
    const row = rows.map((each) => each.split(',')).find(([px, sv]) => px === backend && sv === name);
    const cell = (column: string) => row?.[columns.indexOf(column)] ?? '';
    return { status: cell('status'), connections: Number(cell('scur')) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }
}
