/** examples/spfmilter: its configuration, its policies, and the clients that test/mta/spfmilter.test.ts cannot have. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import { AccessMap } from 'tsmilter/policy';
import { TestCtx, type TestCtxOptions } from 'tsmilter/testing';
import { optionTable } from '../../examples/shared/option-table';
import { type Config, OPTIONS, readConfig } from '../../examples/spfmilter/config';
import { SpfFilter } from '../../examples/spfmilter/filter';
import { Policies, type Policy, readPolicy } from '../../examples/spfmilter/policy';
import { DnsServer } from '../../tools/dns-server';
import { projectRoot } from '../../tools/project-root';
import { errorWith, expectThat } from '../support/expect';
import { keyFor, results } from '../support/spf-cases';

/** For policies that have nothing to complain about. */
const unexpected = (complaint: string): never => {
  throw new Error(complaint);
};

const samples = join(projectRoot, 'examples/spfmilter');

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'spfmilter-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function configOf(text: string): Promise<Config> {
  const file = join(directory, 'spfmilter.cfg');
  writeFileSync(file, text);
  return readConfig(file);
}

describe('the configuration', () => {
  it('has defaults for every option but the socket', async () => {
    expect(await configOf('[milter]\nsocketname = /run/x/sock\n')).toStrictEqual({
      milter: {
        socketname: '/run/x/sock',
        name: 'spfmilter',
        umask: null,
        untrapped_exception: Milter.TEMPFAIL,
        internal_connect: [],
        trusted_relay: [],
      },
      spf: { access_file: null, access_file_nulls: null, trusted_forwarder: [], nameservers: [] },
    });
  });

  it("accepts every option in pymilter's form", async () => {
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
    expect(await configOf(text)).toStrictEqual({
      milter: {
        socketname: '/run/x/sock',
        name: 'pyspffilter',
        umask: 0o117,
        untrapped_exception: Milter.CONTINUE,
        internal_connect: ['127.0.0.1', '192.168.0.0/16', '10.*', '::1', 'host.example.com'],
        trusted_relay: ['192.0.2.25'],
      },
      spf: {
        access_file: '/etc/mail/access.db',
        access_file_nulls: 'false',
        trusted_forwarder: ['example.com', 'example.org'],
        nameservers: ['192.0.2.53', '[::1]:5353'],
      },
    });
  });

  it('resolves the access map relative to its own directory', async () => {
    const { spf } = await configOf('[milter]\nsocketname = s\n[spf]\naccess_file = access\n');
    expect(spf.access_file).toBe(join(directory, 'access'));
  });

  for (const [text, umask] of [
    ['0117', 0o117],
    ['077', 0o77],
    ['0o22', 0o22],
    ['7', 7],
  ] as const) {
    it(`umask ${text}`, async () => {
      expect((await configOf(`[milter]\nsocketname = s\numask = ${text}\n`)).milter.umask).toBe(umask);
    });
  }

  const broken: readonly (readonly [text: string, message: RegExp])[] = [
    ['', /spfmilter\.cfg: \[milter\] socketname: is missing; set it to/],
    ['[milter]\nsocketname =\n', /\[milter\] socketname: is missing/],
    ['socketname = s\n', /spfmilter\.cfg:1: the option socketname comes before the first \[section\]/],
    ['[milter]\nsocketname = s\nsocketname = t\n', /spfmilter\.cfg:3: duplicate option socketname/],
    [
      '[milter]\nsocketname = s\numask = 0189\n',
      /spfmilter\.cfg:3: \[milter\] umask: 0189 is not an octal number such as 0117/,
    ],
    ['[milter]\nsocketname = s\numask = 010117\n', /\[milter\] umask: 010117 is not an octal number/],
    [
      '[milter]\nsocketname = s\nuntrapped_exception = DISCARD\n',
      /untrapped_exception: DISCARD is not one of tempfail, reject, continue, accept/,
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
      /\[spf\] nameservers: .*not an IP address/,
    ],
    [
      '[milter]\nsocketname = s\n[spf]\nbest_guess = v=spf1 a\n',
      /spfmilter\.cfg:4: \[spf\] best_guess is unknown; known are access_file, /,
    ],
    ['[milter]\nsocketname = s\n[SPF]\n', /spfmilter\.cfg:3: \[SPF\] is unknown; did you mean spf\?/],
  ];
  for (const [text, message] of broken) {
    it(`refuses ${JSON.stringify(text)}`, async () => {
      await expect(configOf(text)).rejects.toThrow(errorWith({ message }));
    });
  }
});

