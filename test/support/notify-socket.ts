/** The socket at which a service manager is told about its services, in a process of its own: Node.js has no such sockets. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { projectRoot } from '../../tools/project-root.js';
import { until, within } from '../../tools/wait.js';

/** A datagram. */
export interface Notification {
  /** The process that has sent it. */
  readonly pid: number;
  readonly text: string;
  /** When it was read, in microseconds of CLOCK_MONOTONIC. */
  readonly at: number;
}

export class NotifySocket implements AsyncDisposable {
  /** For NOTIFY_SOCKET. */
  readonly address: string;
  readonly received: Notification[] = [];
  readonly #directory = privateDirectory('notify', 0o755);
  readonly #child: ChildProcess;
  #listening = false;

  private constructor(abstract: boolean) {
    const path = join(this.#directory, 'notify');
    this.address = abstract ? `@${path}` : path;
    const program = join(projectRoot, 'test/fixtures/notify-socket.py');
    this.#child = spawn('/usr/bin/python3', [program, this.address], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      if (line === 'listening') this.#listening = true;
      else this.received.push(JSON.parse(line));
    });
  }

  static async open({ abstract = false } = {}): Promise<NotifySocket> {
    const socket = new NotifySocket(abstract);
    await until('the notify socket', () => socket.#listening);
    return socket;
  }

  /** All texts so far. */
  get texts(): string[] {
    return this.received.map(({ text }) => text);
  }

  /** The first datagram that matches, from the `from`th on; it may still have to come. */
  said(pattern: RegExp, from = 0): Promise<Notification> {
    return until(
      `a notification ${pattern}`,
      () => this.received.slice(from).find(({ text }) => pattern.test(text)),
      undefined,
      () => JSON.stringify(this.texts),
    );
  }

  /** Stops reading until {@link resume}. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await within('the notify socket to end', exit);
    removeDirectory(this.#directory);
  }
}
