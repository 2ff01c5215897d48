/** `tsmilter doctor`: the way to a socket, who may go it, and whether a filter answers. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Finding } from '#lib/cli/finding.js';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { projectRoot } from '../../tools/project-root.js';
import { CliProcess, tsmilter } from '../support/cli.js';
import { itUnless } from '../support/skip.js';
import { unwatched } from '../support/unwatched.js';

let directory: string;
let queue: string;
let socket: string;
let filter: CliProcess;

const inDirectory = (name: string) => join(directory, name);
const notRoot = process.getuid?.() !== 0 && 'only root may act for other users';

beforeAll(async () => {
  directory = privateDirectory('cli-doctor', 0o755);
  queue = inDirectory('queue');
  mkdirSync(join(queue, 'f'), { recursive: true });
  socket = join(queue, 'f/sock');
  writeFileSync(
    inDirectory('f.cjs'),
    `const Milter = require(${JSON.stringify(projectRoot)});
     module.exports = class extends Milter.Base { eom() { return Milter.ACCEPT; } };`,
  );
  filter = new CliProcess(['run', inDirectory('f.cjs'), '--socket', `unix:${socket}`, '--workers', '1']);
  await filter.said(/listening/);
});
afterAll(async () => {
  await filter[Symbol.asyncDispose]();
  removeDirectory(directory);
});

/** Writes a configuration of Postfix, and examines it; without units of this machine. */
async function doctor(main: string, { chroot = 'n', args = [] as string[] } = {}) {
  const mainCf = inDirectory('main.cf');
  writeFileSync(mainCf, `queue_directory = ${queue}\nmail_owner = nobody\n${main}\n`);
  writeFileSync(inDirectory('master.cf'), `smtp inet n - ${chroot} - - smtpd\n`);
  const files = ['--main-cf', mainCf, '--sendmail-cf', '/nowhere.cf', '--units', '/nowhere'];
  const { status, stdout } = await tsmilter(['doctor', ...args, ...files, '--json']);
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
  expect(status).toBe(ok ? 0 : 1);
  return findings;
}
const find = (findings: readonly Finding[], code: string) =>
  findings.find((finding) => finding.code === code);

describe('a unit that is no file', () => {
  it('is not opened: a named pipe would wait', async () => {
    const units = inDirectory('units');
    mkdirSync(units);
    const pipe = join(units, 'pipe.service');
    execFileSync('mkfifo', [pipe], { env: unwatched });
    const none = ['--main-cf', '/nowhere', '--sendmail-cf', '/nowhere'];
    await using searched = new CliProcess(['doctor', ...none, '--units', units]);
    expect(await searched.ended()).toMatchObject({ status: 0, stdout: expect.not.stringContaining('pipe') });
    await using named = new CliProcess(['doctor', ...none, '--units', '/nowhere', '--unit', pipe]);
    expect(await named.ended()).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^tsmilter doctor: .*pipe\.service: not a regular file\n$/),
    });
  });
});

describe('a way without obstacles', () => {
  it('is said to be one; the addon and the filter answer', async () => {
    chmodSync(socket, 0o777);
    const findings = await doctor('smtpd_milters = unix:f/sock', { args: ['--handler-timeout', '20s'] });
    expect(findings.map(({ level, code }) => `${level} ${code}`)).toStrictEqual([
      'ok installation',
      'ok default-action',
      'ok timeouts',
      'ok access',
      'ok listening',
    ]);
    expect(find(findings, 'listening')?.message).toMatch(/version 6 of the milter protocol/);
  });

  it('is printed for people, with cures and a sum', async () => {
    const args = [
      'doctor',
      `unix:${socket}`,
      '--main-cf',
      '/nowhere',
      '--sendmail-cf',
      '/nowhere',
      '--units',
      '/nowhere',
    ];
    const { status, stdout } = await tsmilter(args);
    expect(stdout).toMatch(/^ok {7}tsmilter [\d.]+: the addon works, with libmilter \d/m);
    expect(stdout).toMatch(/^warning {2}unix:.*no configuration.*\n {9}cure: Sendmail: INPUT_MAIL_FILTER/m);
    expect(stdout).toMatch(/\n0 error, 1 warning, 1 note, 2 ok\n$/);
    expect(status).toBe(0);
  });
});

