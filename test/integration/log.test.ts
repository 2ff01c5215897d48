/** The log of a running filter, as stderr gets it. */

import { fork } from 'node:child_process';
import { openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { within } from '../../tools/wait.js';
import { LENGTH, LINES } from '../fixtures/stalled-lines.js';
import { expectThat } from '../support/expect.js';
import { FilterProcess } from '../support/filter-process.js';

const FORGERY =
  'x\n2026-01-01T00:00:00.000Z info  logged: message verdict=accept\r\u2028\u0085\u001b[2J\u202e';

/** One session with four messages: accepted, failed, refused, given up. */
async function drive(filter: FilterProcess): Promise<void> {
  await filter.request('hook', false);
  const mta = await filter.session({
    macros: { eom: { i: '4XyZ' }, data: { i: '4XyZ' }, rcpt: { i: '4XyZ' } },
  });
  await mta.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 40000 });
  await mta.helo('client.example');
  for (const [name, value] of [
    ['Subject', 'fine'],
    ['X-Fail', FORGERY],
  ] as const) {
    await mta.mail('<alice@client.example>');
    await mta.rcpt('<bob@example.com>');
    await mta.rcpt('<nobody@example.com>');
    await mta.data();
    await mta.header(name, value);
    await mta.eoh();
    await mta.eom();
  }
  await mta.mail(`<${FORGERY}@client.example>`);
  await mta.rcpt('<bob@example.com>');
  await mta.abort();
  await mta.close();
  await filter.stop();
}

/** The lines of the log, without those of an error's stack. */
const linesOf = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('    '));

const MESSAGE =
  /queueId=4XyZ client=client\.example\[192\.0\.2\.1\] from=<alice@client\.example> to=<bob@example\.com>,<nobody@example\.com> refused=1 verdict=accept step=eom changes=addheader:2 ms=[\d.]+$/;

