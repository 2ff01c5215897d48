/** The metrics and the health of a running filter, as a client of its HTTP server gets them. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { load } from '../../tools/load.js';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { until } from '../../tools/wait.js';
import { expectThat } from '../support/expect.js';
import { FilterProcess } from '../support/filter-process.js';

/** A filter whose metrics are on a unix socket beside its own. */
class Measured {
  constructor(
    readonly filter: FilterProcess,
    readonly path: string,
    readonly directory: string,
  ) {}

  static async start(options: object = {}): Promise<Measured> {
    const directory = privateDirectory('metrics');
    const path = join(directory, 'metrics');
    const filter = await FilterProcess.start('measured', {
      options: { metrics: `unix:${path}`, ...options },
      fork: { env: { ...process.env, MEASURED_HOLD: join(directory, 'hold') } },
    });
    return new Measured(filter, path, directory);
  }

  /** Workers that begin wait until `release()`. */
  hold(): void {
    writeFileSync(join(this.directory, 'hold'), '');
  }
  release(): void {
    rmSync(join(this.directory, 'hold'));
  }

  get(path: string, method = 'GET'): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      request({ socketPath: this.path, path, method }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      })
        .on('error', reject)
        .end();
    });
  }

  /** The values of a metric by its labels; '' for none. */
  async values(name: string): Promise<Record<string, number>> {
    const { status, text } = await this.get('/metrics');
    expectThat(status, text).toBe(200);
    const lines = text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm);
    return Object.fromEntries(
      Array.from(lines)
        .filter(([, found]) => found === name)
        .map(([, , labels = '', value]) => [labels.replaceAll('"', ''), Number(value)]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.filter[Symbol.asyncDispose]();
    removeDirectory(this.directory);
  }
}

const CONNECTIONS = 8;
const MESSAGES = 10_000;
const BODY = 100;

describe.each([
  ['one thread', {}],
  ['workers', { workers: 2 }],
])('the metrics of %s', (_, options) => {
  it('agree with what the MTA has sent and got: 10,000 messages', async () => {
    await using measured = await Measured.start(options);
    const sent = await load(measured.filter.socket, {
      connections: CONNECTIONS,
      messages: MESSAGES / CONNECTIONS,
      headers: 3,
      body: BODY,
      pause: 0,
    });
    expect(sent).toMatchObject({ messages: MESSAGES, failed: 0 });
    await until(
      'all sessions closed',
      async () => (await measured.values('tsmilter_sessions_open'))[''] === 0,
    );
    const values = async (name: string) => measured.values(`tsmilter_${name}`);
    expect(await values('messages_total')).toStrictEqual({ 'verdict=continue,step=eom': MESSAGES });
    expect(await values('recipients_total')).toStrictEqual({ 'verdict=taken': MESSAGES });
    expect(await values('changes_total')).toStrictEqual({ 'action=addheader': MESSAGES });
    expect(await values('body_bytes_total')).toStrictEqual({ '': MESSAGES * BODY });
    expect(await values('handler_seconds_count')).toMatchObject({
      'step=envrcpt': MESSAGES,
      'step=header': 3 * MESSAGES,
      'step=eom': MESSAGES,
    });
    expect(await values('dns_lookups_total')).toMatchObject({ 'result=cached': expect.any(Number) });
    const lookups = Object.values(await values('dns_lookups_total')).reduce((sum, count) => sum + count, 0);
    expect(lookups).toBe(3 * MESSAGES);
    const [sessions] = Object.values(await values('sessions_total'));
    expect(sessions).toBe((await measured.filter.request<[number, number]>('diag'))[0]);
    await measured.filter.stop();
  });

  it('tell verdicts by step, and open sessions', async () => {
    await using measured = await Measured.start(options);
    const mta = await measured.filter.greeted();
    await mta.mail('<a@a.example>');
    await mta.rcpt('<nobody@b.example>');
    await mta.rcpt('<b@b.example>');
    await mta.header('X-Reject', 'yes');
    await mta.eoh();
    expect((await mta.eom()).verdict).toBe('reject');
    expect(await measured.values('tsmilter_sessions_open')).toStrictEqual({ '': 1 });
    expect(await measured.values('tsmilter_messages_total')).toStrictEqual({
      'verdict=reject,step=header': 1,
    });
    expect(await measured.values('tsmilter_recipients_total')).toStrictEqual({
      'verdict=taken': 1,
      'verdict=refused': 1,
    });
    await mta.close();
    await measured.filter.stop();
  });
});

