/** `tsmilter run`: a filter from a module, with options and a configuration file, and restarts in development. */
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MtaSession } from 'tsmilter/testing';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { projectRoot } from '../../tools/project-root.js';
import { CliProcess, tsmilter } from '../support/cli.js';

const MESSAGE = { sender: '<a@client.example>', recipients: ['<b@example.com>'], body: 'hi\r\n' };

let directory: string;
let socket: string;
let filter: string;

/** A module whose filter stamps each message with a text. */
const stamping = (text: string) => `
  const Milter = require(${JSON.stringify(projectRoot)});
  exports.Stamp = class Stamp extends Milter.Base {
    eom() {
      if (${JSON.stringify(text)} === 'fail') throw new Error('failed');
      this.addheader('X-Stamp', ${JSON.stringify(text)});
      return Milter.ACCEPT;
    }
  };`;

beforeAll(() => {
  directory = privateDirectory('cli-run');
  socket = `unix:${directory}/sock`;
  filter = join(directory, 'stamp.cjs');
  writeFileSync(filter, stamping('one'));
});
afterAll(() => removeDirectory(directory));

async function verdictAt(spec: string) {
  await using session = await MtaSession.open(spec);
  await session.connect('client.example');
  await session.helo('client.example');
  return await session.message(MESSAGE);
}

