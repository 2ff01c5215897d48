/** Reloads on SIGHUP, in one thread and in workers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { until } from '../../tools/wait.js';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { NotifySocket } from '../support/notify-socket.js';

/** A filter whose state is in a file, and the socket at which systemd is told about it. */
class Supervised implements AsyncDisposable {
  readonly #directory = privateDirectory('reload');
  readonly #file = join(this.#directory, 'state');
  readonly socket: NotifySocket;
  filter!: FilterProcess;

  private constructor(socket: NotifySocket) {
    this.socket = socket;
  }

  static async start(options: Record<string, unknown>): Promise<Supervised> {
    const supervised = new Supervised(await NotifySocket.open());
    supervised.write('first');
    const env = { ...process.env, NOTIFY_SOCKET: supervised.socket.address };
    try {
      supervised.filter = await FilterProcess.start('supervised', {
        options: { logs: true, state: supervised.#file, ...options },
        fork: { env },
      });
    } catch (error) {
      await supervised[Symbol.asyncDispose]();
      throw error;
    }
    await supervised.socket.said(/^READY=1/);
    return supervised;
  }

  write(state: string): void {
    writeFileSync(this.#file, state);
  }

  /** Sends SIGHUP, and waits until systemd has been told that the reload is over. */
  async hangUp(): Promise<string> {
    const from = this.socket.received.length;
    this.filter.child.kill('SIGHUP');
    const reloading = await this.socket.said(/^RELOADING=1/, from);
    return (await this.socket.said(/^READY=1/, this.socket.received.indexOf(reloading))).text;
  }

  /** What one session finds: the state, and the thread. */
  async message(): Promise<{ state: string; thread: string }> {
    const mta = await this.filter.greeted();
    const { modifications } = await mta.message(ENVELOPE);
    await mta.close();
    const [state, thread] = modifications.map((one) => (one.type === 'addheader' ? one.value : ''));
    return { state: String(state), thread: String(thread) };
  }

  /** What the reloads have noted: `thread begins`, `thread ends`. */
  get notes(): string[] {
    return readFileSync(`${this.#file}.log`, 'utf8').trimEnd().split('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.filter?.[Symbol.asyncDispose]();
    await this.socket[Symbol.asyncDispose]();
    removeDirectory(this.#directory);
  }
}

for (const reload of ['class', 'option'] as const) {
  describe(`SIGHUP, with the reload as ${reload === 'class' ? "the class's static method" : 'an option'}`, () => {
    it('reloads; systemd knows when it began and when it was done', async () => {
      await using filter = await Supervised.start({ reload });
      expect((await filter.message()).state).toBe('first');
      filter.write('second');
      const before = Number(process.hrtime.bigint() / 1_000n);
      expect(await filter.hangUp()).toBe('READY=1\nSTATUS=serving; sessions open: 0, messages: 1');
      const { text, at } = await filter.socket.said(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
      const time = Number(text.split('=')[2]);
      expect(time).toBeGreaterThanOrEqual(before);
      expect(time).toBeLessThanOrEqual(at);
      expect((await filter.message()).state).toBe('second');
      await filter.filter.stop();
      expect(filter.filter.stderr).toMatch(/ info {2}fixture: reloaded$/m);
    });

    it('that fails is logged, and the old state stays', async () => {
      await using filter = await Supervised.start({ reload });
      filter.write('bad');
      expect(await filter.hangUp()).toMatch(/^READY=1\nSTATUS=serving; .*; the last reload has failed$/);
      expect((await filter.message()).state).toBe('first');
      const [, step, error] = await filter.filter.event('report');
      expect([step, error]).toStrictEqual([
        'reload',
        expect.objectContaining({ message: 'the state is bad' }),
      ]);
      filter.write('third');
      expect(await filter.hangUp()).not.toContain('failed');
      expect((await filter.message()).state).toBe('third');
      await filter.filter.stop();
      expect(filter.filter.stderr).toMatch(
        / warn {2}fixture: reload failed: the filter goes on with what it had$/m,
      );
    });
  });
}

describe('SIGHUP', () => {
  it('does nothing but a line in the log for a filter without a reload', async () => {
    await using filter = await Supervised.start({});
    await filter.hangUp();
    expect((await filter.message()).state).toBe('first');
    await filter.filter.stop();
    expect(filter.filter.stderr).toMatch(/ info {2}fixture: SIGHUP: the filter has nothing to reload$/m);
  });

  it('during a reload leads to one more, not to two at once', async () => {
    await using filter = await Supervised.start({ reload: 'class' });
    filter.write('slow');
    filter.filter.child.kill('SIGHUP');
    await filter.socket.said(/^RELOADING=1/);
    for (let i = 0; i < 10; i++) {
      filter.filter.child.kill('SIGHUP');
      await sleep(5);
    }
    filter.write('second');
    await until('the second state', async () => (await filter.message()).state === 'second');
    expect(filter.notes).toStrictEqual(['0 begins', '0 ends', '0 begins', '0 ends']);
    await filter.filter.stop();
  });

  it('never ends the process, however many come', async () => {
    await using filter = await Supervised.start({ reload: 'class' });
    for (let i = 0; i < 200; i++) {
      for (let j = 0; j < 50; j++) filter.filter.child.kill('SIGHUP');
      await new Promise(setImmediate);
    }
    filter.write('last');
    await filter.hangUp();
    await until('the last state', async () => (await filter.message()).state === 'last');
    await filter.filter.stop();
  });

  it('ends a filter with signals: false, as Node does', async () => {
    await using filter = await Supervised.start({ reload: 'class', signals: false });
    filter.filter.child.kill('SIGHUP');
    expect(await filter.filter.exited()).toBe('SIGHUP');
  });

  it('while the filter stops is ignored', async () => {
    await using filter = await Supervised.start({ reload: 'class' });
    const mta = await filter.filter.greeted();
    await mta.mail('<a@client.example>');
    filter.filter.child.kill('SIGTERM');
    await filter.socket.said(/^STOPPING=1/);
    filter.filter.child.kill('SIGHUP');
    await mta.abort();
    await mta.close();
    await filter.filter.ended();
    expect(filter.socket.texts.filter((text) => text.startsWith('RELOADING'))).toStrictEqual([]);
  });
});

describe('SIGHUP with workers', () => {
  /** The states by thread, once each of the workers has been asked. */
  async function states(filter: Supervised, workers: number): Promise<string[]> {
    const found = new Map<string, string>();
    await until('a message in each worker', async () => {
      const { state, thread } = await filter.message();
      found.set(thread, state);
      return found.size === workers;
    });
    return [...found.values()];
  }

  it('reloads one after the other', async () => {
    await using filter = await Supervised.start({ workers: 3 });
    expect(await states(filter, 3)).toStrictEqual(['first', 'first', 'first']);
    filter.write('slow');
    await filter.hangUp();
    expect(await states(filter, 3)).toStrictEqual(['slow', 'slow', 'slow']);
    const threads = filter.notes.map((note) => note.split(' ')[0]);
    expect(new Set(threads).size).toBe(3);
    expect(filter.notes).toStrictEqual(
      [threads[0], threads[2], threads[4]].flatMap((thread) => [`${thread} begins`, `${thread} ends`]),
    );
    await filter.filter.stop();
  });

  it('stops at the first that fails: all keep the old state', async () => {
    await using filter = await Supervised.start({ workers: 3 });
    filter.write('bad');
    expect(await filter.hangUp()).toContain('the last reload has failed');
    expect(await states(filter, 3)).toStrictEqual(['first', 'first', 'first']);
    expect(filter.notes).toHaveLength(2);
    filter.write('second');
    await filter.hangUp();
    expect(await states(filter, 3)).toStrictEqual(['second', 'second', 'second']);
    await filter.filter.stop();
    expectThat(filter.filter.stderr, 'the log').toMatch(/untrapped exception in reload.*the state is bad/s);
  });

  it('reloads what the main thread has first, and nothing more if that fails', async () => {
    await using filter = await Supervised.start({ workers: 2, reload: 'option' });
    filter.write('bad');
    await filter.hangUp();
    expect(filter.notes).toStrictEqual(['0 begins', '0 ends']);
    filter.write('second');
    await filter.hangUp();
    expect(filter.notes.slice(2, 4)).toStrictEqual(['0 begins', '0 ends']);
    expect(filter.notes).toHaveLength(8);
    expect(await states(filter, 2)).toStrictEqual(['second', 'second']);
    await filter.filter.stop();
  });
});
