/** Contract 7, 8: sockets that are there already, a second start, the timeout. test/lifecycle has every start error. */
import { execFileSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MtaSession } from 'tsmilter/testing';
import type { ToldError } from '../fixtures/serve.js';
import { errorWith, expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

interface Listening {
  readonly listening: { readonly socket: string; readonly port: number };
}
type Outcome = Listening & ToldError & { readonly ended?: boolean };

describe('start', () => {
  let filter: FilterProcess;
  beforeEach(async () => {
    filter = await FilterProcess.start('starts', { until: 'ready' });
  });
  afterEach(() => filter?.[Symbol.asyncDispose]());

  const path = () => join(filter.directory, 'sock');
  const start = (...args: unknown[]) => filter.request<Outcome>('start', ...args);

  async function works(socket = filter.socket): Promise<void> {
    await using mta = await MtaSession.open(socket);
    await mta.connect('client.example');
    await mta.helo('x');
    expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
  }

  async function stops(): Promise<void> {
    await filter.request('stop');
    await filter.request('exit');
    await filter.ended();
  }

  /** Leaves a socket file that nobody listens on, as a filter that was killed does. */
  function leaveStaleSocket(): void {
    execFileSync(
      process.execPath,
      [
        '-e',
        `require('net').createServer().listen(${JSON.stringify(path())}, () => process.kill(process.pid, 'SIGKILL'))`,
      ],
      { stdio: 'ignore', env: { PATH: process.env.PATH } },
    );
  }

  /** @contract 8 */
  describe('an existing unix socket', () => {
    it('a stale one is removed by default', async () => {
      expect(leaveStaleSocket).toThrow();
      expect(statSync(path()).isSocket()).toBe(true);
      expect((await start()).listening).toStrictEqual({ socket: filter.socket, port: 0 });
      await works();
      await stops();
    });

    it('a stale one with removeSocket: false is an error', async () => {
      expect(leaveStaleSocket).toThrow();
      const { code, message } = await start({ removeSocket: false });
      expect(code).toBe('EADDRINUSE');
      expect(message).toContain(path());
      expect(existsSync(path())).toBe(true);
    });

    it('one with a listener is neither removed nor disturbed', async () => {
      const server = createServer((socket) => socket.destroy());
      await new Promise<void>((resolve) => server.listen(path(), resolve));
      try {
        expect((await start()).code).toBe('EADDRINUSE');
        expect((await start({ removeSocket: true })).code).toBe('EADDRINUSE');
        expect(statSync(path()).isSocket()).toBe(true);
      } finally {
        server.close();
      }
      // Free again: the same process may start after all.
      expect((await start()).listening).toBeTruthy();
      await works();
      await stops();
    });

    it('that of another, running filter is an error', async () => {
      await using other = await FilterProcess.start('scripted', { socket: filter.socket });
      expect((await start()).code).toBe('EADDRINUSE');
      await using mta = await other.greeted();
      expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
      await mta.close();
      await other.stop();
    });

    it('a file that is not a socket is not removed', async () => {
      writeFileSync(path(), 'precious');
      expect((await start()).code).toBe('ENOTSOCK');
      expect(statSync(path()).size).toBe(8);
    });
  });

  it('inet with port 0: onListening receives the port', async () => {
    const { listening } = await start({}, 'inet:0@127.0.0.1');
    expect(listening.port).toBeGreaterThan(0);
    await works(`inet:${listening.port}@127.0.0.1`);
    await stops();
  });

  /** @contract 7 */
  describe('a second start', () => {
    it('while one runs: ERR_MILTER_IN_USE, and the running one continues', async () => {
      expect((await start()).listening).toBeTruthy();
      const { code, message } = await start({}, `unix:${join(filter.directory, 'second')}`);
      expect(code).toBe('ERR_MILTER_IN_USE');
      expect(message).toMatch(/milter module in use/);
      expect(existsSync(join(filter.directory, 'second'))).toBe(false);
      await works();
      await stops();
    });

    it('after the first has ended: ERR_MILTER_ALREADY_RUN, and no socket is opened', async () => {
      expect((await start()).listening).toBeTruthy();
      await works();
      await filter.request('stop');
      for (let i = 0; i < 2; i++) {
        expect((await start()).code).toBe('ERR_MILTER_ALREADY_RUN');
        expectThat(existsSync(path()), 'nobody would serve it').toBe(false);
      }
      await filter.request('exit');
      await filter.ended();
    });
  });

  /** @contract 8 */
  describe('timeout', () => {
    it('half a command: libmilter ends the session after the timeout', async () => {
      expect((await start({ timeout: 1 })).listening).toBeTruthy();
      await using mta = await MtaSession.open(filter.socket);
      await mta.connect('client.example');
      await mta.sendRaw(Buffer.from([0, 0, 0, 9, 0x48, 0x61]));
      await mta.waitForClose();
      await works();
      await stops();
    });

    it('0 keeps the default: the session continues', async () => {
      expect((await start({ timeout: 0 })).listening).toBeTruthy();
      await using mta = await MtaSession.open(filter.socket, { timeout: 1500 });
      await mta.connect('client.example');
      await mta.sendRaw(Buffer.from([0, 0, 0, 3, 0x4d]));
      await expect(mta.waitForClose()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_TIMEOUT' }));
    });
  });
});
