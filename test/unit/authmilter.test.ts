/** examples/authmilter: its configuration, patterns and tables, and the clients that test/mta/authmilter.test.ts cannot have. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import { generateKey } from 'tsmilter/dkim';
import { TestCtx, type TestCtxOptions } from 'tsmilter/testing';
import { readConfig } from '../../examples/authmilter/config';
import { type Decision, decide } from '../../examples/authmilter/decision';
import { AuthFilter } from '../../examples/authmilter/filter';
import { Incoming } from '../../examples/authmilter/incoming';
import { OPTIONS } from '../../examples/authmilter/options';
import { addressPattern } from '../../examples/authmilter/pattern';
import { Reports } from '../../examples/authmilter/reports';
import { readSettings } from '../../examples/authmilter/settings';
import { SigningTable } from '../../examples/authmilter/signing-table';
import { taskFor } from '../../examples/authmilter/task';
import { optionTable } from '../../examples/shared/option-table';
import { DnsServer } from '../../tools/dns-server';
import { privateDirectory, removeDirectory } from '../../tools/private-directory';
import { projectRoot } from '../../tools/project-root';
import { FakeTimeouts, turnsUntil } from '../support/fake-timeouts';

let directory: string;
beforeAll(() => {
  directory = privateDirectory('authmilter');
});
afterAll(() => removeDirectory(directory));

function fileOf(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}
const configOf = (text: string) => readConfig(fileOf('authmilter.cfg', text));
const MINIMAL = '[milter]\nsocketname = /run/x/sock\n';

describe('the configuration', () => {
  it('has defaults for every option but the socket', async () => {
    expect(await configOf(MINIMAL)).toStrictEqual({
      milter: {
        socketname: '/run/x/sock',
        name: 'authmilter',
        umask: null,
        workers: 0,
        untrapped_exception: Milter.TEMPFAIL,
        dry_run: false,
      },
      clients: {
        internal_connect: [],
        trusted_relay: [],
        ports: new Map(),
        external: 'verify',
        internal: 'sign',
        authenticated: 'sign',
        relay: 'none',
      },
      verify: {
        authserv_id: null,
        own_authserv_ids: [],
        reject_spf_fail: false,
        on_dns_failure: 'accept',
        nameservers: [],
        max_lookups: 60,
        dns_time: 20,
      },
      sign: {
        signing_table: null,
        keys_group_readable: false,
        headers: [],
        oversign: [],
        canonicalization: 'relaxed/relaxed',
        expires_in: 0,
        body_length: false,
      },
      dmarc: {
        policy: 'dry_run',
        policies: null,
        on_quarantine: 'accept',
        no_author: 'reject',
        trusted_sealers: [],
      },
      reports: {
        store: null,
        org_name: null,
        email: null,
        extra_contact: null,
        sendmail: '/usr/sbin/sendmail',
        period: 86_400,
      },
      arc: { seal: 'forwarded', domain: null, selector: null, key_file: null },
      forward: { local_domains: [], forwarded: [] },
      srs: { domain: null, secrets_file: null, own_domains: [], max_age: 21 },
    });
  });

  it('the sample is valid, and has every option', async () => {
    const file = join(projectRoot, 'examples/authmilter/authmilter.cfg');
    await readSettings(file);
    const sample = readFileSync(file, 'utf8').split(/^(?=\[)/m);
    for (const [section, options] of Object.entries(OPTIONS)) {
      const own = sample.find((part) => part.startsWith(`[${section}]`));
      for (const name of Object.keys(options)) expect(own).toMatch(new RegExp(`^;?${name} =`, 'm'));
    }
  });

  it('no file of the example hides a module: require() prefers the name without an ending', () => {
    const names = readdirSync(join(projectRoot, 'examples/authmilter'));
    expect(names.filter((name) => names.includes(`${name}.ts`))).toStrictEqual([]);
  });

  it('the documentation has the options as they are declared', () => {
    const page = readFileSync(join(projectRoot, 'docs/authmilter.md'), 'utf8');
    for (const [section, options] of Object.entries(OPTIONS))
      expect(page).toContain(`\n${optionTable(`\`[${section}]\``, options)}\n\n`);
  });
});

describe('patterns', () => {
  it.each([
    [
      'ann@example.com',
      ['ann@example.com', 'Ann@EXAMPLE.com.', '<ann@example.com>'],
      ['bob@example.com', 'ann@a.example.com'],
    ],
    [
      'example.com',
      ['ann@example.com', 'x@example.com'],
      ['ann@a.example.com', 'example.com', 'ann@notexample.com'],
    ],
    [
      '*@*.example.com',
      ['ann@a.example.com', 'ann@a.b.example.com'],
      ['ann@example.com', 'ann@xexample.com'],
    ],
    ['info-*@example.com', ['info-x@example.com', 'info-@example.com'], ['info@example.com']],
    [
      'a*b*c@x.example',
      ['abc@x.example', 'a1b2c@x.example', 'abbcc@x.example'],
      ['acb@x.example', 'ab@x.example', 'ac@x.example'],
    ],
    ['*', ['ann@example.com'], []],
    ['m\u00fcller.example', ['ann@m\u00fcller.example', 'ann@xn--mller-kva.example'], ['ann@muller.example']],
  ])('%s', (pattern, matching, others) => {
    const matches = addressPattern(pattern);
    expect(matching.filter((address) => !matches(address))).toStrictEqual([]);
    expect(others.filter(matches)).toStrictEqual([]);
  });

  it('of many stars are matched in one pass', () => {
    const matches = addressPattern(`${'a*'.repeat(200)}b@x.example`);
    expect(matches(`${'a'.repeat(20_000)}@x.example`)).toBe(false);
    expect(matches(`${'a'.repeat(20_000)}b@x.example`)).toBe(true);
  });
});

describe('the signing table', () => {
  it('takes all lines of the first pattern that matches', async () => {
    fileOf('r.pem', await generateKey({ bits: 1024 }));
    fileOf('e.pem', await generateKey({ type: 'ed25519' }));
    const rows = [
      '# a comment',
      'ann@example.com example.com first e.pem',
      'example.com example.com second r.pem',
      'example.com example.com third e.pem',
      'envelope:*@lists.example lists.example list r.pem',
      '* other.example last e.pem',
    ];
    const table = await SigningTable.read(fileOf('table', rows.join('\n')), 0o600);
    const selectors = (from: string | null, sender = 'x@y.example') =>
      table.keysFor({ from, sender }).map(({ selector }) => selector);
    expect(selectors('ann@example.com')).toStrictEqual(['first']);
    expect(selectors('bob@example.com')).toStrictEqual(['second', 'third']);
    expect(selectors('bob@else.example', '<b@lists.example>')).toStrictEqual(['list']);
    expect(selectors('bob@else.example')).toStrictEqual(['last']);
    expect(table.keyFiles).toStrictEqual([join(directory, 'e.pem'), join(directory, 'r.pem')]);
  });
});

describe('what is done with a message', () => {
  it('the port decides, then the login, then the place', async () => {
    const { clients } = await configOf(
      `${MINIMAL}[clients]\nports = Submission sign, lists both\nauthenticated = none\n`,
    );
    const task = (place: 'internal' | 'relay' | 'external', user: string | null, port: string | null) =>
      taskFor({ place, user, port }, clients).task;
    expect(task('external', 'ann', 'submission')).toBe('sign');
    expect(task('external', null, 'LISTS')).toBe('both');
    expect(task('external', 'ann', 'smtp')).toBe('none');
    expect(task('external', null, null)).toBe('verify');
    expect(task('internal', null, 'smtp')).toBe('sign');
    expect(task('relay', null, 'smtp')).toBe('none');
  });

  it('is never a refusal for good if DNS did not answer', async () => {
    const envelope = { ip: '192.0.2.1', helo: 'h', sender: 's', utf8: false };
    const action = async (
      options: string,
      found: {
        spf?: string;
        dkim?: string[];
        arc?: string;
        sealer?: string;
        dmarc?: string;
        disposition?: string;
      },
    ): Promise<Decision['action']> => {
      const {
        spf = 'none',
        dkim = [],
        arc = 'none',
        dmarc,
        disposition = 'none',
        sealer = 'list.example',
      } = found;
      const findings = {
        envelope,
        spf: { result: spf, explanation: 'why' },
        dkim: dkim.map((result) => ({ result })),
        arc: { result: arc, sets: [{ instance: 1, domain: sealer }] },
        dmarc:
          dmarc === undefined
            ? null
            : { result: dmarc, disposition, policy: disposition, domain: 'd', overrides: [] },
      };
      return decide(findings as never, await configOf(MINIMAL + options)).action;
    };
    for (const policy of ['accept', 'tempfail'] as const) {
      const options = `[verify]\nreject_spf_fail = yes\non_dns_failure = ${policy}\n[dmarc]\ntrusted_sealers = list.example\n`;
      const of = (found: Parameters<typeof action>[1]) => action(options, found);
      expect(await of({ spf: 'temperror' })).toBe(policy);
      expect(await of({ dkim: ['fail', 'temperror'] })).toBe(policy);
      expect(await of({ dkim: ['pass', 'temperror'] })).toBe('accept');
      expect(await of({ spf: 'pass', dkim: ['permerror'] })).toBe('accept');
      expect(await of({ dmarc: 'temperror' })).toBe(policy);
      expect(await of({ dmarc: 'pass', spf: 'temperror', dkim: ['temperror'] })).toBe('accept');
      expect(await of({ dmarc: 'fail', disposition: 'reject' })).toBe('reject');
      // DMARC knows that SPF could not have helped.
      expect(await of({ dmarc: 'fail', disposition: 'reject', spf: 'temperror' })).toBe('reject');
      // A trusted sealer may have vouched for the message.
      expect(await of({ dmarc: 'fail', disposition: 'reject', arc: 'temperror' })).toBe(policy);
      // Anybody can add a seal of a domain whose DNS does not answer.
      const stranger = { arc: 'temperror', sealer: 'stranger.example' };
      expect(await of({ dmarc: 'fail', disposition: 'reject', ...stranger })).toBe('reject');
      expect(await of({ dmarc: 'none', ...stranger })).toBe('accept');
      expect(await of({ spf: 'fail' })).toBe('reject');
      expect(await of({ spf: 'fail', dmarc: 'pass' })).toBe('accept');
    }
    expect(await action('', { dmarc: 'fail', disposition: 'reject', arc: 'temperror' })).toBe('reject');
    const enforce = '[dmarc]\npolicy = enforce\n';
    expect(await action(enforce, { dmarc: 'permerror' })).toBe('reject');
    expect(await action(`${enforce}no_author = quarantine\n`, { dmarc: 'permerror' })).toBe('quarantine');
    expect(await action(`${enforce}no_author = accept\n`, { dmarc: 'permerror' })).toBe('accept');
    expect(await action('', { dmarc: 'permerror' })).toBe('accept'); // a dry run
  });
});

describe('the time for DNS', () => {
  it('is not used up by servers of the sender that keep silent: the policy of the author is asked for', async () => {
    await using server = await DnsServer.start({
      'sender.example': { fault: 'silence' },
      's._domainkey.sender.example': { fault: 'silence' },
      '_dmarc.author.example': { TXT: ['v=DMARC1; p=reject'] },
    });
    const settings = await readSettings(
      fileOf(
        'silent.cfg',
        `${MINIMAL}[verify]\nnameservers = ${server.address}\ndns_time = 4\n[dmarc]\npolicy = enforce\n`,
      ),
    );
    expect(settings.verify.on_dns_failure).toBe('accept');
    using time = new FakeTimeouts({ withClock: true });
    const envelope = { ip: '192.0.2.1', helo: 'sender.example', sender: '<a@sender.example>', utf8: false };
    const incoming = new Incoming(envelope, 'mx.example', settings, new AbortController().signal);
    const asked = (name: string) => turnsUntil(() => server.queries.includes(`TXT ${name}`));
    await asked('sender.example');
    time.advance(1_500);
    const hash = Buffer.alloc(32).toString('base64');
    incoming.header(
      'DKIM-Signature',
      ` v=1; a=rsa-sha256; d=sender.example; s=s; h=from; bh=${hash}; b=AAAA`,
    );
    incoming.header('From', ' a@author.example');
    incoming.eoh();
    await asked('s._domainkey.sender.example');
    // SPF has half of the time, and the keys half; both together have three quarters, which end now.
    time.advance(1_500);
    const findings = await incoming.findings();
    expect(findings).toMatchObject({
      spf: { result: 'temperror' },
      dkim: [{ result: 'temperror', reason: expect.stringContaining('(maxTime)') }],
      dmarc: { result: 'fail', policy: 'reject' },
    });
    expect(decide(findings, settings)).toMatchObject({ action: 'reject' });
  });
});

describe('Authentication-Results', () => {
  it('has a length that the MTA takes, however many signatures there are, and however long', async () => {
    await using server = await DnsServer.start({});
    const config = `${MINIMAL}[verify]\nauthserv_id = mx.example\nnameservers = ${server.address}\n`;
    const live = Promise.resolve({ current: await readSettings(fileOf('many.cfg', config)) });
    const log = { write: () => {} };
    const reports = live.then(({ current }) => new Reports(current.reports, log));
    const hostaddr = { family: 'inet', address: '192.0.2.1', port: 25 } as const;
    await using ctx = new TestCtx(() => new AuthFilter({ live, log, reports }), {
      hostname: 'c.example',
      hostaddr,
    });
    const long = `DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=s; h=from; i=${'x'.repeat(30_000)}@b.example; bh=AA==; b=AA==\n`;
    const fields = long.repeat(3) + 'DKIM-Signature: x\n'.repeat(1000);
    const { verdict } = await ctx.feedMessage(`${fields}From: b@b.example\n\ntext\n`, {
      sender: '<b@b.example>',
    });
    expect(ctx.errors).toStrictEqual([]);
    expect(verdict).toBe('continue');
    const added = ctx.message?.headers.find(([name]) => name === 'Authentication-Results');
    const value = added?.[1] ?? '';
    expect(value).toMatch(/dkim=policy reason="993 more signatures"/);
    expect(value.length).toBeLessThan(4000);
  });
});

describe('clients that the MTAs of the tests cannot have', () => {
  async function connected(
    hostname: string,
    hostaddr: NonNullable<TestCtxOptions['hostaddr']>,
  ): Promise<string[]> {
    const lines: string[] = [];
    const log = { write: (...words: readonly unknown[]) => lines.push(words.join(' ')) };
    const live = Promise.resolve({ current: await readSettings(fileOf('unit.cfg', MINIMAL)) });
    const reports = live.then(({ current }) => new Reports(current.reports, log));
    await using ctx = new TestCtx(() => new AuthFilter({ live, log, reports }), { hostname, hostaddr });
    await ctx.connect();
    expect(ctx.errors).toStrictEqual([]);
    return lines;
  }

  it('a program on this host is internal, a client of unknown address is not', async () => {
    const internal = [expect.stringMatching(/at no address internal$/)];
    expect(await connected('localhost', { family: 'unix', path: '' })).toStrictEqual(internal);
    expect(await connected('localhost', { family: 'unknown' })).toStrictEqual(internal);
    const external = [expect.stringMatching(/at no address external$/)];
    expect(await connected('unknown', { family: 'unknown' })).toStrictEqual(external);
  });
});
