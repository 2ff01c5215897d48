/** `tsmilter send`: an MTA's side of a filter that runs. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { projectRoot } from '../../tools/project-root.js';
import { CliProcess, TSMILTER, tsmilter } from '../support/cli.js';
import { unwatched } from '../support/unwatched.js';

const FILTER = `
  const Milter = require(${JSON.stringify(projectRoot)});
  module.exports = class Judge extends Milter.Base {
    connect(name, family, address) {
      this.client = [name, address && address[0]].join(' ');
      return Milter.CONTINUE;
    }
    hello(name) {
      if (name === 'unwelcome') return Milter.TEMPFAIL;
      this.client += ' ' + name;
      return Milter.CONTINUE;
    }
    envfrom(...sender) {
      this.sender = sender.join(' ');
      return Milter.CONTINUE;
    }
    envrcpt(recipient) {
      if (!recipient.startsWith('<no')) return Milter.CONTINUE;
      this.setreply('550', '5.1.1', '100%% unknown');
      return Milter.REJECT;
    }
    header(name, value) {
      if (name === 'Subject') this.subject = value;
      return Milter.CONTINUE;
    }
    eom() {
      if (this.subject === 'reject') this.setreply('554', '5.7.1', 'first line', 'second line');
      const verdict = { reject: Milter.REJECT, tempfail: Milter.TEMPFAIL, discard: Milter.DISCARD }[this.subject];
      if (verdict) return verdict;
      if (this.subject === 'crash') process.exit(3);
      if (this.subject === 'hold') this.quarantine('looks odd');
      if (this.subject !== 'change') return Milter.ACCEPT;
      const macros = ['i', 'j', '{auth_authen}', '{tls_version}', '{rcpt_addr}', '{mail_addr}', '{mine}'];
      this.addheader('X-Facts', [this.client, this.sender, ...macros.slice(2).map((name) => this.getsymval(name))].join(', '));
      this.addheader('X-Escape', '\\u001b[2Jboo');
      this.chgheader('Subject', 1, 'changed');
      this.chgfrom('<other@example.com>');
      this.delrcpt('<gone@example.com>');
      this.addrcpt('<new@example.com>');
      this.replacebody('one\\r\\ntwo!\\r\\nthree\\r\\n');
      return Milter.CONTINUE;
    }
  };`;

let directory: string;
let socket: string;
let filter: CliProcess;

const inDirectory = (name: string) => join(directory, name);
function message(name: string, subject: string, header = ''): string {
  writeFileSync(inDirectory(name), `${header}Subject: ${subject}\nX-Odd:tight\n\none\ntwo\nthree\n`);
  return inDirectory(name);
}
const send = (...args: string[]) => tsmilter(['send', socket, ...args]);

beforeAll(async () => {
  directory = privateDirectory('cli-send');
  socket = `unix:${directory}/sock`;
  writeFileSync(inDirectory('judge.cjs'), FILTER);
  filter = new CliProcess(['run', inDirectory('judge.cjs'), '--socket', socket, '--workers', '1']);
  await filter.said(/listening/);
});
afterAll(async () => {
  await filter[Symbol.asyncDispose]();
  removeDirectory(directory);
});

describe('a message', () => {
  it.each([
    ['accept', 0, /accept\.eml: accepted\n$/],
    ['reject', 69, /reject\.eml: rejected: 554-5\.7\.1 first line \/ 554 5\.7\.1 second line\n$/],
    ['tempfail', 75, /tempfail\.eml: deferred \(with the MTA's own reply\)\n$/],
    ['discard', 99, /discard\.eml: discarded\n$/],
    ['hold', 0, /hold\.eml: quarantined: looks odd\n$/],
  ])('%s: exit code %d', async (subject, code, line) => {
    const { status, stdout, stderr } = await send(message(`${subject}.eml`, subject));
    expect([status, stdout, stderr]).toStrictEqual([code, expect.stringMatching(line), '']);
  });

  it('with changes is shown as a diff, with the facts of the session', async () => {
    const file = message('change.eml', 'change', 'Return-Path: <stored@example.com>\n');
    const facts = ['--client', '[2001:db8::7]:99', '--client-name', 'c.example', '--helo', 'h.example'];
    const who = ['--auth', 'alice', '--tls', 'TLSv1.2', '--macro', 'mail:mine=x y'];
    const to = ['--to', 'gone@example.com', '--to', '<stays@example.com> NOTIFY=NEVER'];
    const { status, stdout } = await send(file, ...facts, ...who, ...to);
    expect(stdout).toBe(`${file}: accepted
envelope
@@ -1 +1 @@
-MAIL FROM:<stored@example.com>
-RCPT TO:<gone@example.com>
+MAIL FROM:<other@example.com>
 RCPT TO:<stays@example.com> NOTIFY=NEVER
+RCPT TO:<new@example.com>
headers
@@ -1 +1 @@
 Return-Path: <stored@example.com>
-Subject: change
+Subject: changed
 X-Odd: tight
+X-Facts: c.example 2001:db8::7 h.example, <stored@example.com>, alice, TLSv1.2, stays@example.com, stored@example.com, x y
+X-Escape: \\u001b[2Jboo
body
@@ -1 +1 @@
 one
-two
+two!
 three
`);
    expect(status).toBe(0);
  });

  it('of which a recipient is refused; one that HELO ends', async () => {
    const file = message('plain.eml', 'plain');
    const refused = await send(file, '--to', 'nobody@example.com', '--to', 'b@example.com');
    expect(refused.stdout).toMatch(
      /plain\.eml: accepted\n {2}<nobody@example\.com> rejected: 550 5\.1\.1 100% unknown\nenvelope\n.*\n.*\n-RCPT TO:<nobody@example\.com>\n/,
    );
    const ended = await send(file, '--helo', 'unwelcome');
    expect([ended.status, ended.stdout]).toStrictEqual([75, expect.stringMatching(/deferred at helo/)]);
  });

  it('as JSON, which printing does not break', async () => {
    const { stdout } = await send(message('change.eml', 'change'), '--json', '--helo', '\u{e0001}é');
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ outcome: 'accepted', verdict: 'continue', endedAt: 'eom', reply: null });
    expect(Buffer.from(result.modifications.at(-1).body, 'base64').toString()).toBe(
      'one\r\ntwo!\r\nthree\r\n',
    );
    expect(JSON.stringify(result)).toContain('\u{e0001}é');
  });

  it('of protocol version 2, and from stdin', async () => {
    const options = { input: 'Subject: accept\n\nx\n' };
    const { status, stdout } = await tsmilter(['send', socket, '-', '--protocol-version', '2'], options);
    expect([status, stdout]).toStrictEqual([0, '-: accepted\n']);
  });

  it('in colours on a terminal, unless NO_COLOR is set', () => {
    const file = message('change.eml', 'change');
    const command = `${process.execPath} ${TSMILTER} send ${socket} ${file}`;
    const onTerminal = (env: NodeJS.ProcessEnv) =>
      execFileSync('script', ['-qec', command, '/dev/null'], {
        encoding: 'utf8',
        env: { PATH: process.env.PATH, ...env },
      });
    expect(onTerminal({ TERM: 'xterm' })).toContain('\u001b[32m+Subject: changed\u001b[39m');
    expect(onTerminal({ TERM: 'xterm' })).toContain('X-Escape: \\u001b[2Jboo');
    expect(onTerminal({ TERM: 'xterm', NO_COLOR: '1' })).not.toContain('\u001b');
  });
});

describe('several messages', () => {
  it('from files, a directory and a mailbox: a line each, a summary, the exit code of the worst', async () => {
    mkdirSync(inDirectory('all/cur'), { recursive: true });
    message('all/cur/1', 'accept');
    message('all/cur/2', 'discard');
    message('all/.hidden', 'reject');
    const mbox =
      'From a@b Sat\nSubject: tempfail\n\n>From inside\n\nFrom c@d Sun\r\nSubject: accept\r\n\r\nx\r\n';
    writeFileSync(inDirectory('box'), mbox);
    const { status, stdout, stderr } = await send(inDirectory('all'), inDirectory('box'));
    const [one, two, three, four, summary, times] = stdout.split('\n');
    expect([one, two]).toStrictEqual([
      expect.stringMatching(/cur\/1: accepted$/),
      expect.stringMatching(/cur\/2: discarded$/),
    ]);
    expect([three, four]).toStrictEqual([
      expect.stringMatching(/box:1: deferred/),
      expect.stringMatching(/box:2: accepted$/),
    ]);
    expect(summary).toBe('4 messages: 2 accepted, 1 discarded, 1 deferred');
    expect(times).toMatch(/^time for each: median [\d.]+ ms/);
    expect([status, stderr]).toStrictEqual([75, '']);
  });

  it('show their progress on a terminal', () => {
    mkdirSync(inDirectory('many'));
    message('many/1', 'accept');
    const command = `${process.execPath} ${TSMILTER} send ${socket} ${inDirectory('many')} ${inDirectory('many')}`;
    const shown = execFileSync('script', ['-qec', command, '/dev/null'], {
      encoding: 'utf8',
      env: unwatched,
    });
    expect(shown).toContain('[###############               ] 50 %');
  });

  it('go on after one at which the filter ended; a filter that is not there ends it', async () => {
    await using doomed = new CliProcess([
      'run',
      inDirectory('judge.cjs'),
      '--socket',
      `${socket}2`,
      '--workers',
      '1',
    ]);
    await doomed.said(/listening/);
    const files = [message('crash.eml', 'crash'), message('accept.eml', 'accept')];
    const { status, stdout, stderr } = await tsmilter(['send', `${socket}2`, ...files]);
    // process.exit in a worker ends the worker alone, and its session gets a temporary failure.
    expect(stdout).toMatch(/crash\.eml: deferred/);
    expect(stdout).toMatch(/^2 messages: /m);
    expect([status, stderr]).toStrictEqual([75, '']);
    const absent = await tsmilter(['send', `unix:${directory}/absent`, ...files]);
    expect(absent).toStrictEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^tsmilter send: \S+absent: there is no such socket; start the filter, or correct the path\n$/,
      ),
    });
  });
});

it.each([
  [['absent.eml'], 1, /^tsmilter send: absent\.eml: there is no such file or directory$/m],
  [[], 2, /missing required argument 'message'/],
  [['x', '--client', 'nowhere'], 2, /Write IP, IP:PORT/],
  [['x', '--macro', 'bogus:a=b'], 2, /with one of the steps connect, helo/],
  [['x', '--protocol-version', '7'], 2, /from 2 to 6/],
])('%j ends with %d and one line', async (args, code, line) => {
  const { status, stdout, stderr } = await send(...args);
  expect([status, stdout, stderr]).toStrictEqual([code, '', expect.stringMatching(line)]);
  expect(stderr.trimEnd()).not.toContain('\n');
});
