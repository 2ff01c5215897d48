/** Contract 7, 8: sockets that are there already, a second start, the timeout. test/lifecycle has every start error. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { MtaSession } from 'tsmilter/testing';
import type { ToldError } from '../fixtures/serve.js';
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
    assert.equal((await mta.message(ENVELOPE)).verdict, 'continue');
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

  describe('contract 8: a unix socket that is there already', () => {
    it('stale: removed by default', async () => {
      assert.throws(leaveStaleSocket);
      assert.equal(statSync(path()).isSocket(), true);
      assert.deepEqual((await start()).listening, { socket: filter.socket, port: 0 });
      await works();
      await stops();
    });

    it('stale, with removeSocket false: an error', async () => {
      assert.throws(leaveStaleSocket);
      const { code, message } = await start({ removeSocket: false });
      assert.equal(code, 'EADDRINUSE');
      assert.ok(message.includes(path()), message);
      assert.equal(existsSync(path()), true);
    });

    it('one that answers is never removed, and is not disturbed', async () => {
      const server = createServer((socket) => socket.destroy());
      await new Promise<void>((resolve) => server.listen(path(), resolve));
      try {
        assert.equal((await start()).code, 'EADDRINUSE');
        assert.equal((await start({ removeSocket: true })).code, 'EADDRINUSE');
        assert.equal(statSync(path()).isSocket(), true);
      } finally {
        server.close();
      }
      // Free again: the same process may start after all.
      assert.ok((await start()).listening);
      await works();
      await stops();
    });

    it("another filter's, while that one serves", async () => {
      await using other = await FilterProcess.start('scripted', { socket: filter.socket });
      assert.equal((await start()).code, 'EADDRINUSE');
      await using mta = await other.greeted();
      assert.equal((await mta.message(ENVELOPE)).verdict, 'continue');
      await mta.close();
      await other.stop();
    });

    it('a file that is no socket is left alone', async () => {
      writeFileSync(path(), 'precious');
      assert.equal((await start()).code, 'ENOTSOCK');
      assert.equal(statSync(path()).size, 8);
    });
  });

  it('inet with port 0: onListening tells the port', async () => {
    const { listening } = await start({}, 'inet:0@127.0.0.1');
    assert.ok(listening.port > 0);
    await works(`inet:${listening.port}@127.0.0.1`);
    await stops();
  });

  describe('contract 7: a second start', () => {
    it('while one runs: in use, and the one that runs goes on', async () => {
      assert.ok((await start()).listening);
      const { code, message } = await start({}, `unix:${join(filter.directory, 'second')}`);
      assert.equal(code, 'ERR_MILTER_IN_USE');
      assert.match(message, /milter module in use/);
      assert.equal(existsSync(join(filter.directory, 'second')), false);
      await works();
      await stops();
    });

    it('after the first has ended: a coded error, and no socket is opened for it', async () => {
      assert.ok((await start()).listening);
      await works();
      await filter.request('stop');
      for (let i = 0; i < 2; i++) {
        assert.equal((await start()).code, 'ERR_MILTER_ALREADY_RUN');
        assert.equal(existsSync(path()), false, 'nobody would serve it');
      }
      await filter.request('exit');
      await filter.ended();
    });
  });

  describe('contract 8: timeout', () => {
    it('half a command: the session is given up when the time is over', async () => {
      assert.ok((await start({ timeout: 1 })).listening);
      await using mta = await MtaSession.open(filter.socket);
      await mta.connect('client.example');
      await mta.sendRaw(Buffer.from([0, 0, 0, 9, 0x48, 0x61]));
      await mta.waitForClose();
      await works();
      await stops();
    });

    it('0 leaves the default: the session lives on', async () => {
      assert.ok((await start({ timeout: 0 })).listening);
      await using mta = await MtaSession.open(filter.socket, { timeout: 1500 });
      await mta.connect('client.example');
      await mta.sendRaw(Buffer.from([0, 0, 0, 3, 0x4d]));
      await assert.rejects(mta.waitForClose(), { code: 'ERR_MILTER_TIMEOUT' });
    });
  });
});
