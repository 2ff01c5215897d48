/** examples/spfmilter: its configuration, its policies, and the clients that test/mta/spfmilter.test.ts cannot have. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as Milter from 'tsmilter';
import { AccessMap } from 'tsmilter/policy';
import { TestCtx, type TestCtxOptions } from 'tsmilter/testing';
import { type Config, readConfig } from '../../examples/spfmilter/config';
import { SpfFilter } from '../../examples/spfmilter/filter';
import { Policies, type Policy, readPolicy } from '../../examples/spfmilter/policy';
import { DnsServer } from '../../tools/dns-server';
import { projectRoot } from '../../tools/mta/installation';
import { keyFor, results } from '../support/spf-cases';

const samples = join(projectRoot, 'examples/spfmilter');

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'spfmilter-'));
});
after(() => rmSync(directory, { recursive: true }));

function configOf(text: string): Promise<Config> {
  const file = join(directory, 'spfmilter.cfg');
  writeFileSync(file, text);
  return readConfig(file);
}

describe('the configuration', () => {
  it('has defaults for all but the socket', async () => {
    assert.deepEqual(await configOf('[milter]\nsocketname = /run/x/sock\n'), {
      socket: '/run/x/sock',
      name: 'spfmilter',
      umask: null,
      internalConnect: [],
      trustedRelay: [],
      untrappedException: Milter.TEMPFAIL,
      accessFile: null,
      trustedForwarder: [],
      nameservers: [],
    });
  });

  it('has every option in the form that pymilter gives it', async () => {
    const text = `[milter]
socketname = /run/x/sock
umask = 0117
name = pyspffilter
trusted_relay = 192.0.2.25
internal_connect = 127.0.0.1,192.168.0.0/16,
  10.*, ::1, host.example.com
untrapped_exception = CONTINUE
[spf]
access_file = /etc/mail/access.db
access_file_nulls = false
trusted_forwarder = example.com, example.org
nameservers = 192.0.2.53, [::1]:5353
`;
    assert.deepEqual(await configOf(text), {
      socket: '/run/x/sock',
      name: 'pyspffilter',
      umask: 0o117,
      internalConnect: ['127.0.0.1', '192.168.0.0/16', '10.*', '::1', 'host.example.com'],
      trustedRelay: ['192.0.2.25'],
      untrappedException: Milter.CONTINUE,
      accessFile: '/etc/mail/access.db',
      trustedForwarder: ['example.com', 'example.org'],
      nameservers: ['192.0.2.53', '[::1]:5353'],
    });
  });

  it('looks for the access map beside itself', async () => {
    const { accessFile } = await configOf('[milter]\nsocketname = s\n[spf]\naccess_file = access\n');
    assert.equal(accessFile, join(directory, 'access'));
  });

  for (const [text, umask] of [
    ['0117', 0o117],
    ['077', 0o77],
    ['0o22', 0o22],
    ['7', 7],
  ] as const) {
    it(`umask ${text}`, async () => {
      assert.equal((await configOf(`[milter]\nsocketname = s\numask = ${text}\n`)).umask, umask);
    });
  }

  const broken: readonly (readonly [text: string, message: RegExp])[] = [
    ['', /spfmilter\.cfg: \[milter\] socketname: is missing; set it to/],
    ['[milter]\nsocketname =\n', /\[milter\] socketname: is missing/],
    ['socketname = s\n', /spfmilter\.cfg:1: the option socketname comes before any \[section\]/],
    [
      '[milter]\nsocketname = s\nsocketname = t\n',
      /spfmilter\.cfg:3: the option socketname is there already/,
    ],
    ['[milter]\nsocketname = s\numask = 0189\n', /\[milter\] umask: 0189 is not an octal number, as 0117/],
    ['[milter]\nsocketname = s\numask = 010117\n', /\[milter\] umask: 010117 is not an octal number/],
    [
      '[milter]\nsocketname = s\nuntrapped_exception = DISCARD\n',
      /untrapped_exception: DISCARD is not one of TEMPFAIL, REJECT, CONTINUE, ACCEPT/,
    ],
    [
      '[milter]\nsocketname = s\ninternal_connect = 10.0.0.0/99\n',
      /\[milter\] internal_connect: .*"10\.0\.0\.0\/99"/,
    ],
    ['[milter]\nsocketname = s\ntrusted_relay = a b\n', /\[milter\] trusted_relay: .*"a b"/],
    [
      '[milter]\nsocketname = s\n[spf]\ntrusted_forwarder = a@b.c\n',
      /trusted_forwarder: a@b\.c is not a domain/,
    ],
    [
      '[milter]\nsocketname = s\n[spf]\nnameservers = ns.example\n',
      /\[spf\] nameservers: .*write an address/,
    ],
    [
      '[milter]\nsocketname = s\n[spf]\nbest_guess = v=spf1 a\n',
      /\[spf\] best_guess: there is no such option; remove it/,
    ],
    [
      '[milter]\nsocketname = s\n[SPF]\n',
      /\[SPF\] is not a section of this filter; there are \[milter\] and \[spf\]/,
    ],
  ];
  for (const [text, message] of broken) {
    it(`refuses ${JSON.stringify(text)}`, async () => {
      await assert.rejects(configOf(text), { message });
    });
  }
});

describe('the samples', () => {
  it('spfmilter.cfg can be read, with the options that are comments in it too', async () => {
    const text = readFileSync(join(samples, 'spfmilter.cfg'), 'utf8');
    const config = await configOf(text);
    assert.equal(config.socket, '/run/spfmilter/sock');
    assert.deepEqual(config.trustedForwarder, []);
    const all = await configOf(text.replace(/^;/gm, ''));
    assert.deepEqual(all.trustedForwarder, ['alumni.example.edu']);
    assert.deepEqual(all.trustedRelay, ['192.0.2.25', 'mx2.example.com']);
    assert.equal(all.nameservers.length, 2);
  });

  it('access has policies only, and ends with the defaults', async () => {
    const file = join(samples, 'access');
    const values = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => /^\S+\s+(.*)$/.exec(line)?.[1] ?? '');
    assert.deepEqual(
      values.filter((value) => readPolicy(value) === null),
      [],
    );
    using map = await AccessMap.open(file, { pollInterval: 0 });
    assert.equal(map.size, values.length);
    const policies = new Policies(map, assert.fail);
    const defaults = new Policies(null, assert.fail);
    const about = (some: Policies) => results.map((result) => some.about('mailfrom', result, 'a@b.example'));
    assert.deepEqual(about(policies), about(defaults));
    for (const result of results) assert.ok(map.get(`${keyFor('SPF', result)}:`), result);
  });
});

describe('policies', () => {
  const read: readonly (readonly [value: string, policy: Policy | null])[] = [
    ['OK', 'OK'],
    [' reject ', 'REJECT'],
    ['Continue', 'CONTINUE'],
    ['TEMPFAIL', 'TEMPFAIL'],
    ['ERROR:5.7.9:"550 go away"', { code: '550', extended: '5.7.9', text: 'go away' }],
    ['ERROR:5.7.9:550 go away', { code: '550', extended: '5.7.9', text: 'go away' }],
    ['ERROR:"554 5.7.0 go away"', { code: '554', extended: '5.7.0', text: 'go away' }],
    ['error:421 come back', { code: '421', extended: '4.7.1', text: 'come back' }],
    ['ERROR:4.3.2:come back', { code: '451', extended: '4.3.2', text: 'come back' }],
    ['ERROR:go away, 100% sure', { code: '550', extended: '5.7.1', text: 'go away, 100% sure' }],
    ['ERROR:5.7.1:"450 which of them?"', null],
    ['ERROR:', null],
    ['ERROR:550', { code: '550', extended: '5.7.1', text: '550' }],
    ['ERROR:"550 not closed', null],
    [`ERROR:550 ${'x'.repeat(500)}`, null],
    ['ERROR:550 grün', null],
    ['RELAY', null],
    ['DISCARD', null],
    ['', null],
  ];
  for (const [value, policy] of read) {
    it(`${JSON.stringify(value.slice(0, 40))} is ${JSON.stringify(policy)}`, () =>
      assert.deepEqual(readPolicy(value), policy));
  }

  it('an entry that is none is complained of, and as if it were not there', () => {
    const complaints: string[] = [];
    const map = { separator: ':' as const, get: () => 'DISCARD' };
    const policies = new Policies(map, (message) => complaints.push(message));
    assert.equal(policies.about('mailfrom', 'fail', 'a@b.example'), 'REJECT');
    assert.equal(policies.about('helo', 'permerror', 'postmaster@b.example'), 'CONTINUE');
    assert.equal(policies.aboutUser('ann', '<a@b.example>'), 'OK');
    assert.equal(complaints.length, 3);
    assert.match(
      complaints[0] ?? '',
      /^the access map has "DISCARD" for SPF-Fail:a@b\.example, which is none of OK, /,
    );
  });

  it('asks for these keys about a user, in this order', () => {
    const keys: string[] = [];
    const get = (key: string) => {
      keys.push(key);
      return null;
    };
    const policies = new Policies({ separator: ':', get }, assert.fail);
    assert.equal(policies.aboutUser('ann', '<@relay.example:Ann@mail.example.com.>'), 'OK');
    assert.deepEqual(
      [...new Set(keys.map((key) => key.toLowerCase()))],
      [
        'smtp-auth:ann@mail.example.com',
        'smtp-auth:ann@',
        'smtp-auth:mail.example.com',
        'smtp-auth:.example.com',
        'smtp-auth:.com',
        'smtp-auth:',
        'smtp-auth',
      ],
    );
  });
});

describe('clients', () => {
  let dns: DnsServer;
  before(async () => {
    dns = await DnsServer.start({
      'fail.example': { TXT: ['v=spf1 -all'] },
      'broken.example': { fault: 'SERVFAIL' },
      'relay.example': { AAAA: ['2001:db8::25'] },
    });
  });
  after(() => dns.close());

  /** A message of a forger from that client; resolves to the verdict on MAIL, the reply, and the log. */
  async function forged(
    {
      lists = '',
      access = {},
      ...options
    }: TestCtxOptions & { lists?: string; access?: Record<string, string> },
    { sender = '<joe@fail.example>', helo = true } = {},
  ) {
    const config = await configOf(
      `[milter]\nsocketname = s\n${lists}\n[spf]\nnameservers = ${dns.address}\n`,
    );
    const lines: string[] = [];
    const log = { write: (...words: readonly unknown[]) => lines.push(words.join(' ')) };
    const policies = new Policies({ separator: ':', get: (key) => access[key] ?? null }, assert.fail);
    await using ctx = new TestCtx(() => new SpfFilter({ config, policies, log }), options);
    await ctx.connect(options.hostname, options.hostaddr);
    if (helo) await ctx.helo('mail.fail.example');
    const { verdict } = await ctx.envfrom(sender);
    assert.deepEqual(ctx.errors, []);
    return { verdict, reply: ctx.reply, log: lines.join('\n') };
  }

  it('without an address are inside, with a HELO or not: they are programs of this host', async () => {
    for (const hostaddr of [{ family: 'unknown' }, { family: 'unix', path: '' }] as const) {
      for (const helo of [true, false]) {
        const { verdict, log } = await forged({ hostaddr }, { helo });
        assert.equal(verdict, 'continue');
        assert.match(log, /at no address INTERNAL/);
      }
    }
  });

  it('with IPv6 may be a relay that is named', async () => {
    const at = (address: string) => ({ family: 'inet6', address, port: 25 }) as const;
    const lists = 'trusted_relay = relay.example';
    assert.equal((await forged({ lists, hostaddr: at('2001:db8::25') })).verdict, 'continue');
    assert.equal((await forged({ lists, hostaddr: at('2001:db8::26') })).verdict, 'reject');
  });

  it('are outside where a name in the lists cannot be looked up, which is logged', async () => {
    const { verdict, log } = await forged({ lists: 'internal_connect = broken.example' });
    assert.equal(verdict, 'reject');
    assert.match(log, /broken\.example in the lists of networks is not looked up: /);
  });

  it('get a reply that fits, whatever they say', async () => {
    const sender = `<jörg\t${'x'.repeat(2000)}@later.example>`;
    const macros = { envfrom: { auth_authen: 'b%b' } };
    const { verdict, reply } = await forged(
      { macros, access: { 'SMTP-Auth:later.example': 'TEMPFAIL' } },
      { sender },
    );
    assert.equal(verdict, 'tempfail');
    assert.match(reply?.text ?? '', /^451 4\.7\.1 b%%b may not send mail as <j\?rg\?x+\.$/);
    assert.ok((reply?.text.length ?? 0) < 400);
  });
});
