/** `tsmilter replay`, `tsmilter inspect` and `tsmilter completion`. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Base, type CONTINUE } from 'tsmilter';
import { FailedMessages } from 'tsmilter/archive';
import { saveFailed } from 'tsmilter/message';
import { MtaSession, TestCtx } from 'tsmilter/testing';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { projectRoot } from '../../tools/project-root.js';
import { CliProcess, tsmilter } from '../support/cli.js';
import { unwatched } from '../support/unwatched.js';

let directory: string;
const inDirectory = (name: string) => join(directory, name);

beforeAll(() => {
  directory = privateDirectory('cli-replay');
  writeFileSync(
    inDirectory('filter.mjs'),
    `import * as Milter from 'file://${projectRoot}/dist/index.js';
     export class Filter extends Milter.Base {
       envfrom(sender) {
         this.facts = [sender, this.getsymval('{auth_authen}'), this.getsymval('i')].join(' ');
         return Milter.CONTINUE;
       }
       header(name, value) {
         if (value === 'hold') this.held = true;
         return value === 'spam' ? Milter.REJECT : Milter.CONTINUE;
       }
       eom() {
         this.addheader('X-Facts', this.facts);
         if (this.held) this.quarantine('odd');
         return Milter.ACCEPT;
       }
     }`,
  );
  mkdirSync(inDirectory('spam'));
  for (const name of ['spam/1', 'spam/2']) writeFileSync(inDirectory(name), 'Subject: spam\n\nx\n');
  writeFileSync(inDirectory('ham.eml'), 'Subject: ham\n\nx\n');
});
afterAll(() => removeDirectory(directory));

describe('tsmilter replay', () => {
  const replay = (...args: string[]) => tsmilter(['replay', inDirectory('filter.mjs'), ...args]);

  it('shows what becomes of a message, with the facts of the options', async () => {
    const args = ['--auth', 'alice', '--mta', 'sendmail', '--queue-id', 'Q1', '--from', 'a@example.com'];
    const { status, stdout } = await replay(inDirectory('ham.eml'), ...args);
    expect(stdout).toMatch(
      /ham\.eml: accepted\nheaders\n@@ .*\n Subject: ham\n\+X-Facts: <a@example\.com> alice Q1\n$/,
    );
    expect(status).toBe(0);
  });

  it('has an exit code for tests', async () => {
    const expected = await replay(inDirectory('spam'), '--expect', 'rejected');
    expect([expected.status, expected.stderr]).toStrictEqual([0, '']);
    const { status, stderr } = await replay(
      inDirectory('spam'),
      inDirectory('ham.eml'),
      '--expect',
      'rejected',
    );
    expect([status, stderr]).toStrictEqual([
      1,
      expect.stringMatching(/ham\.eml: expected rejected, got accepted\n$/),
    ]);
    expect((await replay(inDirectory('spam'))).status).toBe(69);
  });

  it('runs a message that was saved with its session', async () => {
    class Failing extends Base {
      override header(): typeof CONTINUE {
        throw new Error('failed');
      }
    }
    const failed = new FailedMessages(inDirectory('failed'));
    const options = { errorHook: () => {}, macros: { envfrom: { auth_authen: 'bob', i: 'Q2' } } };
    await using ctx = new TestCtx(saveFailed(Failing, failed), options);
    await ctx.feedMessage('Subject: saved\n\nx\n', { sender: '<saved@example.com>' });
    const { status, stdout } = await replay(inDirectory('failed'), '--diff');
    expect(stdout).toMatch(
      /accepted\nheaders\n@@ .*\n Subject: saved\n\+X-Facts: <saved@example\.com> bob Q2\n1 message: /,
    );
    expect(status).toBe(0);
  });

  it('a message that begins with a brace is one, in a mailbox and in a file', async () => {
    mkdirSync(inDirectory('braces'));
    writeFileSync(inDirectory('braces/a.eml'), '{x: y\nSubject: ham\n\nx\n');
    writeFileSync(inDirectory('braces/b.eml'), '{"a":1}\nSubject: ham\n\nx\n');
    writeFileSync(
      inDirectory('braces/c.mbox'),
      'From a@b Sat\n{"format":1,"y: z\nSubject: spam\n\nx\n\nFrom a@b Sat\n{"format":1}\n\nx\n',
    );
    const { status, stdout, stderr } = await replay(inDirectory('braces'));
    expect(stdout.replaceAll(`${inDirectory('braces')}/`, '')).toMatch(
      /^a\.eml: accepted\nb\.eml: accepted\nc\.mbox:1: rejected.*\nc\.mbox:2: accepted\n4 messages: 3 accepted, 1 rejected\n/,
    );
    expect([status, stderr]).toStrictEqual([69, '']);
  });

  it('goes on after a message that cannot be replayed, and ends although the filter has a timer', async () => {
    writeFileSync(
      inDirectory('timer.mjs'),
      `import * as Milter from 'file://${projectRoot}/dist/index.js';
       export class Filter extends Milter.Base {}
       const timer = setInterval(() => {}, 1000);
       export const stopped = () => clearInterval(timer);`,
    );
    mkdirSync(inDirectory('newer'));
    writeFileSync(inDirectory('newer/1'), '{"format":2}\nSubject: x\n\nx\n');
    writeFileSync(inDirectory('newer/2'), 'Subject: ham\n\nx\n');
    const withTimer = (...args: string[]) => tsmilter(['replay', inDirectory('timer.mjs'), ...args]);
    const { status, stdout, stderr } = await withTimer(inDirectory('newer'), '--expect', 'accepted');
    expect(stdout).toMatch(/newer\/2: accepted\n2 messages: 1 accepted, 1 failed\n/);
    expect([status, stderr]).toStrictEqual([1, expect.stringMatching(/^\S+newer\/1: .*newer version.*\n$/)]);
    const alone = await withTimer(inDirectory('newer/1'));
    expect([alone.status, alone.stderr]).toStrictEqual([
      1,
      expect.stringMatching(/^tsmilter replay: .*newer version.*\n$/),
    ]);
  });

  it('takes only regular files from a directory: no pipes, sockets or links', async () => {
    mkdirSync(inDirectory('mixed/below'), { recursive: true });
    execFileSync('mkfifo', [inDirectory('mixed/pipe')], { env: unwatched });
    symlinkSync('.', inDirectory('mixed/loop'));
    symlinkSync('nowhere', inDirectory('mixed/dangling'));
    writeFileSync(inDirectory('mixed/below/1'), 'Subject: ham\n\nx\n');
    const server = createServer().listen(inDirectory('mixed/sock'));
    try {
      const { status, stdout, stderr } = await replay(inDirectory('mixed'));
      expect(stdout).toMatch(/^\S+mixed\/below\/1: accepted\n1 message: 1 accepted\n/);
      expect([status, stderr]).toStrictEqual([0, '']);
      for (const name of ['pipe', 'sock']) {
        const named = await replay(inDirectory(`mixed/${name}`));
        expect([named.status, named.stderr]).toStrictEqual([
          2,
          expect.stringMatching(/^tsmilter replay: \S+ is neither a file nor a directory; .*\n$/),
        ]);
      }
    } finally {
      server.close();
    }
  });

  it('prints a name with line breaks on one line', async () => {
    const name = inDirectory('a\nb.eml');
    writeFileSync(name, 'Subject: hold\n\nx\n');
    const { stdout } = await replay(name, '--no-diff');
    expect(stdout).toBe(`${directory}/a\\nb.eml: quarantined: odd\n`);
    const { stderr } = await replay(name, '--expect', 'rejected');
    expect(stderr).toBe(`${directory}/a\\nb.eml: expected rejected, got quarantined\n`);
    const absent = await replay(inDirectory('no\nsuch'));
    expect(absent.stderr).toMatch(/^tsmilter replay: \S+no\\nsuch: there is no such file or directory\n$/);
  });

  it('ends although the module has left a timer open', async () => {
    const module = `import { Base } from 'file://${projectRoot}/dist/index.js';
      setInterval(() => {}, 1000);
      export class Filter extends Base {}`;
    writeFileSync(inDirectory('timer.mjs'), module);
    const { status, stdout } = await tsmilter(['replay', inDirectory('timer.mjs'), inDirectory('ham.eml')]);
    expect([status, stdout]).toStrictEqual([0, expect.stringMatching(/ham\.eml: accepted/)]);
  });

  const library = `import * as Milter from 'file://${projectRoot}/dist/index.js';
    import * as lowlevel from 'file://${projectRoot}/dist/lowlevel.js';
    import { isMainThread } from 'node:worker_threads';\n`;
  const filter = 'export class Filter extends Milter.Base {}';

  it.each([
    ['waits for ever as it is loaded', 'await new Promise(() => {});', /a module waits for what never comes/],
    ['ends the process as it is loaded', 'process.exit(0);', /the process was ended by a module/],
    ['ends the process in a handler', 'Filter.prototype.eom = () => process.exit(69);', /ended by a module/],
    [
      'waits for ever as it is closed',
      'export const stopped = () => new Promise(() => {});',
      /a module waits for what never comes/,
    ],
  ])('fails with a line if the module %s', async (_, code, line) => {
    writeFileSync(inDirectory('odd.mjs'), `${library}${filter}\n${code}`);
    const args = ['replay', inDirectory('odd.mjs'), inDirectory('ham.eml'), '--expect', 'rejected'];
    const { status, stderr } = await tsmilter(args);
    expect([status, stderr]).toStrictEqual([1, expect.stringMatching(line)]);
  });

  it.each([
    'throw "no config";',
    'throw null;',
    'throw { toString() { throw 1; }, text: "no config" };',
    'throw new Error("no config");',
    'throw undefined;',
    'export const stopped = () => { throw "no config"; };',
    'export const stopped = () => { throw null; };',
  ])('tells in one line what the module has thrown: %s', async (code) => {
    writeFileSync(inDirectory('throws.mjs'), `${library}${filter}\n${code}`);
    const { status, stderr } = await tsmilter(['replay', inDirectory('throws.mjs'), inDirectory('ham.eml')]);
    const what = /null|undefined/.exec(code)?.[0] ?? 'no config';
    expect([status, stderr]).toStrictEqual([
      1,
      expect.stringMatching(
        new RegExp(
          `^tsmilter replay: .*throws\\.mjs(?: cannot be loaded|: its export stopped has failed): .*${what}.*\n$`,
        ),
      ),
    ]);
  });

  it.each([
    ['runmilter', `if (isMainThread) await Milter.runmilter('f', 'SOCKET', { module: import.meta.url });`],
    ['lowlevel', `lowlevel.register('f'); lowlevel.setconn('SOCKET'); await lowlevel.main();`],
  ])('starts no filter, and says so: %s', async (_, code) => {
    const socket = inDirectory('sock');
    writeFileSync(
      inDirectory('starts.mjs'),
      `${library}export default ${filter.slice(7)}\n${code.replace('SOCKET', `unix:${socket}`)}`,
    );
    const { status, stderr } = await tsmilter(['replay', inDirectory('starts.mjs'), inDirectory('ham.eml')]);
    expect([status, stderr]).toStrictEqual([
      1,
      expect.stringMatching(
        /^tsmilter replay: no filter is started, because .* call runmilter in a module of its own.*\n$/,
      ),
    ]);
    expect(existsSync(socket)).toBe(false);
  });

  it('a filter that cannot be loaded is one line', async () => {
    const absent = await tsmilter(['replay', inDirectory('absent.mjs'), inDirectory('ham.eml')]);
    expect([absent.status, absent.stderr]).toStrictEqual([
      2,
      expect.stringMatching(/absent\.mjs: there is no such file/),
    ]);
    writeFileSync(inDirectory('broken.mjs'), 'throw new TypeError("boo");');
    const { status, stderr } = await tsmilter(['replay', inDirectory('broken.mjs'), inDirectory('ham.eml')]);
    expect([status, stderr]).toStrictEqual([
      1,
      expect.stringMatching(
        /^tsmilter replay: .*broken\.mjs cannot be loaded: TypeError: boo \(.*broken\.mjs:1:7\)\n$/,
      ),
    ]);
  });
});

describe('tsmilter inspect', () => {
  it('shows steps, arguments and macros, escaped, and ends with its sessions open', async () => {
    const socket = `unix:${directory}/inspect`;
    await using inspect = new CliProcess(['inspect', socket, '--mode', '600']);
    await inspect.said(/listening on unix/);
    const session = await MtaSession.open(socket, {
      macros: { connect: { j: 'mx.example' }, mail: { i: 'Q1' } },
    });
    await session.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 99 });
    await session.helo('h\u001b[2J');
    const message = {
      sender: ['<a@x>', 'SIZE=9'],
      recipients: ['<b@x>'],
      headers: [['Subject', 'a\n b']],
      body: 'hi\r\n',
    } as const;
    expect((await session.message(message)).verdict).toBe('continue');
    await inspect.said(/^1 bodyeob/m);
    expect(
      inspect.stdout
        .split('\n')
        .map((line) => line.trimEnd())
        .filter(Boolean),
    ).toStrictEqual([
      '1 optneg   version 6, actions 0x1ff, protocol 0x1fffff',
      '1 macros   for connect: j=mx.example',
      '1 connect  client.example inet 192.0.2.1 port 99',
      '1 helo     h\\u001b[2J',
      '1 macros   for mail: i=Q1',
      '1 mail     <a@x> SIZE=9',
      '1 rcpt     <b@x>',
      '1 data',
      '1 header   Subject a\\n b',
      '1 eoh',
      '1 body     4 bytes',
      '1 bodyeob',
    ]);
    const garbage = await MtaSession.open(socket, { negotiate: false });
    await garbage.sendRaw(Buffer.from('GET / HTTP/1.0\r\n\r\n'));
    await inspect.said(/^2 error .*more than the limit/m);
    expect((await inspect.stop()).status).toBe(0);
    expect(existsSync(inDirectory('inspect'))).toBe(false);
    session.destroy();
  });
});

describe('tsmilter completion', () => {
  it('bash: completes subcommands, theirs, and options', async () => {
    const { stdout: script } = await tsmilter(['completion', 'bash']);
    const complete = (...words: string[]) => {
      const call = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _tsmilter; echo "\${COMPREPLY[*]}"`;
      const { stdout, stderr } = spawnSync('bash', ['-c', `${script}\n${call}`], {
        encoding: 'utf8',
        env: unwatched,
      });
      return stdout.trim() + stderr;
    };
    expect(complete('tsmilter', 're')).toBe('replay');
    expect(complete('tsmilter', 'key', 'g')).toBe('generate');
    expect(complete('tsmilter', 'check', 'dom')).toBe('domain');
    expect(complete('tsmilter', 'check', 'domain', '--dns')).toBe('--dns-server');
    expect(complete('tsmilter', 'key', 'check', '--name')).toBe('--nameserver');
    expect(complete('tsmilter', 'send', 'unix:/x', '--queue')).toBe('--queue-id');
  });

  it.each(['zsh', 'fish'])('%s: names subcommands and options', async (shell) => {
    const { status, stdout } = await tsmilter(['completion', shell]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/doctor/);
    expect(stdout).toMatch(/queue-id/);
  });

  it('another shell is an error of one line', async () => {
    const { status, stderr } = await tsmilter(['completion', 'csh']);
    expect([status, stderr]).toStrictEqual([
      2,
      expect.stringMatching(/'csh' is invalid.*bash, zsh, fish.*\n$/),
    ]);
  });
});