describe('the documentation', () => {
  it('has the options as they are declared', () => {
    const page = readFileSync(join(projectRoot, 'docs/spfmilter.md'), 'utf8');
    for (const [section, options] of Object.entries(OPTIONS))
      expect(page).toContain(`\n${optionTable(`\`[${section}]\``, options)}\n\n`);
  });
});

describe('the samples', () => {
  it('spfmilter.cfg can be read, with the options that are comments in it too', async () => {
    const text = readFileSync(join(samples, 'spfmilter.cfg'), 'utf8');
    const config = await configOf(text);
    expect(config.milter.socketname).toBe('/run/spfmilter/sock');
    expect(config.spf.trusted_forwarder).toStrictEqual([]);
    const all = await configOf(text.replace(/^;/gm, ''));
    expect(all.spf.trusted_forwarder).toStrictEqual(['alumni.example.edu']);
    expect(all.milter.trusted_relay).toStrictEqual(['192.0.2.25', 'mx2.example.com']);
    expect(all.spf.nameservers).toHaveLength(2);
  });

  it('access contains only policies and ends with the defaults', async () => {
    const file = join(samples, 'access');
    const values = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => /^\S+\s+(.*)$/.exec(line)?.[1] ?? '');
    expect(values.filter((value) => readPolicy(value) === null)).toStrictEqual([]);
    using map = await AccessMap.open(file, { pollInterval: 0 });
    expect(map.size).toBe(values.length);
    const policies = new Policies(map, unexpected);
    const defaults = new Policies(null, unexpected);
    const about = (some: Policies) => results.map((result) => some.about('mailfrom', result, 'a@b.example'));
    expect(about(policies)).toStrictEqual(about(defaults));
    for (const result of results) expectThat(map.get(`${keyFor('SPF', result)}:`), result).toBeTruthy();
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
      expect(readPolicy(value)).toStrictEqual(policy));
  }

  it('an invalid entry is reported and ignored', () => {
    const complaints: string[] = [];
    const map = { separator: ':' as const, get: () => 'DISCARD' };
    const policies = new Policies(map, (message) => complaints.push(message));
    expect(policies.about('mailfrom', 'fail', 'a@b.example')).toBe('REJECT');
    expect(policies.about('helo', 'permerror', 'postmaster@b.example')).toBe('CONTINUE');
    expect(policies.aboutUser('ann', '<a@b.example>')).toBe('OK');
    expect(complaints).toHaveLength(3);
    expect(complaints[0] ?? '').toMatch(
      /^the access map has "DISCARD" for SPF-Fail:a@b\.example, which is none of OK, /,
    );
  });

  it('looks up these keys for a user, in this order', () => {
    const keys: string[] = [];
    const get = (key: string) => {
      keys.push(key);
      return null;
    };
    const policies = new Policies({ separator: ':', get }, unexpected);
    expect(policies.aboutUser('ann', '<@relay.example:Ann@mail.example.com.>')).toBe('OK');
    expect([...new Set(keys.map((key) => key.toLowerCase()))]).toStrictEqual([
      'smtp-auth:ann@mail.example.com',
      'smtp-auth:ann@',
      'smtp-auth:mail.example.com',
      'smtp-auth:.example.com',
      'smtp-auth:.com',
      'smtp-auth:',
      'smtp-auth',
    ]);
  });
});

describe('clients', () => {
  let dns: DnsServer;
  beforeAll(async () => {
    dns = await DnsServer.start({
      'fail.example': { TXT: ['v=spf1 -all'] },
      'broken.example': { fault: 'SERVFAIL' },
      'relay.example': { AAAA: ['2001:db8::25'] },
    });
  });
  afterAll(() => dns.close());

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
    const policies = new Policies({ separator: ':', get: (key) => access[key] ?? null }, unexpected);
    await using ctx = new TestCtx(() => new SpfFilter({ config, policies, log }), options);
    await ctx.connect(options.hostname, options.hostaddr);
    if (helo) await ctx.helo('mail.fail.example');
    const { verdict } = await ctx.envfrom(sender);
    expect(ctx.errors).toStrictEqual([]);
    return { verdict, reply: ctx.reply, log: lines.join('\n') };
  }

  it('without an address are internal, with or without HELO, since they are programs on this host', async () => {
    for (const hostaddr of [{ family: 'unknown' }, { family: 'unix', path: '' }] as const) {
      for (const helo of [true, false]) {
        const { verdict, log } = await forged({ hostaddr }, { helo });
        expect(verdict).toBe('continue');
        expect(log).toMatch(/at no address INTERNAL/);
      }
    }
  });

  it('whose address Postfix does not know are external', async () => {
    const { log } = await forged({ hostaddr: { family: 'unknown' }, hostname: 'unknown' });
    expect(log).toMatch(/at no address EXTERNAL/);
  });

  it('with an IPv6 address may be a relay listed by name', async () => {
    const at = (address: string) => ({ family: 'inet6', address, port: 25 }) as const;
    const lists = 'trusted_relay = relay.example';
    expect((await forged({ lists, hostaddr: at('2001:db8::25') })).verdict).toBe('continue');
    expect((await forged({ lists, hostaddr: at('2001:db8::26') })).verdict).toBe('reject');
  });

  it('count as external if a name in the lists cannot be looked up, which is logged', async () => {
    const { verdict, log } = await forged({ lists: 'internal_connect = broken.example' });
    expect(verdict).toBe('reject');
    expect(log).toMatch(/broken\.example in the lists of networks is not looked up: /);
  });

  it('get a valid reply, whatever they send', async () => {
    const sender = `<jörg\t${'x'.repeat(2000)}@later.example>`;
    const macros = { envfrom: { auth_authen: 'b%b' } };
    const { verdict, reply } = await forged(
      { macros, access: { 'SMTP-Auth:later.example': 'TEMPFAIL' } },
      { sender },
    );
    expect(verdict).toBe('tempfail');
    expect(reply?.text ?? '').toMatch(/^451 4\.7\.1 b%%b may not send mail as <j\?rg\?x+\.$/);
    expect(reply?.text.length ?? 0).toBeLessThan(400);
  });
});
