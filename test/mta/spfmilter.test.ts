// The SPF filter (examples/spfmilter.ts) behind both MTAs, with a DNS server of its own: every result of SPF with every kind of
// policy, for senders and HELO names, and what is not checked.
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DnsServer } from '../../tools/dns-server';
import type { EndpointName, Reply, SmtpClient } from '../../tools/mta';
import { projectRoot } from '../../tools/project-root';
import { TIMEOUT } from '../../tools/wait';
import { expectThat } from '../support/expect';
import { itUnless } from '../support/skip';
import {
  accessOfCases,
  nameFor,
  policies,
  policyNames,
  refusalFor,
  results,
  zoneOfCases,
} from '../support/spf-cases';
import { heard } from './support/conversation';
import { logIn, loginByAddress } from './support/login';
import { type Kind, kinds, type Mail, MtaFixture, skipWithout } from './support/mta-fixture';
import { Program } from './support/program';
import { headersOf } from './support/view';

const script = path.join(projectRoot, '.build/examples/spfmilter.js');
const brokenScript = path.join(projectRoot, '.build/test/fixtures/mta/broken-spfmilter.js');

/** Who connects from here is inside, or a relay, a forwarder, or has logged in as what he says in HELO. */
const from = {
  inside: '127.0.1.1',
  relay: '127.0.2.1',
  namedRelay: '127.0.2.2',
  forwarder: '127.0.3.1',
  user: '127.0.4.1',
};

const zone = {
  ...zoneOfCases(),
  'forwarder.test': { TXT: [`v=spf1 ip4:${from.forwarder} -all`] },
  'relay.test': { A: [from.namedRelay] },
  'explains.test': { TXT: ['v=spf1 -all exp=why.explains.test'] },
  'why.explains.test': { TXT: ['%{i} is not ours, 100%% sure; ask %{o}'] },
  'v4only.test': { TXT: ['v=spf1 ip4:127.0.0.0/8 -all'] },
  'v6.test': { TXT: ['v=spf1 ip6:2001:db8::/32 -all'] },
};

const access = [
  ...accessOfCases(),
  'SPF-Fail:friend@default.fail.test\tOK',
  'SPF-Fail:.wild.test\tOK',
  'SMTP-Auth:ann@example.test\tOK',
  'SMTP-Auth:ann@\tREJECT',
  'SMTP-Auth:example.test\tERROR:5.7.9:"550 example.test is for ann"',
  'SMTP-Auth:later.test\tTEMPFAIL',
];

interface Session {
  readonly endpoint?: EndpointName;
  /** The client's address. */
  readonly at?: string;
  readonly helo?: string | null;
}