describe('health', () => {
  it('is good while the filter serves; anything else is not found', async () => {
    await using measured = await Measured.start();
    expect(await measured.get('/healthz')).toStrictEqual({ status: 200, text: 'ok\n' });
    expect(await measured.get('/readyz')).toStrictEqual({ status: 200, text: 'ok\n' });
    expect((await measured.get('/')).status).toBe(404);
    expect((await measured.get('/metrics', 'POST')).status).toBe(405);
    await measured.filter.stop();
  });

  it('tells of a blocked event loop while it is blocked, and when it runs again', async () => {
    await using measured = await Measured.start();
    const mta = await measured.filter.greeted();
    await mta.mail('<a@a.example>');
    await mta.rcpt('<b@b.example>');
    await mta.header('X-Block', '8000');
    await mta.eoh();
    const ended = mta.eom();
    await until('the filter unhealthy', async () => (await measured.get('/healthz')).status === 503, 30_000);
    expect((await measured.get('/readyz')).text).toMatch(/the event loop has been blocked/);
    expect((await ended).verdict).toBe('continue');
    await until('the filter healthy', async () => (await measured.get('/healthz')).status === 200);
    await mta.close();
    await measured.filter.stop();
  });

  it('is not ready while it stops', async () => {
    await using measured = await Measured.start();
    const mta = await measured.filter.greeted();
    await mta.mail('<a@a.example>');
    await mta.rcpt('<b@b.example>');
    const other = await measured.filter.greeted();
    const stopped = measured.filter.stop();
    await until('not ready', async () => (await measured.get('/readyz')).status === 503);
    expect((await measured.get('/readyz')).text).toMatch(/the filter is stopping/);
    expect((await measured.get('/healthz')).status).toBe(200);
    await other.mail('<a@a.example>');
    expect((await other.rcpt('<b@b.example>')).verdict).toBe('tempfail');
    expect(await measured.values('tsmilter_interrupted_total')).toStrictEqual({ 'reason=stopping': 1 });
    other.destroy();
    await mta.eom();
    await mta.close();
    await stopped;
  });

  it('tells that no worker takes sessions; what a dead worker has counted is kept', async () => {
    await using measured = await Measured.start({ workers: 1 });
    const first = await measured.filter.greeted();
    await first.mail('<a@a.example>');
    await first.rcpt('<b@b.example>');
    expect((await first.eom()).verdict).toBe('continue');
    await first.mail('<a@a.example>');
    await first.rcpt('<b@b.example>');
    await first.header('X-Exit', 'yes');
    await first.eoh();
    measured.hold();
    await first.eom().catch(() => {});
    await until('no worker', async () => (await measured.get('/readyz')).status === 503);
    expect((await measured.get('/readyz')).text).toMatch(/no worker takes sessions/);
    expect((await measured.get('/healthz')).status).toBe(200); // the worker is being replaced
    const released = { 'reason=released': 1 };
    expect(await measured.values('tsmilter_interrupted_total')).toStrictEqual(released);
    // The session has lost its thread: each of its commands is refused for now.
    await first.mail('<a@a.example>');
    expect((await first.rcpt('<b@b.example>')).verdict).toBe('tempfail');
    first.destroy();
    expect(await measured.values('tsmilter_interrupted_total')).toStrictEqual({
      ...released,
      'reason=unavailable': 1,
    });
    measured.release();
    await until('a new worker', async () => (await measured.get('/readyz')).status === 200);
    expect(await measured.values('tsmilter_worker_deaths_total')).toStrictEqual({ '': 1 });
    expect(await measured.values('tsmilter_workers')).toStrictEqual({ '': 1 });
    expect(await measured.values('tsmilter_sessions_open')).toStrictEqual({ '': 0 });
    expect(await measured.values('tsmilter_messages_total')).toMatchObject({
      'verdict=continue,step=eom': 1,
    });
    await measured.filter.stop();
  });
});

describe('the server', () => {
  it('on a port that is in use fails the start', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    try {
      await using filter = await FilterProcess.start('measured', {
        options: { metrics: `inet:${port}` },
        until: 'failed',
      });
      expect(await filter.phase('failed')).toMatchObject({ name: 'MilterError', code: 'EADDRINUSE' });
    } finally {
      taken.close();
    }
  });

  it('a file that is no socket is left alone', async () => {
    const directory = privateDirectory('metrics');
    const path = join(directory, 'important');
    writeFileSync(path, 'kept');
    try {
      await using filter = await FilterProcess.start('measured', {
        options: { metrics: `unix:${path}` },
        until: 'failed',
      });
      expect(await filter.phase('failed')).toMatchObject({ name: 'MilterError', code: 'EADDRINUSE' });
      expect(readFileSync(path, 'utf8')).toBe('kept');
    } finally {
      removeDirectory(directory);
    }
  });

  it('answers for the health while others hold connections: idle, in a request, or without reading', async () => {
    await using measured = await Measured.start();
    const held = Array.from({ length: 48 }, (_, index) => {
      const client = connect(measured.path);
      client.on('error', () => {});
      client.write(
        ['', 'GET /metrics HTTP', 'GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(100)][index % 3] ?? '',
      );
      return client.pause();
    });
    for (const path of ['/healthz', '/readyz'])
      expect(await measured.get(path)).toStrictEqual({ status: 200, text: 'ok\n' });
    for (const client of held) client.destroy();
    await measured.filter.stop();
  });

  it.each([0, 1])(
    'is apart from what the application and its workers tell each other: %i workers',
    async (workers) => {
      await using measured = await Measured.start(workers ? { workers } : {});
      expect((await measured.get('/metrics')).status).toBe(200);
      expect(await measured.filter.request('told')).toStrictEqual([]);
      await measured.filter.stop();
    },
  );

  it('takes over the socket file of one that was killed', async () => {
    await using first = await Measured.start();
    first.filter.child.kill('SIGKILL');
    await first.filter.exited();
    const options = { metrics: `unix:${first.path}` };
    await using filter = await FilterProcess.start('measured', { options });
    const second = new Measured(filter, first.path, first.directory);
    expect((await second.get('/healthz')).status).toBe(200);
    await filter.stop();
  });
});
