/** Sockets that systemd has opened, found by their names. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { linkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { MtaSession } from 'tsmilter/testing';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { until, within } from '../../tools/wait.js';
import { TSMILTER } from '../support/cli.js';
import { unwatched, watching } from '../support/unwatched.js';

const FILTER = join(__dirname, '../fixtures/supervised.js');

/** A listening socket in a private directory. */
class Listener implements Disposable {
  readonly #directory = privateDirectory('activated');
  readonly #server: Server = createServer();
  readonly path = join(this.#directory, 'sock');

  static async open(): Promise<Listener> {
    const listener = new Listener();
    const first = `${listener.path}.first`;
    await new Promise<void>((resolve) => listener.#server.listen(first, resolve));
    linkSync(first, listener.path); // closing the server removes the name that it knows
    return listener;
  }

  get fd(): number {
    return (this.#server as unknown as { _handle: { fd: number } })._handle.fd;
  }

  /** Leaves its connections to the processes that have inherited it. */
  handOver(): void {
    this.#server.close();
  }

  [Symbol.dispose](): void {
    this.handOver();
    removeDirectory(this.#directory);
  }
}

/** A service with sockets, as systemd starts one: LISTEN_PID is its own. */
class Service implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  output = '';

  /** @param pid LISTEN_PID; default: that of the service */
  constructor(socket: string, listeners: readonly Listener[], names: string, pid = '$$') {
    const args = [
      'env',
      ...watching,
      process.execPath,
      TSMILTER,
      'run',
      FILTER,
      '--workers',
      '1',
      '--socket',
      socket,
    ];
    this.#child = spawn('/bin/sh', ['-c', `LISTEN_PID=${pid} exec "$@"`, 'sh', ...args], {
      env: { ...unwatched, LISTEN_FDS: String(listeners.length), LISTEN_FDNAMES: names },
      stdio: ['ignore', 'ignore', 'pipe', ...listeners.map(({ fd }) => fd)],
    });
    this.#closed = once(this.#child, 'close');
    for (const listener of new Set(listeners)) listener.handOver();
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
  }

  said(text: string): Promise<unknown> {
    return until(
      `the service to say ${text}`,
      () => this.output.includes(text),
      undefined,
      () => this.output,
    );
  }

  async exited(): Promise<number | null> {
    await within('the service to end', this.#closed);
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.exited();
  }
}

test('fd:NAME is the socket of that name, whatever its place', async () => {
  for (const name of ['lottery.socket', 'web']) {
    using first = await Listener.open();
    using second = await Listener.open();
    await using service = new Service(`fd:${name}`, [first, second], 'lottery.socket:web');
    await service.said(`listening socket=fd:${name}`);
    const mta = await MtaSession.open(`unix:${name === 'web' ? second.path : first.path}`);
    await mta.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 40000 });
    await mta.close();
  }
});

for (const [title, names, count, pid] of [
  ['no socket has', 'a:b', 2, '$$'],
  ['two sockets have', 'web:web', 2, '$$'],
  ['a socket has that was not passed', 'a:web', 1, '$$'],
  ['a socket of another process has', 'web', 1, '1'],
] as const) {
  test(`a name that ${title} is refused, and the message has those there are`, async () => {
    using listener = await Listener.open();
    const listeners = Array<Listener>(count).fill(listener);
    await using service = new Service('fd:web', listeners, names, pid);
    expect(await service.exited()).toBe(1);
    const passed = pid === '1' ? 'none' : names.split(':').slice(0, count).join(', ');
    expect(service.output).toContain(
      `fd:web: systemd has not passed one socket of that name to this process; it has passed: ${passed} (`,
    );
  });
}