describe('spfmilter', () => {
  let mtas: MtaFixture;
  let dns: DnsServer;
  let filter: Program;

  /** Writes a configuration file, and gives its path. */
  function configure(name: string, milter: Record<string, string>, spf: Record<string, string> = {}): string {
    const section = (options: Record<string, string>) =>
      Object.entries(options).map(([option, value]) => `${option} = ${value}\n`);
    const file = path.join(mtas.dir, name);
    fs.writeFileSync(file, ['[milter]\n', ...section(milter), '[spf]\n', ...section(spf)].join(''));
    return file;
  }

  function run(name: string, file: string, program = script): Promise<Program> {
    return Program.start(program, [file], /: listening on /, path.join(mtas.dir, `tmp-${name}`));
  }

  beforeAll(async () => {
    dns = await DnsServer.start(zone);
    mtas = await MtaFixture.start({
      fixture: null,
      endpoints: ['unix', 'inet', 'inet6'],
      mta: { sendmail: { extraConfig: loginByAddress(from.user) } },
    });
    fs.writeFileSync(path.join(mtas.dir, 'access'), `${access.join('\n')}\n`);
    const file = configure(
      'spfmilter.cfg',
      {
        socketname: mtas.socket(),
        umask: '0111',
        name: 'spftest',
        internal_connect: '127.0.1.0/24',
        trusted_relay: `${from.relay}, relay.test`,
      },
      { access_file: 'access', trusted_forwarder: 'forwarder.test', nameservers: dns.address },
    );
    filter = await run('main', file);
  });
  afterAll(async () => {
    try {
      await filter?.stop();
      expect(filter.output).toMatch(/ spftest\[\d+\]: stopped$/m);
      expect(filter.output).not.toMatch(/untrapped/);
    } finally {
      await mtas?.stop();
      await dns?.close();
    }
  });

  async function session<T>(kind: Kind, how: Session, talk: (client: SmtpClient) => Promise<T>): Promise<T> {
    const { endpoint = 'unix', at, helo = 'client.test' } = how;
    using client = await mtas.open(kind, endpoint, at === undefined ? {} : { localAddress: at });
    if (helo !== null) expect((await client.command(`EHLO ${helo}`)).code).toBe(250);
    const result = await talk(client);
    await client.quit();
    return result;
  }

  /** What is said to MAIL. */
  function mailFrom(kind: Kind, sender: string, how: Session = {}): Promise<Reply> {
    return session(kind, how, (client) => client.command(`MAIL FROM:<${sender}>`));
  }

  /** MAIL is refused with these codes, or this whole reply; resolves to what was said. */
  async function refused(kind: Kind, sender: string, how: Session, reply: string): Promise<string> {
    // Sendmail puts the sender before some replies of one line.
    const said = heard(await mailFrom(kind, sender, how)).replace(`<${sender}>... `, '');
    const [code, extended, ...text] = reply.split(' ');
    if (text.length > 0) expect(said).toBe(reply);
    // the codes stand before every line
    for (const line of said.split('|')) expect(line).toMatch(new RegExp(`^${code}[- ]${extended} `));
    return said;
  }

  /** A message that passes; its headers that the filter has put at its top, before the MTA's own. */
  async function passed(kind: Kind, sender: string, how: Session = {}, mail: Mail = {}): Promise<string[]> {
    const sent = await session(kind, how, (client) => mtas.send(client, { ...mail, from: sender }));
    expectThat(sent.last.code, sent.last.text).toBe(250);
    const headers = headersOf(await mtas.delivered(sent.id));
    const own = headers.findIndex((header) => /^Received:/i.test(header));
    expectThat(own, headers.join('\n')).toBeGreaterThanOrEqual(0);
    expectThat(
      headers.slice(own).some((header) => /^(Received-SPF|X-Hello-SPF):/.test(header)),
      'not below',
    ).toBe(false);
    return headers.slice(0, own).filter((header) => !/^Return-Path:/i.test(header));
  }

  for (const kind of kinds) {
    describe(kind, () => {
      describe('senders', () => {
        for (const result of results) {
          for (const policy of policyNames) {
            const refusal = refusalFor('SPF', policy, result);
            test(`${result}, ${policies[policy] ?? 'no policy'}: ${refusal ?? 'passes'}`, async () => {
              const sender = `joe@${nameFor(policy, result)}`;
              if (refusal !== null) {
                await refused(kind, sender, {}, refusal);
                return;
              }
              const [spf = '', ...others] = await passed(kind, sender);
              expect(spf).toMatch(new RegExp(`^Received-SPF: ${result} \\(${kind}\\.test: `));
              // OK and a pass need no more; else the HELO name is looked at, which has no record here
              const hello = policy === 'ok' || result === 'pass' ? [] : ['X-Hello-SPF: none'];
              expect(others).toStrictEqual(hello);
            });
          }
        }
      });

      describe('HELO names', () => {
        for (const result of results) {
          for (const policy of policyNames) {
            const refusal = refusalFor('HELO', policy, result);
            test(`${result}, ${policies[policy] ?? 'no policy'}: ${refusal ?? 'passes'}`, async () => {
              const helo = nameFor(policy, result);
              if (refusal !== null) {
                await refused(kind, 'joe@default.none.test', { helo }, refusal);
                return;
              }
              const [spf = '', ...others] = await passed(kind, 'joe@default.none.test', { helo });
              expect(spf).toMatch(/^Received-SPF: none /);
              expect(others).toStrictEqual([`X-Hello-SPF: ${result}`]);
            });
          }
        }
      });

      describe('replies', () => {
        test('a fail, with the filter\u2019s own explanation', async () => {
          expect(await refused(kind, 'joe@default.fail.test', {}, '550 5.7.1')).toBe(
            [
              '550-5.7.1 SPF fail: 127.0.0.1 may not send mail in the name of joe@default.fail.test',
              '550 5.7.1 If this is no forgery: send it through a server of default.fail.test, or tell its postmaster.',
            ].join('|'),
          );
        });

        test('a fail, with the domain\u2019s explanation', async () => {
          expect(await refused(kind, 'joe@explains.test', {}, '550 5.7.1')).toBe(
            [
              '550-5.7.1 SPF fail. explains.test explains: 127.0.0.1 is not ours, 100% sure; ask explains.test',
              '550 5.7.1 If this is no forgery: send it through a server of explains.test, or tell its postmaster.',
            ].join('|'),
          );
        });

        test('a fail of the HELO name, with its domain\u2019s explanation', async () => {
          const said = await refused(kind, 'joe@default.none.test', { helo: 'explains.test' }, '550 5.7.1');
          expect(said).toMatch(
            /^550-5\.7\.1 SPF fail of your HELO name\. explains\.test explains: 127\.0\.0\.1 is not ours/,
          );
        });

        test('an invalid record', async () => {
          const said = await refused(kind, 'joe@default.permerror.test', {}, '550 5.5.2');
          expect(said).toMatch(/not-a-mechanism/);
          expect(said).toMatch(
            /Please tell the postmaster of default\.permerror\.test that its SPF record is wrong\.$/,
          );
        });

        test('a DNS failure', async () => {
          const said = await refused(kind, 'joe@default.temperror.test', {}, '451 4.4.3');
          expect(said).toMatch(/Please try again later\.$/);
        });
      });

      describe('which entry of the access map applies', () => {
        test("the address's entry before the domain's", async () => {
          const [spf] = await passed(kind, 'friend@default.fail.test');
          expect(spf ?? '').toMatch(/^Received-SPF: fail /);
        });

        test("a parent domain's entry", async () => {
          dns.zone['sub.wild.test'] = { TXT: ['v=spf1 -all'] };
          expect((await passed(kind, 'joe@sub.wild.test'))[0] ?? '').toMatch(/^Received-SPF: fail /);
        });

        test('that of the HELO name for the null sender, which is checked once', async () => {
          const helo = nameFor('tempfail', 'softfail');
          await refused(kind, '', { helo }, '451 4.7.1');
          const headers = await passed(kind, '', { helo: nameFor('default', 'softfail') });
          expect(headers).toHaveLength(1);
          expect(headers[0] ?? '').toMatch(/^Received-SPF: softfail /);
          await filter.wrote(
            /SPF mailfrom postmaster@default\.softfail\.test softfail \(all\) policy CONTINUE/,
          );
        });
      });

      describe('HELO', () => {
        for (const helo of ['192.0.2.1', '2001:db8::1']) {
          test(`${helo} is refused`, async () => {
            const said = await refused(kind, 'joe@default.pass.test', { helo }, '550 5.7.1');
            expect(said).toMatch(/that is an address and not a name/);
          });
        }

        test('an address literal is accepted', async () => {
          await passed(kind, 'joe@default.pass.test', { helo: '[192.0.2.1]' });
        });

        test('is required', async () => {
          await refused(
            kind,
            'joe@default.pass.test',
            { helo: null },
            '550 5.7.1 It is polite to say HELO first.',
          );
          await refused(
            kind,
            'joe@default.pass.test',
            { helo: null, at: from.inside },
            '550 5.7.1 It is polite to say HELO first.',
          );
        });
      });

      describe('clients that are not checked', () => {
        const forged = 'joe@default.fail.test';

        test('an internal client', async () => {
          expect(await passed(kind, forged, { at: from.inside })).toStrictEqual([]);
          expect(await passed(kind, forged, { at: from.inside, helo: '10.0.0.1' })).toStrictEqual([]);
        });

        test('a trusted relay, by its address and by its name', async () => {
          expect(await passed(kind, forged, { at: from.relay })).toStrictEqual([]);
          expect(await passed(kind, forged, { at: from.namedRelay })).toStrictEqual([]);
          await refused(kind, forged, { at: from.relay, helo: '10.0.0.1' }, '550 5.7.1');
        });

        test('the sender of mail from a trusted forwarder', async () => {
          const headers = await passed(kind, forged, { at: from.forwarder });
          expect(headers).toHaveLength(1);
          expect(headers[0] ?? '').toMatch(
            /^Received-SPF: pass [\s\S]*identity=helo;[\s\S]*helo=forwarder\.test/,
          );
          await filter.wrote(/trusted forwarder forwarder\.test/);
        });

        test('a neighbour of theirs is checked', async () => {
          await refused(kind, forged, { at: '127.0.3.2' }, '550 5.7.1');
        });
      });

      describe('authenticated users', () => {
        /** In a session of that user. */
        async function asUser<T>(
          user: string,
          helo: string,
          talk: (client: SmtpClient) => Promise<T>,
        ): Promise<T> {
          const at = kind === 'sendmail' ? { at: from.user } : {};
          return session(kind, { ...at, helo: null }, async (client) => {
            await logIn(client, kind, user, helo);
            return talk(client);
          });
        }

        for (const [user, sender, reply] of [
          ['bob', 'joe@default.fail.test', null],
          ['bob', '', null],
          ['ann', 'ann@EXAMPLE.test', null],
          ['Ann', 'info@example.test', null],
          ['ann', 'ann@other.test', '550 5.7.1 ann may not send mail as <ann@other.test>.'],
          ['ann', '', '550 5.7.1 ann may not send mail as <>.'],
          ['bob', 'bob@example.test', '550 5.7.9 example.test is for ann'],
          ['bob', 'bob@later.test', '451 4.7.1 bob may not send mail as <bob@later.test>.'],
        ] as const) {
          test(`${user} as <${sender}>: ${reply ?? 'passes'}`, async () => {
            const mail = { from: sender };
            if (reply === null) {
              const sent = await asUser(user, '10.0.0.1', (client) => mtas.send(client, mail));
              expectThat(sent.last.code, sent.last.text).toBe(250);
              const headers = headersOf(await mtas.delivered(sent.id));
              expect(headers.some((header) => /^(Received-SPF|X-Hello-SPF):/.test(header))).toBe(false);
            } else {
              const command = `MAIL FROM:<${sender}>`;
              const said = heard(await asUser(user, 'client.test', (client) => client.command(command)));
              expect(said.replace(`<${sender}>... `, '')).toBe(reply);
            }
          });
        }
      });

      test('a session with several messages has a verdict for each', async () => {
        await session(kind, {}, async (client) => {
          const say = async (sender: string) => (await client.command(`MAIL FROM:<${sender}>`)).code;
          expect(await say('joe@default.fail.test')).toBe(550);
          expect(await say('joe@tempfail.none.test')).toBe(451);
          const { id, last } = await mtas.send(client, { from: 'joe@default.pass.test' });
          expectThat(last.code, last.text).toBe(250);
          const spf = headersOf(await mtas.delivered(id)).filter((header) => /SPF:/.test(header));
          expect(spf).toHaveLength(1);
          expect(spf[0] ?? '').toMatch(/^Received-SPF: pass /);
        });
      });

      test("a Received-SPF header from the sender stays below the filter's", async () => {
        const forged = 'Received-SPF: pass (forged)';
        const { id } = await mtas.submit(kind, { from: 'joe@default.softfail.test', headers: [forged] });
        const headers = headersOf(await mtas.delivered(id)).filter((header) => /SPF:/.test(header));
        expect(headers).toHaveLength(3);
        expect(headers[0] ?? '').toMatch(/^Received-SPF: softfail /);
        expect(headers[1]).toBe('X-Hello-SPF: none');
        expect(headers[2]).toBe(forged);
      });
    });
  }

  describe('IPv6', () => {
    test('postfix: a client whose network is in the record, and one whose network is not', async () => {
      const mail = async (address: string) =>
        session('postfix', {}, async (client) => {
          expect((await client.command(`XCLIENT ADDR=IPV6:${address}`)).code).toBe(220);
          return mtas.send(client, { from: 'joe@v6.test' });
        });
      const good = await mail('2001:db8::25');
      expectThat(good.last.code, good.last.text).toBe(250);
      const [spf = ''] = headersOf(await mtas.delivered(good.id));
      expect(spf).toMatch(/^Received-SPF: pass [\s\S]*client-ip="2001:db8::25"/);
      expect(heard((await mail('2001:db9::25')).last)).toMatch(
        /^550-5\.7\.1 SPF fail: 2001:db9::25 may not send/,
      );
    });

    itUnless(skipWithout('inet6'), 'a client and a filter on ::1', async () => {
      const file = configure(
        'inet6.cfg',
        { socketname: mtas.socket('inet6') },
        { access_file: 'access', nameservers: dns.address },
      );
      const other = await run('inet6', file);
      try {
        for (const kind of kinds) {
          const [spf = ''] = await passed(kind, 'joe@default.pass.test', { endpoint: 'inet6' });
          expect(spf).toMatch(/^Received-SPF: pass [\s\S]*client-ip="::1"/);
          await refused(kind, 'joe@v4only.test', { endpoint: 'inet6' }, '550 5.7.1');
        }
      } finally {
        await other.stop();
      }
    });
  });

  describe('an error in the filter', () => {
    for (const [policy, reply] of [
      ['TEMPFAIL', '451 4.3.0 broken: untrapped exception'],
      ['REJECT', '554 5.3.0 broken: untrapped exception'],
      ['CONTINUE', null],
      ['accept', null],
      [null, '451 4.3.0 broken: untrapped exception'],
    ] as const) {
      test(`untrapped_exception = ${policy ?? '(not set)'}: ${reply ?? 'passes'}`, async () => {
        const file = configure(
          `broken-${policy}.cfg`,
          {
            socketname: mtas.socket('inet'),
            name: 'broken',
            ...(policy !== null && { untrapped_exception: policy }),
          },
          { nameservers: dns.address },
        );
        const broken = await run(`broken-${policy}`, file, brokenScript);
        try {
          for (const kind of kinds) {
            const how = { endpoint: 'inet' } as const;
            if (reply !== null) await refused(kind, 'joe@default.pass.test', how, reply);
            else expect(await passed(kind, 'joe@default.pass.test', how)).toStrictEqual([]);
          }
          await broken.wrote(/ broken\[\d+\]: untrapped exception in \w+: Error: broken on purpose/);
        } finally {
          await broken.stop();
        }
      });
    }
  });

  test('the umask comes from the configuration', () => {
    const socket = mtas.socket().replace(/^unix:/, '');
    expect((fs.statSync(socket).mode & 0o777).toString(8)).toBe('666');
  });

  test('logs each step in a line, as syslog does', async () => {
    await refused('postfix', 'log@default.fail.test', {}, '550 5.7.1');
    await filter.wrote(/REJECT: 550 5\.7\.1 SPF fail: .* log@default\.fail\.test /);
    const stamp = /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ spftest\[\d+\]: (\[\d+\]) /;
    const lines = filter.output.trimEnd().split('\n');
    const session = stamp.exec(lines.find((line) => line.includes('<log@')) ?? '')?.[1];
    expect(
      lines
        .filter((line) => stamp.exec(line)?.[1] === session)
        .map((line) => line.replace(stamp, '').split(':')[0]),
    ).toStrictEqual([
      'connect from [127.0.0.1] at 127.0.0.1 EXTERNAL',
      'hello from client.test',
      'mail from <log@default.fail.test>',
      'SPF mailfrom log@default.fail.test fail (all) policy REJECT',
      'REJECT',
    ]);
  });

  test('an entry that is not a policy is reported', async () => {
    await refused('postfix', 'joe@misspelt.fail.test', {}, '550 5.7.1');
    await filter.wrote(
      /the access map has "REJCET" for SPF-Fail:joe@misspelt\.fail\.test, which is none of OK, /,
    );
  });

  test('a change of the access map takes effect without a restart', async () => {
    await refused('postfix', 'joe@tempfail.fail.test', {}, '451 4.7.1');
    const file = path.join(mtas.dir, 'access');
    const changed = access.map((line) =>
      line.replace('SPF-Fail:tempfail.fail.test\tTEMPFAIL', 'SPF-Fail:tempfail.fail.test\tOK'),
    );
    fs.writeFileSync(`${file}.new`, `${changed.join('\n')}\n`);
    fs.renameSync(`${file}.new`, file);
    await filter.wrote(/access was read again: \d+ entries/);
    await passed('postfix', 'joe@tempfail.fail.test');
    fs.rmSync(file);
    await filter.wrote(/access: cannot be read: .*; the old entries stay in use/);
    await passed('postfix', 'joe@tempfail.fail.test');
  });

  describe('an invalid configuration', () => {
    const good = { socketname: 'unix:/nowhere/sock' };
    for (const [title, milter, spf, message] of [
      ['no socket', {}, {}, /\[milter\] socketname: is missing; set it to the socket/],
      ['a socket that is none', { socketname: 'tcp:25' }, {}, /tcp:25/],
      ['a folder that is not there', good, {}, /\/nowhere\/sock/],
      ['an access map that is not there', good, { access_file: 'nothing' }, /nothing: cannot be read/],
      [
        'an unknown option',
        { ...good, internal_conect: '::1' },
        {},
        /\[milter\] internal_conect is unknown; did you mean internal_connect\?/,
      ],
    ] as const) {
      test(`${title}: an error message of one line, exit code 1`, async () => {
        await saysAndEnds([configure('wrong.cfg', milter, spf)], message);
      });
    }

    test('a missing file', async () => {
      await saysAndEnds([path.join(mtas.dir, 'none.cfg')], /none\.cfg: the file does not exist/);
      await saysAndEnds(['a', 'b'], /usage: spfmilter\.js \[FILE\]/);
    });

    async function saysAndEnds(args: string[], message: RegExp): Promise<void> {
      const [code, stderr] = await new Promise<[unknown, string]>((resolve) => {
        execFile(process.execPath, [script, ...args], { timeout: TIMEOUT }, (error, _, text) =>
          resolve([error?.code, text]),
        );
      });
      expectThat(code, stderr).toBe(1);
      expect(stderr).toMatch(message);
      expect(stderr).toMatch(/^spfmilter: [^\n]+\n$/);
    }
  });
});