describe('an obstacle', () => {
  it('a socket that is not there, a directory that is not, a file that is no socket', async () => {
    expect(find(await doctor('smtpd_milters = unix:f/other'), 'socket-missing')).toMatchObject({
      level: 'error',
    });
    expect(find(await doctor('smtpd_milters = unix:g/sock'), 'directory-missing')).toMatchObject({
      message: expect.stringMatching(/directory .*\/g does not exist/),
    });
    expect(find(await doctor('smtpd_milters = unix:../f.cjs'), 'socket-type')).toMatchObject({
      level: 'error',
    });
  });

  it('the chroot of Postfix, from which the path leads elsewhere', async () => {
    const args = [`unix:${socket}`];
    const findings = await doctor(`smtpd_milters = unix:${socket}`, { chroot: 'y', args });
    expect(find(findings, 'no-route')).toBeUndefined();
    expect(find(findings, 'directory-missing')?.cure).toMatch(/cannot reach from its chroot .*fifth column/);
  });

  itUnless(notRoot, 'modes that keep the MTA`s user out, at the socket or above it', async () => {
    chmodSync(socket, 0o660);
    const refused = find(await doctor('smtpd_milters = unix:f/sock'), 'access');
    expect(refused).toMatchObject({
      level: 'error',
      message: expect.stringMatching(/user nobody\) may not connect: .*sock has mode 0660/),
    });
    chmodSync(socket, 0o777);
    chmodSync(join(queue, 'f'), 0o700);
    expect(find(await doctor('smtpd_milters = unix:f/sock'), 'access')?.message).toMatch(
      /queue\/f has mode 0700/,
    );
    chownSync(join(queue, 'f'), 65534, 65534); // nobody's
    expect(find(await doctor('smtpd_milters = unix:f/sock'), 'access')?.level).toBe('ok');
    chownSync(join(queue, 'f'), 0, 0);
    chmodSync(join(queue, 'f'), 0o755);
  });

  it('a directory that all can write to', async () => {
    chmodSync(join(queue, 'f'), 0o777);
    const open = find(await doctor('smtpd_milters = unix:f/sock'), 'directory-writable');
    expect(open).toMatchObject({ level: 'warning', cure: `chmod o-w ${join(queue, 'f')}` });
    const cf = inDirectory('sendmail.cf');
    writeFileSync(cf, `O InputMailFilters=f\nXf, S=local:${socket}, F=T\n`);
    const { stdout } = await tsmilter([
      'doctor',
      '--sendmail-cf',
      cf,
      '--main-cf',
      '/nowhere',
      '--units',
      '/nowhere',
      '--json',
    ]);
    expect(find(JSON.parse(stdout).findings, 'directory-writable')).toMatchObject({ level: 'error' });
    chmodSync(join(queue, 'f'), 0o755);
  });

  it('a server that is no filter', async () => {
    const server = createServer((connection) => connection.resume().end('220 not a milter\r\n')).listen(
      0,
      '127.0.0.1',
    );
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const found = find(await doctor(`smtpd_milters = inet:127.0.0.1:${port}`), 'listening');
    expect(found).toMatchObject({ level: 'error', about: `inet:${port}@127.0.0.1` });
    await new Promise((resolve) => server.close(resolve));
  });
});

it('takes socket and times from a configuration of `tsmilter run`', async () => {
  const config = inDirectory('f.cfg');
  writeFileSync(config, `[milter]\nfilter = f.cjs\nsocket = unix:${socket}\nhandler-timeout = 10s\n`);
  const findings = await doctor('smtpd_milters = unix:f/sock inet:h:1', { args: ['--config', config] });
  expect(find(findings, 'timeouts')).toMatchObject({ level: 'ok' });
  expect(findings.filter(({ code }) => code === 'listening')).toHaveLength(1);
});

it('a socket that cannot be understood is an error of one line', async () => {
  const { status, stdout, stderr } = await tsmilter(['doctor', 'inet:127.0.0.1:8890']);
  expect([status, stdout]).toStrictEqual([1, '']);
  expect(stderr).toMatch(/^tsmilter doctor: "inet:127\.0\.0\.1:8890" .*\n$/);
});