describe('tsmilter run', () => {
  it('runs a filter, says where it listens, and stops with 0', async () => {
    await using run = new CliProcess(['run', filter, '--socket', socket, '--mode', '0640', '--workers', '2']);
    await run.said(/info {2}stamp: started .*workers=2$/m);
    await run.said(/info {2}stamp: listening socket=unix:.*\/sock$/m);
    expect(statSync(join(directory, 'sock')).mode & 0o777).toBe(0o640);
    const { verdict, modifications } = await verdictAt(socket);
    expect([verdict, modifications]).toStrictEqual([
      'accept',
      [{ type: 'addheader', name: 'X-Stamp', value: 'one' }],
    ]);
    expect(await run.stop()).toMatchObject({
      status: 0,
      stdout: '',
      stderr: expect.stringMatching(/stamp: stopped sessions=1\n$/),
    });
  });

  it('names the port that the system chose', async () => {
    await using run = new CliProcess(['run', filter, '--socket', 'inet:0@127.0.0.1', '--workers', '1']);
    const [, port] = await run.said(/stamp: listening socket=inet:0@127\.0\.0\.1 port=(\d+)$/m);
    expect((await verdictAt(`inet:${port}@127.0.0.1`)).verdict).toBe('accept');
  });

  it.each(['option', 'file'])('serves metrics, asked for by an %s', async (kind) => {
    const config = join(directory, 'metrics.cfg');
    writeFileSync(config, '[milter]\nmetrics = inet:0\n');
    const asked = kind === 'file' ? ['--config', config] : ['--metrics', 'inet:0'];
    await using run = new CliProcess(['run', filter, '--socket', socket, '--workers', '1', ...asked]);
    const [, url] = await run.said(/listening .*metrics=(http:\S+)/m);
    expect((await verdictAt(socket)).verdict).toBe('accept');
    const response = await fetch(url as string);
    expect([response.status, await response.text()]).toStrictEqual([
      200,
      expect.stringMatching(/^tsmilter_sessions_total 1$/m),
    ]);
    expect((await run.stop()).status).toBe(0);
  });

  it('says nothing with --log-level none, but for a socket that is open to all hosts', async () => {
    const args = ['--workers', '1', '--log-level', 'none'];
    await using run = new CliProcess(['run', filter, '--socket', 'inet:0', ...args]);
    await run.said(/^inet:0 is open to all hosts: write inet:0@127\.0\.0\.1 unless/m);
    await using silent = new CliProcess(['run', filter, '--socket', socket, ...args]);
    await using session = await MtaSession.open(socket, { retry: true, timeout: 30_000 });
    await session.close();
    expect(await silent.stop()).toStrictEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('reads a file, whose settings options override', async () => {
    const failing = join(directory, 'failing');
    mkdirSync(failing);
    writeFileSync(join(failing, 'f.cjs'), stamping('fail'));
    const config = join(failing, 'filter.cfg');
    writeFileSync(
      config,
      `[milter]\nfilter = f.cjs\nname = configured\nsocket = unix:${failing}/other\nmode = 600\nworkers = 1\n` +
        'on-error = reject\nhandler-timeout = 30s\nimmediate = no\nlog-format = json\n[its-own]\nmode = secret\n',
    );
    await using run = new CliProcess(['run', '--config', config, '--socket', socket]);
    await run.said(/"name":"configured".*"socket":"unix:.*cli-run[^"]*\/sock".*"msg":"listening"/);
    expect(statSync(join(directory, 'sock')).mode & 0o777).toBe(0o600);
    const { verdict, response } = await verdictAt(socket);
    expect([verdict, response.reply?.text]).toStrictEqual([
      'reject',
      '554 5.3.0 configured: untrapped exception',
    ]);
  });

  it('--watch starts the filter again when its file changes, and after a failed start', async () => {
    await using run = new CliProcess(['run', filter, '--socket', socket, '--workers', '1', '--watch']);
    await run.said(/stamp: listening/);
    writeFileSync(join(directory, 'notes.txt'), 'not a source');
    writeFileSync(filter, 'class {');
    await run.said(/^stamp\.cjs has changed: starting again$/m);
    await run.said(/^tsmilter run: worker 1 .*stamp\.cjs.*SyntaxError.*\nwaiting for a change/m);
    writeFileSync(filter, stamping('two'));
    await run.said(/stamp: listening/, 2);
    expect((await verdictAt(socket)).modifications).toMatchObject([{ value: 'two' }]);
    expect(run.stderr).not.toContain('notes.txt');
    expect((await run.stop()).status).toBe(0);
    writeFileSync(filter, stamping('one'));
  });

  it('--watch starts the filter again when its configuration changes, however the file is named', async () => {
    const write = (name: string) =>
      writeFileSync(
        join(directory, 'watched.cfg'),
        `[milter]\nsocket = ${socket}\nname = ${name}\nworkers = 1\n`,
      );
    write('first');
    const args = ['run', filter, '--config', './watched.cfg', '--watch'];
    await using run = new CliProcess(args, { cwd: directory });
    await run.said(/first: listening/);
    write('second');
    await run.said(/^watched\.cfg has changed: starting again$/m);
    await run.said(/second: listening/);
    expect((await run.stop()).status).toBe(0);
  });

  it.each([
    ['its terminal is closed', 'SIGHUP', 0],
    ['it fails itself', 'SIGUSR2', 1],
  ] as const)('--watch ends the filter if %s', async (_, signal, status) => {
    const failing = join(directory, 'failing.cjs');
    writeFileSync(
      failing,
      `if (process.argv.includes('--watch')) process.once('SIGUSR2', () => { throw new Error('it fails'); });`,
    );
    const env = { ...process.env, NODE_OPTIONS: `--require=${failing}` };
    const args = ['run', filter, '--socket', socket, '--workers', '1', '--watch'];
    await using run = new CliProcess(args, { env });
    await run.said(/stamp: listening/);
    // The output of both has ended.
    const ended = await run.stop(signal);
    expect(ended).toMatchObject({ status, stderr: expect.stringMatching(/stamp: stopped/) });
    expect(existsSync(socket.replace(/^unix:/, ''))).toBe(false);
  });

  it.each([
    [['--socket', 'unix:/x'], 2, /^tsmilter run: name the filter's module/],
    [['absent.js', '--socket', 'unix:/x'], 2, /^tsmilter run: absent\.js: there is no such file/],
    [['FILTER'], 2, /^tsmilter run: say where to listen/],
    [['FILTER', '--socket', 'unix:/nowhere/sock'], 1, /^tsmilter run: .*\/nowhere.* does not exist/],
    [['FILTER', '--socket', 'unix:/x', '--mode', '888'], 2, /'--mode <octal>' argument '888' is invalid/],
    [['FILTER', '--socket', 'unix:/x', '--drain-timeout', '10'], 2, /Write a time with its unit/],
    [['FILTER', '--sokcet', 'unix:/x'], 2, /--sokcet.*Did you mean --socket/],
    [
      ['FILTER', '--socket', 'inet:127.0.0.1:1'],
      1,
      /libmilter has the port first: write inet:1@127\.0\.0\.1/,
    ],
    [
      ['FILTER', '--socket', 'unix:/x', '--metrics', 'inet:x'],
      2,
      /Write inet:port, inet:port@address or unix/,
    ],
    [['.', '--socket', 'unix:/x'], 2, /^tsmilter run: \.: it is not a file/],
    [['--config', '/nowhere.cfg'], 2, /\/nowhere\.cfg does not exist/],
  ])('%j ends with %d and one line', async (args, code, message) => {
    const given = args.map((arg) => (arg === 'FILTER' ? filter : arg));
    const { status, stdout, stderr } = await tsmilter(['run', ...given]);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect([status, stdout]).toStrictEqual([code, '']);
  });

  it.each([
    ['mode = 999', /bad\.cfg:2: mode = 999: Write permissions in octal/],
    ['sokcet = unix:/x', /bad\.cfg:2: sokcet is not a setting; did you mean socket\?/],
    ['watch = yes', /watch is not a setting/],
  ])('a file with %j is refused', async (line, message) => {
    const config = join(directory, 'bad.cfg');
    writeFileSync(config, `[milter]\n${line}\n`);
    const { status, stderr } = await tsmilter(['run', filter, '--config', config]);
    expect([status, stderr]).toStrictEqual([2, expect.stringMatching(message)]);
  });

  it('names the place of an error in the filter, without a stack', async () => {
    const broken = join(directory, 'broken.mjs');
    writeFileSync(broken, '\nthrow new TypeError("boo\\u001b[31m");\n');
    const { status, stderr } = await tsmilter(['run', broken, '--socket', socket, '--workers', '1']);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^tsmilter run: worker 1 .*TypeError.*boo\\u001b\[31m \(\/.*broken\.mjs:2:7\)\n$/);
  });
});
