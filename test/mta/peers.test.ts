// The arguments of connect for clients that are not on this machine's loopback. By XCLIENT, Postfix lets a test pretend to be any
// client; Sendmail also speaks SMTP on its standard input.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC } from 'tsmilter';
import { startPostfix } from '../../tools/mta';
import { installation } from '../../tools/mta/installation';
import { isolate } from '../../tools/mta/namespace';
import { makeRunDir } from '../../tools/mta/run-dir';
import { TIMEOUT } from '../../tools/wait';
import { MtaFixture } from './support/mta-fixture';

const any = Symbol('the port of the real connection');

describe('peers', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    // for what does not come through an endpoint
    const extraConfig = "define(`confINPUT_MAIL_FILTERS', `unix')dnl";
    mtas = await MtaFixture.start({ mta: { sendmail: { extraConfig } } });
  });
  afterAll(() => mtas?.stop());

  const cases: readonly (readonly [
    xclient: string,
    hostname: string,
    family: number,
    hostaddr: unknown[],
  ])[] = [
    ['NAME=client.example ADDR=192.0.2.7 PORT=4444', 'client.example', AF_INET, ['192.0.2.7', 4444]],
    ['NAME=[UNAVAILABLE] ADDR=192.0.2.8', '[192.0.2.8]', AF_INET, ['192.0.2.8', any]],
    ['NAME=[TEMPUNAVAIL] ADDR=192.0.2.9', '[192.0.2.9]', AF_INET, ['192.0.2.9', any]],
    ['NAME=v6.example ADDR=IPv6:2001:db8::25 PORT=25', 'v6.example', AF_INET6, ['2001:db8::25', 25, 0, 0]],
    [
      'NAME=[UNAVAILABLE] ADDR=IPv6:2001:db8:0:1::a',
      '[2001:db8:0:1::a]',
      AF_INET6,
      ['2001:db8:0:1::a', any, 0, 0],
    ],
  ];
  for (const [xclient, hostname, family, hostaddr] of cases) {
    test(`postfix: ${xclient}`, async () => {
      const filter = mtas.filter();
      await filter.use({ handlers: { connect: {}, close: {} } });
      using client = await mtas.open('postfix');
      await client.command('EHLO client.test');
      expect((await client.command(`XCLIENT ${xclient}`)).code).toBe(220);
      await client.quit();
      // one session for the real client, another for the pretended one
      for (let i = 0; i < 2; i++) await filter.event('close', TIMEOUT);
      const [real, pretended] = (await filter.events()).filter(([name]) => name === 'connect');
      const [, , , address] = real ?? [];
      const [, port] = address as [string, number];
      const wanted = hostaddr.map((part) => (part === any ? port : part));
      expect(pretended).toStrictEqual(['connect', hostname, family, wanted]);
    });
  }

  /** Has Sendmail speak SMTP on a pipe, or on a unix socket; resolves to what connect was told. */
  async function onStandardInput(pipe: boolean): Promise<unknown> {
    const filter = mtas.filter();
    await filter.use({ handlers: { connect: {}, close: {} } });
    const { root, libraryPath } = installation();
    const program = path.join(root, 'usr/libexec/sendmail/sendmail');
    const dir = makeRunDir('bs');
    const config = path.join(mtas.mta('sendmail').dir, 'sendmail.cf');
    const launch = await isolate(dir, 'sendmail.test', program, ['-C', config, '-bs']);
    try {
      const command = pipe ? ['sh', '-c', 'cat | "$@" | cat', 'sh'] : [];
      const [name = '', ...args] = [...command, launch.command, ...launch.args];
      // Node's own pipes are unix sockets
      const child = spawn(name, args, {
        env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LD_LIBRARY_PATH: libraryPath },
        stdio: ['pipe', 'ignore', 'inherit'],
      });
      const ended = once(child, 'close', { signal: AbortSignal.timeout(TIMEOUT) });
      child.stdin.end('QUIT\r\n');
      await ended;
    } finally {
      launch.release();
      fs.rmSync(dir, { recursive: true, force: true });
    }
    await filter.event('close', TIMEOUT);
    return (await filter.events()).find(([event]) => event === 'connect');
  }

  test('sendmail: a client on a pipe has no address', async () => {
    expect(await onStandardInput(true)).toStrictEqual(['connect', 'localhost', AF_UNSPEC, null]);
  });

  test('sendmail: a client on an unnamed unix socket', async () => {
    expect(await onStandardInput(false)).toStrictEqual(['connect', 'localhost', AF_UNIX, '']);
  });

  test('postfix: for mail that is not from SMTP the MTA makes up a client', async () => {
    const filter = mtas.filter();
    const steps = ['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'eoh', 'eom', 'close'];
    await filter.use({ handlers: Object.fromEntries(steps.map((step) => [step, {}])) });
    const extraConfig = `non_smtpd_milters = ${mtas.socket()}`;
    await using postfix = await startPostfix({ sinkPort: mtas.sink.port, extraConfig });
    const { root, libraryPath } = installation();
    const bin = path.join(root, 'usr/sbin');
    const etc = path.join(postfix.dir, 'etc');
    const child = spawn(path.join(bin, 'sendmail'), ['-C', etc, '-f', 'from@src.test', 'rcpt@dest.test'], {
      env: { PATH: `${bin}:/usr/bin:/bin`, MAIL_CONFIG: etc, LD_LIBRARY_PATH: libraryPath },
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    const ended = once(child, 'close', { signal: AbortSignal.timeout(TIMEOUT) });
    child.stdin.end('Subject: local\n\nhello\n');
    expect(await ended).toStrictEqual([0, null]);
    await mtas.sink.next(({ text }) => text.includes('Subject: local'), TIMEOUT);
    await filter.event('close', TIMEOUT);
    expect(await filter.events()).toStrictEqual([
      ['new'],
      ['connect', 'localhost', AF_INET, ['127.0.0.1', 0]],
      ['hello', 'localhost'],
      ['envfrom', 'from@src.test'], // without <>
      ['envrcpt', 'rcpt@dest.test'],
      ['data'],
      ['eoh'],
      ['eom'],
    ]);
  });
});
