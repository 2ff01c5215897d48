/** Ten restarts by socket activation while mail comes in: each message is delivered once, none is deferred, none unfiltered. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';
import { TIMEOUT, until, within } from '../../tools/wait';
import { kinds, MtaFixture, type Sent } from './support/mta-fixture';

const RESTARTS = 10;
/** SMTP clients of each MTA at a time. */
const CLIENTS = 4;
/** Messages of all clients between two restarts, and after the last. */
const MESSAGES_BETWEEN = 16;

/** A service with socket activation; see activation.pl. */
class ActivatedService {
  readonly #manager: ChildProcess;
  readonly #lines: Interface;

  static async start(socket: string): Promise<ActivatedService> {
    const service = new ActivatedService(socket);
    await service.#next('listening');
    return service;
  }

  private constructor(socket: string) {
    // The manager is not what a sanitizer watches.
    const { LD_PRELOAD: preload, ...env } = process.env;
    const service = [process.execPath, path.join(__dirname, '../fixtures/mta/activated.js')];
    this.#manager = spawn(
      'perl',
      [
        path.join(projectRoot, 'test/fixtures/mta/activation.pl'),
        socket,
        'env',
        ...(preload ? [`LD_PRELOAD=${preload}`] : []),
        ...service,
      ],
      { env, stdio: ['pipe', 'pipe', 'inherit'] },
    );
    this.#lines = createInterface({ input: this.#manager.stdout as NodeJS.ReadableStream });
  }

  /** Resolves when the old process has ended, and the new one has been started. */
  async restart(): Promise<void> {
    const ended = this.#next('0');
    this.#manager.stdin?.write('restart\n');
    await ended;
  }

  /** Awaits the manager's next line. */
  async #next(line: string): Promise<void> {
    expect(await within(`"${line}"`, once(this.#lines, 'line'), 2 * TIMEOUT)).toStrictEqual([line]);
  }

  async stop(): Promise<void> {
    if (this.#manager.exitCode !== null) return;
    const exited = once(this.#manager, 'exit');
    this.#manager.stdin?.end();
    await within('the end of the last filter', exited, 2 * TIMEOUT);
  }
}

let mtas: MtaFixture;
let service: ActivatedService;
beforeAll(async () => {
  mtas = await MtaFixture.start({ fixture: null });
  service = await ActivatedService.start(mtas.socket().replace(/^unix:/, ''));
});
afterAll(async () => {
  await service?.stop();
  await mtas?.stop();
});

test('every message is delivered once, by a filter, and none is deferred', async () => {
  const sent: Sent[] = [];
  let over = false;
  const clients = kinds.flatMap((kind) =>
    Array.from({ length: CLIENTS }, async () => {
      while (!over) sent.push(await mtas.submit(kind));
    }),
  );
  const messages = (count: number) =>
    Promise.race([
      until(`${count} messages`, () => sent.length >= count, 2 * TIMEOUT),
      Promise.all(clients), // rejects if a client fails
    ]);
  for (let restarts = 0; restarts < RESTARTS; restarts++) {
    await messages(sent.length + MESSAGES_BETWEEN);
    await service.restart();
  }
  await messages(sent.length + MESSAGES_BETWEEN);
  over = true;
  await Promise.all(clients);

  const refused = sent.filter(({ last }) => last.code !== 250).map(({ last }) => `${last.code} ${last.text}`);
  expect(refused).toStrictEqual([]);
  const processes = new Set<string>();
  for (const { id } of sent) {
    const filtered = /^X-Filtered: (\d+)\r?$/m.exec((await mtas.delivered(id)).text);
    processes.add(filtered?.[1] ?? 'none');
  }
  expect(processes).not.toContain('none');
  expect(processes.size).toBe(RESTARTS + 1);
  expect(mtas.sink.messages.length).toBe(sent.length);
});