describe('the log of a filter', () => {
  it('has a line for start, listening, each message, a failed handler, and the stop', async () => {
    await using filter = await FilterProcess.start('logged', { name: 'logged' });
    await drive(filter);
    const lines = linesOf(filter.stderr);
    const texts = lines.map((line) => {
      expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info |warn |error) logged: /);
      return line.slice(31 + 'logged: '.length);
    });
    expectThat(texts.length, filter.stderr).toBe(10);
    expect(texts[0]).toMatch(/^started tsmilter=[\d.]+ libmilter=[\d.]+ node=[\d.]+ pid=\d+$/);
    expect(texts[1]).toBe(`listening socket=${filter.socket}`);
    expect(texts[2]).toBe('from connect session=1 client=client.example[192.0.2.1]');
    expect(texts[3]).toBe('from eom session=1 client=client.example[192.0.2.1] queueId=4XyZ n=1');
    expect(texts[4]).toMatch(MESSAGE);
    expect(texts[5]).toMatch(
      /^untrapped exception in header err="Error: x" session=1 client=client\.example\[192\.0\.2\.1\] queueId=4XyZ step=header$/,
    );
    expect(texts[6]).toMatch(
      /verdict=tempfail step=header reply="451 4\.3\.0 logged: untrapped exception" ms=/,
    );
    expect(texts[7]).toMatch(
      /from="<x\\\\n2026.*\\\\u202e@client\.example>" to=<bob@example\.com> verdict=abort /,
    );
    expect(texts.slice(8)).toStrictEqual(['stopping', 'stopped sessions=1']);
    expectThat(/[^\n\t -~]/.test(filter.stderr), 'unprintable characters').toBe(false);
  });

  it('tells the verdict that the MTA got, not that of a handler which was too late', async () => {
    await using filter = await FilterProcess.start('logged', {
      name: 'logged',
      options: { handlerTimeout: 100 },
    });
    const mta = await filter.session();
    const { verdict } = await mta.connect('block-3000.example', { family: 'unknown' });
    expect(verdict).toBe('tempfail');
    await mta.close();
    await filter.request('sync');
    await filter.stop();
    const verdicts = linesOf(filter.stderr).filter((line) => line.includes('verdict='));
    expectThat(verdicts.length, filter.stderr).toBe(1);
    expect(verdicts[0]).toMatch(/ verdict=tempfail step=connect$/);
  });

  it('is JSON as pino writes it if asked', async () => {
    await using filter = await FilterProcess.start('logged', {
      name: 'logged',
      options: { logFormat: 'json' },
    });
    await drive(filter);
    const entries = filter.stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expectThat(/[^\n -~]/.test(filter.stderr), 'unprintable characters').toBe(false);
    expect(entries.map(({ msg, level }) => [msg, level])).toStrictEqual([
      ['started', 30],
      ['listening', 30],
      ['from connect', 30],
      ['from eom', 40],
      ['message', 30],
      ['untrapped exception in header', 50],
      ['message', 30],
      ['message', 30],
      ['stopping', 30],
      ['stopped', 30],
    ]);
    expect(entries[4]).toMatchObject({ name: 'logged', queueId: '4XyZ', verdict: 'accept', refused: 1 });
    expect(entries[5]).toMatchObject({ queueId: '4XyZ', err: { type: 'Error', message: FORGERY } });
  });

  it('goes to a pino logger, with its children in handlers', async () => {
    await using filter = await FilterProcess.start('logged', { name: 'logged', options: { pino: 'info' } });
    await drive(filter);
    const entries = linesOf(filter.stderr).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(entries.map(({ msg }) => msg)).toContain('from connect');
    const message = entries.find(({ msg }) => msg === 'message');
    expect(message).toMatchObject({
      queueId: '4XyZ',
      changes: ['addheader:2'],
      hostname: expect.any(String),
    });
    expect(entries.find(({ msg }) => msg === 'from eom')).toMatchObject({ level: 40, queueId: '4XyZ', n: 1 });
    expect(entries.find(({ level }) => level === 50)).toMatchObject({
      step: 'header',
      err: { type: 'Error', message: FORGERY },
    });
  });

  it.each([
    ['lines', {}],
    ['pino', { pino: 'info' }],
  ])('of workers is written by the main thread: %s', async (_, options) => {
    await using filter = await FilterProcess.start('logged', {
      name: 'logged',
      options: { workers: 2, ...options },
    });
    const sessions = Array.from({ length: 6 }, async () => {
      const mta = await filter.greeted();
      for (let message = 0; message < 10; message++) {
        await mta.mail('<alice@client.example>');
        await mta.rcpt('<bob@example.com>');
        await mta.eom();
      }
      await mta.close();
    });
    await Promise.all(sessions);
    await filter.stop();
    const messages = linesOf(filter.stderr).filter((line) => /message"|: message /.test(line));
    expectThat(messages.length, filter.stderr).toBe(60);
    expect(new Set(messages.map((line) => /session[=":]+([\d-]+)/.exec(line)?.[1])).size).toBe(6);
    for (const line of messages)
      expect(line).toMatch(/^(\{"level":30,.*"writtenBy":0,.*\}|\d{4}-.* ms=[\d.]+)$/);
  });

  it('a worker that exits has sent what it logged', async () => {
    await using filter = await FilterProcess.start('logged', { name: 'logged', options: { workers: 1 } });
    await filter.request('hook', false);
    const mta = await filter.greeted();
    await mta.mail('<alice@client.example>');
    await mta.rcpt('<bob@example.com>');
    await mta.header('X-Exit', 'now');
    await mta.eoh();
    await mta.eom().catch(() => {});
    mta.destroy();
    await filter.stop();
    expect(filter.stderr).toMatch(/from connect session=\d+-1 client=/);
    expect(filter.stderr).toMatch(
      /untrapped exception in a worker err="MilterError: worker 1 \(thread \d+, .* exited with code 7/,
    );
  });

  it('has journald priorities if stderr is the journal, and only then', async () => {
    const directory = privateDirectory('journal');
    try {
      const file = join(directory, 'stderr');
      const fd = openSync(file, 'a');
      const { dev, ino } = statSync(file, { bigint: true });
      const texts: string[] = [];
      for (const JOURNAL_STREAM of [`${dev}:${ino}`, `${dev}:${ino + 1n}`]) {
        const child = fork(
          join(__dirname, '../fixtures/logged.js'),
          [`unix:${directory}/sock`, 'logged', '{}'],
          {
            stdio: ['ignore', 'ignore', fd, 'ipc'],
            env: { ...process.env, JOURNAL_STREAM },
          },
        );
        const listening = new Promise<void>((resolve) =>
          child.on('message', (message: { phase?: string }) => message.phase === 'listening' && resolve()),
        );
        await within('the filter to listen', listening);
        child.kill('SIGTERM');
        await within('the filter to stop', new Promise((resolve) => child.once('exit', resolve)));
        texts.push(readFileSync(file, 'utf8'));
      }
      const [first = '', both = ''] = texts;
      expect(first).toMatch(
        /^<6>logged: started .*\n<6>logged: listening .*\n<6>logged: stopping\n<6>logged: stopped sessions=0\n$/,
      );
      expect(both.slice(first.length)).toMatch(/^\d{4}-/);
    } finally {
      removeDirectory(directory);
    }
  });

  it('a closed stderr does not disturb the filter', async () => {
    await using filter = await FilterProcess.start('logged', { name: 'logged' });
    filter.child.stderr?.destroy();
    const mta = await filter.greeted();
    for (let message = 0; message < 3; message++) {
      await mta.mail('<alice@client.example>');
      await mta.rcpt('<bob@example.com>');
      expect((await mta.eom()).verdict).toBe('accept');
    }
    await mta.close();
    await filter.stop();
  });

  it('false: nothing is written but errors', async () => {
    await using filter = await FilterProcess.start('logged', { name: 'quiet', options: { logger: false } });
    await drive(filter);
    expect(linesOf(filter.stderr)).toStrictEqual(['quiet: untrapped exception in header: Error: x']);
  });

  it.each([
    ['in one thread', {}],
    ['in workers', { workers: 1 }],
  ])('silent: not even errors are written, %s', async (_, options) => {
    await using filter = await FilterProcess.start('logged', { options: { pino: 'silent', ...options } });
    await drive(filter);
    expect(filter.stderr).toBe('');
  });

  it.each([
    ['is read at last: the lines that were lost are counted', true],
    ['is never read: the process ends all the same', false],
  ])('a stderr that %s', async (_, isRead) => {
    const child = fork(join(__dirname, '../fixtures/stalled-log.js'), [], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const closed = new Promise((resolve) => child.once('close', (code) => resolve(code)));
    try {
      await within('the lines', new Promise((resolve) => child.once('message', resolve)));
      let text = '';
      if (isRead) {
        const lost = new Promise<void>((resolve) =>
          child.stderr?.setEncoding('latin1').on('data', (data: string) => {
            text += data;
            if (/^lost \d+\n/m.test(text.slice(-LENGTH))) resolve();
          }),
        );
        await within('the count', lost);
      }
      child.send('end');
      expect(await within('the end', closed)).toBe(0);
      const [, lost] = /^lost (\d+)$/m.exec(text) ?? [];
      if (isRead) expect(text.split('\n').length - 2 + Number(lost)).toBe(LINES);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
