// The filter for mail authentication (examples/authmilter.ts) behind both MTAs, with a DNS server of its own: what is signed is
// verified after the MTA has delivered it, and after another MTA has relayed it, by the filter and by other programs.
import { execFile } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ArcSealer } from 'tsmilter/arc';
import { type AuthResResult, parseAuthRes } from 'tsmilter/authres';
import { DkimSigner, formatKeyRecord, generateKey } from 'tsmilter/dkim';
import { Srs } from 'tsmilter/srs';
import { DnsServer, type Zone } from '../../tools/dns-server';
import {
  type EndpointName,
  type Mta,
  type SinkMessage,
  SmtpClient,
  startPostfix,
  startSendmail,
} from '../../tools/mta';
import { projectRoot } from '../../tools/project-root';
import { TIMEOUT, until } from '../../tools/wait';
import { expectThat } from '../support/expect';
import { ODD_MESSAGES, splitForFilter } from '../support/odd-messages';
import { parseMessage } from '../support/parsed-mail';
import { heard } from './support/conversation';
import { dkimpySealArc, dkimpyVerify, dkimpyVerifyArc, OpenDkim } from './support/dkim-programs';
import { logIn, loginByAddress } from './support/login';
import { type Kind, kinds, MtaFixture } from './support/mta-fixture';
import { Program } from './support/program';
import { headersOf } from './support/view';

const script = path.join(projectRoot, '.build/examples/authmilter.js');
const ID = 'mx.test';
const SECRET = 'a secret of ours';

/** Who connects from here is one of ours, or a relay; everybody else is a stranger. */
const from = {
  inside: '127.0.1.1',
  relay: '127.0.2.1',
  stranger: '127.0.3.1',
  forbidden: '127.0.4.1',
  user: '127.0.5.1',
};

/** Stands for the MTA's program: takes the same arguments, and hands the mail to the MTA of the environment. */
const SENDMAIL = `#!${process.execPath}
const [i, f, from, end, to] = process.argv.slice(2);
const { SmtpClient } = require(${JSON.stringify(path.join(projectRoot, '.build/tools/mta'))});
async function main() {
  if (i !== '-i' || f !== '-f' || end !== '--') throw new Error('which arguments are these?');
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('latin1');
  if (text.includes('\\r')) throw new Error('lines end in LF');
  const data = Buffer.from(text.replaceAll('\\n', '\\r\\n'), 'latin1');
  const [host, port] = process.env.TEST_MTA.split(' ');
  const client = await SmtpClient.open(host, Number(port), { localAddress: '${from.inside}', timeoutMs: ${2 * TIMEOUT} });
  const { last } = await client.send({ from, to, data });
  if (last.code !== 250) throw new Error('refused: ' + last.code);
  await client.quit();
}
main();
`;

const otherOf = (kind: Kind): Kind => (kind === 'sendmail' ? 'postfix' : 'sendmail');
const strings = (text: string) => text.match(/.{1,255}/g) ?? [];

/** Domains with a DMARC policy; only the stranger may send for them. */
function dmarcZone(): Zone {
  const policies = {
    'reject.example': 'reject',
    'quarantine.example': 'quarantine',
    'friend.example': 'reject',
    'trial.example': 'reject',
    'harsh.example': 'none',
  };
  const zones = Object.entries(policies).map(
    ([domain, policy]): Zone => ({
      [domain]: { TXT: [`v=spf1 ip4:${from.stranger} -all`] },
      [`_dmarc.${domain}`]: { TXT: [`v=DMARC1; p=${policy}`] },
      [`down._domainkey.${domain}`]: { fault: 'SERVFAIL' },
    }),
  );
  for (const kind of kinds) {
    const domain = `${kind}.example`;
    zones.push({
      [domain]: { TXT: [`v=spf1 ip4:${from.stranger} -all`] },
      [`_dmarc.${domain}`]: { TXT: [`v=DMARC1; p=reject; rua=mailto:reports@${domain}`] },
    });
  }
  return Object.assign({ '_dmarc.down.example': { fault: 'SERVFAIL' } }, ...zones);
}

/** A domain whose SPF record asks for 111 names, and whose keys stand behind eight aliases each. */
function greedyZone(domain: string): Zone {
  const zone: Zone = {};
  const ten = Array.from({ length: 10 }, (_, nth) => nth);
  const servers = ten.map((nth) => `mx:m${nth}.${domain}`);
  zone[domain] = { TXT: [strings(`v=spf1 ${servers.join(' ')} -all`)] };
  for (const nth of ten) {
    const hosts = ten.map((host) => `h${host}.m${nth}.${domain}`);
    zone[`m${nth}.${domain}`] = { MX: hosts.map((exchange) => ({ exchange, priority: 10 })) };
    for (const host of hosts) zone[host] = { A: ['192.0.2.99'] };
    for (let step = 0; step < 8; step++) {
      const name = step === 0 ? `k${nth}._domainkey.${domain}` : `a${step}.k${nth}.${domain}`;
      zone[name] = { CNAME: `a${step + 1}.k${nth}.${domain}` };
    }
  }
  return zone;
}

describe('authmilter', () => {
  let mtas: MtaFixture;
  let dns: DnsServer;
  let filter: Program;
  let opendkim: OpenDkim;
  let keys: { rsa: string; ed: string };
  /** An MTA of each kind that relays to the one of the other kind, which takes it for a stranger's. */
  const relays = new Map<Kind, Mta>();
  const file = (name: string) => path.join(mtas.dir, name);

  type Sections = Record<string, Record<string, string>>;
  let configuration: Sections;

  function writeConfiguration(sections: Sections, name = 'authmilter.cfg'): string {
    const text = Object.entries(sections).map(
      ([section, options]) =>
        `[${section}]\n${Object.entries(options)
          .map(([option, value]) => `${option} = ${value}\n`)
          .join('')}`,
    );
    fs.writeFileSync(file(`${name}.new`), text.join(''));
    fs.renameSync(file(`${name}.new`), file(name));
    return file(name);
  }

  /** Another configuration, once the filter has read it; undone by a second call without arguments. */
  async function reconfigure(changes: Sections = {}): Promise<void> {
    const sections = Object.keys({ ...configuration, ...changes });
    writeConfiguration(
      Object.fromEntries(sections.map((name) => [name, { ...configuration[name], ...changes[name] }])),
    );
    filter.output = '';
    filter.kill('SIGHUP');
    await filter.wrote(/settings were read again: SIGHUP/);
  }

  beforeAll(async () => {
    keys = { rsa: await generateKey(), ed: await generateKey({ type: 'ed25519' }) };
    dns = await DnsServer.start({
      'r._domainkey.example.com': { TXT: [strings(formatKeyRecord(keys.rsa))] },
      's._domainkey.example.com': { TXT: [strings(formatKeyRecord(keys.rsa))] },
      'e._domainkey.example.com': { TXT: [strings(formatKeyRecord(keys.ed))] },
      'down._domainkey.example.com': { fault: 'SERVFAIL' },
      'example.com': { TXT: [`v=spf1 ip4:${from.stranger} ip4:127.0.0.1 -all`] },
      'spf-down.example': { fault: 'SERVFAIL' },
      ...dmarcZone(),
    });
    mtas = await MtaFixture.start({
      fixture: null,
      endpoints: ['unix', 'inet'],
      mta: { sendmail: { extraConfig: loginByAddress(from.user) } },
    });
    opendkim = new OpenDkim(mtas.dir);
    for (const [name, key] of Object.entries(keys))
      fs.writeFileSync(file(`${name}.pem`), key, { mode: 0o600 });
    // dkimpy reads keys in the form of PKCS#1 alone.
    fs.writeFileSync(file('arc.pem'), createPrivateKey(keys.rsa).export({ format: 'pem', type: 'pkcs1' }));
    fs.writeFileSync(file('srs'), `${SECRET}\n`, { mode: 0o600 });
    fs.writeFileSync(
      file('table'),
      'example.com example.com r rsa.pem\nexample.com example.com e ed.pem\nenvelope:*@bounces.example example.com r rsa.pem\n',
    );
    fs.writeFileSync(
      file('policies'),
      'friend.example ignore\ntrial.example dry_run\nharsh.example reject\n',
    );
    fs.writeFileSync(file('sendmail'), SENDMAIL, { mode: 0o700 });
    configuration = {
      milter: { socketname: mtas.socket(), umask: '0111', name: 'authtest' },
      clients: { internal_connect: from.inside, trusted_relay: from.relay },
      verify: { authserv_id: ID, own_authserv_ids: 'old.test', nameservers: dns.address },
      sign: { signing_table: 'table' },
      dmarc: { policy: 'enforce', policies: 'policies', trusted_sealers: 'example.com' },
      arc: { domain: 'example.com', selector: 'r', key_file: 'rsa.pem' },
      forward: { local_domains: 'dest.test, example.com', forwarded: 'alumni@dest.test' },
      srs: { domain: 'srs.test', secrets_file: 'srs' },
      reports: {
        store: 'reports.db',
        org_name: 'Test & Co',
        email: 'dmarc@example.com',
        sendmail: 'sendmail',
        period: '1',
      },
    };
    filter = await Program.start(script, [writeConfiguration(configuration)], /: listening on /, file('tmp'));
    for (const kind of kinds) {
      const { port } = mtas.mta(otherOf(kind)).endpoints.unix;
      relays.set(
        kind,
        await { sendmail: startSendmail, postfix: startPostfix }[kind]({ sinkPort: port, filters: {} }),
      );
    }
  });
  afterAll(async () => {
    try {
      await filter?.stop();
      expect(filter?.output).toMatch(/ authtest\[\d+\]: stopped$/m);
      expect(filter?.output).not.toMatch(/untrapped/);
    } finally {
      await Promise.all([...relays.values()].map((relay) => relay.stop()));
      await mtas?.stop();
      await dns?.close();
    }
  });

  let numbers = 0;
  interface Mail {
    readonly at?: string;
    readonly sender?: string;
    readonly recipient?: string;
    readonly params?: string;
    readonly endpoint?: EndpointName;
    /** Who has logged in; the client comes from `from.user` then. */
    readonly user?: string;
    /** The MTA that is spoken to, if not the one with the filter. */
    readonly mta?: Mta;
  }

  /** Sends a message; resolves to the reply to its last step, and to a mark by which it is found again. */
  async function send(
    kind: Kind,
    message: Buffer,
    mail: Mail = {},
  ): Promise<{ reply: string; code: number; mark: string }> {
    const {
      at = from.stranger,
      sender = 'ann@example.com',
      recipient = 'rcpt@dest.test',
      params,
      mta,
      endpoint = 'unix',
      user,
    } = mail;
    const mark = `mark${++numbers}.${process.pid}`;
    const { host, port } = (mta ?? mtas.mta(kind)).endpoints[endpoint];
    const client = await SmtpClient.open(host, port, {
      localAddress: user === undefined ? at : from.user,
      timeoutMs: 2 * TIMEOUT,
    });
    try {
      if (user !== undefined) await logIn(client, kind, user);
      const { last } = await client.send({
        from: sender,
        to: recipient,
        data: Buffer.concat([Buffer.from(`X-Mark: ${mark}\r\n`), message]),
        ...(params !== undefined && { mailParams: params }),
      });
      if (last.code !== 421) await client.quit();
      return { reply: heard(last), code: last.code, mark };
    } finally {
      client.destroy();
    }
  }

  /** Sends a message that is accepted, and resolves to it as it was delivered. */
  async function deliver(kind: Kind, message: Buffer, mail: Mail = {}): Promise<SinkMessage> {
    const { code, reply, mark } = await send(kind, message, mail);
    expectThat(code, reply).toBe(250);
    return mtas.sink.next(({ raw }) => raw.includes(`X-Mark: ${mark}\r\n`), TIMEOUT);
  }

  /** The Authentication-Results fields of a delivered message, in their order. */
  const authResOf = (message: SinkMessage) =>
    headersOf(message).flatMap((field) => {
      const [, value] = /^Authentication-Results: ?([\s\S]*)/i.exec(field) ?? [];
      return value === undefined
        ? []
        : [parseAuthRes(value) ?? { id: value, results: [] as AuthResResult[] }];
    });
  const verdicts = (results: readonly AuthResResult[]) =>
    results.map(({ method, result }) => `${method}=${result}`);
  const namesOf = (message: SinkMessage) =>
    headersOf(message).map((field) => field.slice(0, field.indexOf(':')));

  /** A message that somebody else has signed. */
  async function signedByOther(message: Buffer, selector = 'r', domain = 'example.com'): Promise<Buffer> {
    const signer = new DkimSigner({ keys: [{ domain, selector, key: keys.rsa }], leadingSpace: true });
    const { headers, body } = splitForFilter(message);
    for (const [name, value] of headers) signer.header(name, value);
    signer.body(body);
    const fields = (await signer.eom()).map(
      ([name, value]) => `${name}:${value.replaceAll('\n', '\r\n')}\r\n`,
    );
    return Buffer.concat([Buffer.from(fields.join(''), 'latin1'), message]);
  }

  const reportMails = (domain: string) =>
    mtas.sink.messages.filter(({ rcptTo }) => rcptTo.some(({ address }) => address === `reports@${domain}`));
  const reportsFor = (domain: string) =>
    reportMails(domain).map(({ raw }) => gunzipSync(parseMessage(raw).attachment).toString());

  const plain = (ODD_MESSAGES['7-bit'] as { message: Buffer }).message;
  const withFields = (...fields: string[]) =>
    Buffer.concat([Buffer.from(fields.map((field) => `${field}\r\n`).join('')), plain]);

  describe.each(kinds)('%s', (kind) => {
    describe('signs', () => {
      for (const [title, { message, plain: isPlain }] of Object.entries(ODD_MESSAGES)) {
        // Debian's Sendmail has no SMTPUTF8, on either side of the relay.
        if (title === 'SMTPUTF8' && kind === 'sendmail') continue;
        test(`${title}: valid when delivered, and behind a relay of the other kind, for everybody`, async () => {
          const params = isPlain
            ? {}
            : { params: title === 'SMTPUTF8' ? 'BODY=8BITMIME SMTPUTF8' : 'BODY=8BITMIME' };
          const delivered = await deliver(kind, message, { at: from.inside, ...params });
          const own = namesOf(delivered).filter((name) => name === 'DKIM-Signature');
          expect(own).toHaveLength(2);
          expect(authResOf(delivered)).toStrictEqual([]);

          // On to an MTA of the other kind, and through the filter of this one, which takes it for a stranger's.
          const onward = title === 'SMTPUTF8' ? delivered : await relayed(kind, delivered, params.params);
          for (const each of new Set([delivered, onward])) {
            expect(await opendkim.verify(each.raw, dns)).toStrictEqual(['pass', 'pass']);
            expect(await dkimpyVerify([each.raw], dns, 0)).toStrictEqual(['pass']);
            expect(await dkimpyVerify([each.raw], dns, 1)).toStrictEqual(['pass']);
          }
          if (onward === delivered) return;
          const [field] = authResOf(onward);
          expect(field?.id).toBe(ID);
          expect(verdicts(field?.results ?? [])).toStrictEqual([
            'spf=pass',
            'dkim=pass',
            'dkim=pass',
            'dmarc=none',
          ]);
        });
      }

      async function relayed(first: Kind, { raw }: SinkMessage, params?: string): Promise<SinkMessage> {
        // Without the trace of its delivery by Return-Path, which only the last host adds.
        const next = relays.get(otherOf(first)) as Mta;
        return deliver(first, raw, { mta: next, ...(params !== undefined && { params }) });
      }

      test('by the sender of the envelope, where the table says so', async () => {
        const message = Buffer.from('From: list@other.example\r\nSubject: x\r\n\r\nhi\r\n');
        const delivered = await deliver(kind, message, { at: from.inside, sender: 'b@bounces.example' });
        expect(namesOf(delivered).filter((name) => name === 'DKIM-Signature')).toHaveLength(1);
        expect(await opendkim.verify(delivered.raw, dns)).toStrictEqual(['pass']);
      });

      test.each([
        [
          'another domain',
          'From: joe@other.example\r\n',
          /not signed: the signing table has no key for joe@other\.example/,
        ],
        [
          'two From',
          'From: ann@example.com\r\nFrom: eve@example.com\r\n',
          /not signed: there are several From/,
        ],
      ])('not the mail of %s', async (_title, fields, reason) => {
        filter.output = '';
        const delivered = await deliver(kind, Buffer.from(`${fields}\r\nhi\r\n`), {
          at: from.inside,
          sender: 'x@other.example',
        });
        expect(namesOf(delivered)).not.toContain('DKIM-Signature');
        await filter.wrote(reason);
      });

      test("not a stranger's mail, not a relay's", async () => {
        for (const at of [from.stranger, from.relay]) {
          expect(namesOf(await deliver(kind, plain, { at }))).not.toContain('DKIM-Signature');
        }
      });
    });

    describe('verifies', () => {
      test.each<[string, () => Buffer | Promise<Buffer>, string[]]>([
        ['a valid signature', () => signedByOther(plain), ['spf=pass', 'dkim=pass', 'dmarc=none']],
        ['an unsigned message', () => plain, ['spf=pass', 'dkim=none', 'dmarc=none']],
        [
          'a changed message',
          async () => Buffer.concat([await signedByOther(plain), Buffer.from('more\r\n')]),
          ['spf=pass', 'dkim=fail', 'dmarc=none'],
        ],
        [
          'a key that DNS does not have',
          () => signedByOther(plain, 'none'),
          ['spf=pass', 'dkim=permerror', 'dmarc=none'],
        ],
        [
          'a key that DNS cannot tell',
          () => signedByOther(plain, 'down'),
          ['spf=pass', 'dkim=temperror', 'dmarc=none'],
        ],
      ])('%s', async (_title, message, expected) => {
        const delivered = await deliver(kind, await message());
        const [field, ...more] = authResOf(delivered);
        expect(field?.id).toBe(ID);
        expect(verdicts(field?.results ?? [])).toStrictEqual(expected);
        expect(more).toStrictEqual([]);
        // At the top: above the trace of this MTA, but for what the delivering MTA adds.
        expect(namesOf(delivered).filter((name) => name !== 'Return-Path')[0]).toBe('Authentication-Results');
      });

      test('what the field says of a signature and of the sender', async () => {
        const [field] = authResOf(await deliver(kind, await signedByOther(plain)));
        const [spf, dkim] = field?.results ?? [];
        expect(spf?.properties).toStrictEqual([
          { ptype: 'smtp', property: 'mailfrom', value: 'ann@example.com' },
        ]);
        expect(dkim?.properties).toMatchObject([
          { ptype: 'header', property: 'd', value: 'example.com' },
          { ptype: 'header', property: 'i', value: '@example.com' },
          { ptype: 'header', property: 's', value: 'r' },
          { ptype: 'header', property: 'a', value: 'rsa-sha256' },
          { ptype: 'header', property: 'b', value: expect.stringMatching(/^.{8}$/) },
        ]);
      });

      test("under the MTA's name, unless another one is configured", async () => {
        await reconfigure({ verify: { authserv_id: '' } });
        try {
          const forged = withFields(`Authentication-Results: ${kind}.test; dmarc=pass`);
          const [field, ...more] = authResOf(await deliver(kind, forged));
          expect(field?.id).toBe(`${kind}.test`);
          expect(more).toStrictEqual([]);
        } finally {
          await reconfigure();
        }
      });

      test('a chain of ARC that dkimpy has sealed', async () => {
        const received = Buffer.concat([
          Buffer.from('Authentication-Results: list.example; spf=pass\r\n'),
          plain,
        ]);
        const sealed = await dkimpySealArc(received, file('arc.pem'), 'list.example');
        const [field] = authResOf(await deliver(kind, sealed));
        expect(verdicts(field?.results ?? [])).toStrictEqual([
          'spf=pass',
          'dkim=none',
          'arc=pass',
          'dmarc=none',
        ]);
        const [changed] = authResOf(await deliver(kind, Buffer.concat([sealed, Buffer.from('more\r\n')])));
        expect(verdicts(changed?.results ?? [])).toStrictEqual([
          'spf=pass',
          'dkim=none',
          'arc=fail',
          'dmarc=none',
        ]);
      });

      test('the null sender: SPF of the HELO name', async () => {
        const [field] = authResOf(await deliver(kind, plain, { sender: '' }));
        expect(field?.results[0]).toMatchObject({
          method: 'spf',
          result: 'none',
          properties: [{ property: 'helo', value: 'client.test' }],
        });
      });

      test('forged fields of ours go, wherever they stand, those of others stay in their order', async () => {
        const forged = withFields(
          `Authentication-Results: ${ID}; dkim=pass header.d=bank.example`,
          'Authentication-Results: other.example; spf=pass',
          `authentication-results: ${ID.toUpperCase()} 1; spf=pass`,
          'Authentication-Results: third.example; none',
          'Authentication-Results: old.test; dmarc=pass',
          `Authentication-Results: (comment) "${ID}"; none`,
        );
        for (const at of [from.stranger, from.inside]) {
          const fields = authResOf(await deliver(kind, forged, { at }));
          const ids = fields.map(({ id }) => id);
          expect(ids).toStrictEqual([
            ...(at === from.stranger ? [ID] : []),
            'other.example',
            'third.example',
          ]);
        }
        // A relay of ours has added its own field.
        expect(authResOf(await deliver(kind, forged, { at: from.relay }))).toHaveLength(6);
      });

      test('a name in a field cannot forge a result', async () => {
        const sender = '"x; dkim=pass header.d=bank.example"@example.com';
        const [field] = authResOf(await deliver(kind, plain, { sender }));
        expect(verdicts(field?.results ?? [])).toStrictEqual(['spf=pass', 'dkim=none', 'dmarc=none']);
      });
    });

    describe('forwarding', () => {
      const srs = new Srs({ secrets: [SECRET], domain: 'srs.test' });

      test('the sender of mail for an alias elsewhere is rewritten, and a bounce comes back to it', async () => {
        for (const recipient of ['alumni@dest.test', 'joe@elsewhere.example']) {
          const { mailFrom } = await deliver(kind, plain, { sender: 'joe@other.example', recipient });
          expect(mailFrom.address).toBe(srs.forward('joe@other.example'));
          const bounce = await deliver(kind, plain, { sender: '', recipient: mailFrom.address });
          expect(bounce.rcptTo.map(({ address }) => address)).toStrictEqual(['joe@other.example']);
        }
      });

      test('a forwarded message is sealed, and again behind the next forwarder; a local one is not', async () => {
        const first = await deliver(kind, await signedByOther(plain), { recipient: 'joe@elsewhere.example' });
        expect(namesOf(first).filter((name) => /^ARC-/.test(name))).toStrictEqual([
          'ARC-Seal',
          'ARC-Message-Signature',
          'ARC-Authentication-Results',
        ]);
        expect(await dkimpyVerifyArc([first.raw], dns)).toStrictEqual(['pass']);
        const second = await deliver(kind, first.raw, { recipient: 'joe@elsewhere.example' });
        const results = verdicts(authResOf(second)[0]?.results ?? []);
        expect(results).toContain('arc=pass');
        expect(await dkimpyVerifyArc([second.raw], dns)).toStrictEqual(['pass']);
        expect(namesOf(second).filter((name) => name === 'ARC-Seal')).toHaveLength(2);
        expect(namesOf(await deliver(kind, plain))).not.toContain('ARC-Seal');
      });

      test('verified and signed again: the seal covers our own signature', async () => {
        const port = kind === 'sendmail' ? 'unix' : 'postfix.test';
        await reconfigure({ clients: { ports: `${port} both` } });
        try {
          const both = await deliver(kind, plain, { recipient: 'joe@elsewhere.example' });
          expect(namesOf(both).filter((name) => name === 'DKIM-Signature')).toHaveLength(2);
          expect(await dkimpyVerifyArc([both.raw], dns)).toStrictEqual(['pass']);
          expect(await opendkim.verify(both.raw, dns)).toStrictEqual(['pass', 'pass']);
        } finally {
          await reconfigure();
        }
      });

      test('a chain that DNS cannot tell is not sealed', async () => {
        const sealed = await dkimpySealArc(
          Buffer.concat([Buffer.from('Authentication-Results: list.example; spf=pass\r\n'), plain]),
          file('arc.pem'),
          'list.example',
        );
        const unknown = Buffer.from(sealed.toString('latin1').replaceAll(' s=s;', ' s=down;'), 'latin1');
        filter.output = '';
        const delivered = await deliver(kind, unknown, { recipient: 'joe@elsewhere.example' });
        expect(namesOf(delivered).filter((name) => name === 'ARC-Seal')).toHaveLength(1);
        await filter.wrote(/not sealed: the chain cannot be verified at present/);
      });

      test('not for local recipients, own senders and the null sender', async () => {
        for (const [sender, recipient] of [
          ['joe@other.example', 'rcpt@dest.test'],
          ['ann@example.com', 'alumni@dest.test'],
          ['', 'alumni@dest.test'],
        ] as const) {
          expect((await deliver(kind, plain, { sender, recipient })).mailFrom.address).toBe(sender);
        }
      });

      test('a forged and an expired address are refused', async () => {
        const forged = new Srs({ secrets: ['guess'], domain: 'srs.test' }).forward('joe@other.example');
        const old = new Srs({
          secrets: [SECRET],
          domain: 'srs.test',
          now: () => Date.now() - 30 * 86_400_000,
        });
        expect((await send(kind, plain, { sender: '', recipient: forged })).reply).toMatch(
          /^550 5\.1\.1 .*forged/,
        );
        expect(
          (await send(kind, plain, { sender: '', recipient: old.forward('joe@other.example') })).reply,
        ).toMatch(/^550 5\.1\.1 .*expired/);
      });
    });

    test('reports to a domain what it has seen of its mail, in mail of its own that is signed', async () => {
      const domain = `${kind}.example`;
      const message = Buffer.from(`From: Joe <joe@${domain}>\r\nSubject: x\r\n\r\nhi\r\n`);
      await deliver(kind, message, { sender: `joe@${domain}` });
      const refused = await send(kind, message, { sender: 'ann@other.example', at: from.forbidden });
      expect(refused.code).toBe(550);

      const { host, port } = mtas.mta(kind).endpoints.unix;
      const env = { ...process.env, TEST_MTA: `${host} ${port}` };
      let said = '';
      await until('two messages in reports', async () => {
        const args = [script, '--send-reports', file('authmilter.cfg')];
        said += (await promisify(execFile)(process.execPath, args, { env })).stdout;
        return (
          reportsFor(domain)
            .join('')
            .match(/<record>/g)?.length === 2
        );
      });
      expect(said).toContain(`report for ${domain} sent to reports@${domain}`);
      const records =
        reportsFor(domain)
          .join('')
          .match(/<record>.*?<\/record>/gs) ?? [];
      const of = (ip: string) =>
        records.find((record) => record.includes(`<source_ip>${ip}</source_ip>`)) ?? '';
      const evaluated = (text: string) =>
        text.match(/<policy_evaluated>.*<\/policy_evaluated>/s)?.[0].replace(/\s/g, '');
      expect(evaluated(of(from.stranger))).toBe(
        '<policy_evaluated><disposition>pass</disposition><dkim>fail</dkim><spf>pass</spf></policy_evaluated>',
      );
      expect(evaluated(of(from.forbidden))).toBe(
        '<policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated>',
      );
      expect(of(from.forbidden)).toContain(`<header_from>${domain}</header_from>`);
      for (const mail of reportMails(domain)) {
        expect(namesOf(mail).filter((name) => name === 'DKIM-Signature')).toHaveLength(2);
        expect(mail.mailFrom.address).toBe('dmarc@example.com');
      }
    });

    describe('follows DMARC', () => {
      const mailFrom = (domain: string) =>
        Buffer.from(`From: Joe <joe@${domain}>\r\nSubject: x\r\n\r\nhi\r\n`);
      const elsewhere = { sender: 'joe@other.example' };
      const dmarcOf = (message: SinkMessage) =>
        authResOf(message)[0]?.results.find(({ method }) => method === 'dmarc');

      test('p=reject: refused, unless SPF or DKIM shows whose it is', async () => {
        const refused = await send(kind, mailFrom('reject.example'), elsewhere);
        expect(refused.reply).toMatch(
          /^550 5\.7\.26 DMARC: neither SPF nor DKIM shows that this mail is from reject\.example/,
        );
        const passed = await deliver(kind, mailFrom('reject.example'), { sender: 'joe@reject.example' });
        expect(dmarcOf(passed)).toMatchObject({
          result: 'pass',
          properties: [{ property: 'from', value: 'reject.example' }, {}],
        });
        const forbidden = { sender: 'joe@reject.example', at: from.forbidden };
        expect((await send(kind, mailFrom('reject.example'), forbidden)).reply).toMatch(/^550 5\.7\.26 /);
      });

      test('p=quarantine: accepted and marked, or held, or refused', async () => {
        const marked = await deliver(kind, mailFrom('quarantine.example'), elsewhere);
        expect(dmarcOf(marked)).toMatchObject({ result: 'fail' });
        await reconfigure({ dmarc: { on_quarantine: 'quarantine' } });
        try {
          const { code, mark } = await send(kind, mailFrom('quarantine.example'), elsewhere);
          expect(code).toBe(250);
          await until('the message is held', () =>
            mtas
              .mta(kind)
              .quarantined()
              .some((text) => kind === 'sendmail' || text.includes(mark)),
          );
          await reconfigure({ dmarc: { on_quarantine: 'reject' } });
          expect((await send(kind, mailFrom('quarantine.example'), elsewhere)).reply).toMatch(
            /^550 5\.7\.26 /,
          );
        } finally {
          await reconfigure();
        }
      });

      test('exceptions for a domain', async () => {
        filter.output = '';
        expect(dmarcOf(await deliver(kind, mailFrom('friend.example'), elsewhere))).toMatchObject({
          result: 'fail',
        });
        await filter.wrote(/accept: DMARC fail of friend\.example, p=reject, an exception for this domain/);
        await deliver(kind, mailFrom('trial.example'), elsewhere);
        await filter.wrote(/accept: DMARC fail of trial\.example, p=reject, dry run, otherwise reject/);
        expect((await send(kind, mailFrom('harsh.example'), elsewhere)).reply).toMatch(/^550 5\.7\.26 /);
      });

      test('dry run, and not at all', async () => {
        await reconfigure({ dmarc: { policy: 'dry_run' } });
        try {
          filter.output = '';
          expect(dmarcOf(await deliver(kind, mailFrom('reject.example'), elsewhere))).toMatchObject({
            result: 'fail',
          });
          await filter.wrote(/accept: DMARC fail of reject\.example, p=reject/);
          await reconfigure({ dmarc: { policy: 'off' } });
          expect(dmarcOf(await deliver(kind, mailFrom('reject.example'), elsewhere))).toBeUndefined();
        } finally {
          await reconfigure();
        }
      });

      test('never refuses what DNS cannot tell', async () => {
        const signed = await signedByOther(mailFrom('reject.example'), 'down', 'reject.example');
        expect(dmarcOf(await deliver(kind, signed, elsewhere))).toMatchObject({ result: 'temperror' });
        expect(dmarcOf(await deliver(kind, mailFrom('down.example'), elsewhere))).toMatchObject({
          result: 'temperror',
        });
        await reconfigure({ verify: { on_dns_failure: 'tempfail' } });
        try {
          expect((await send(kind, signed, elsewhere)).reply).toMatch(
            /^451 4\.4\.3 DNS did not answer \(DMARC\)/,
          );
          expect((await send(kind, mailFrom('down.example'), elsewhere)).reply).toMatch(/^451 4\.4\.3 /);
        } finally {
          await reconfigure();
        }
      });

      test('a sender cannot spend the questions that the policy of the author needs', async () => {
        const victim = `victim-${kind}.example`;
        const greedy = `greedy-${kind}.example`;
        dns.zone = {
          ...dns.zone,
          ...greedyZone(greedy),
          [`_dmarc.${victim}`]: { TXT: ['v=DMARC1; p=reject'] },
        };
        dns.queries.length = 0;
        dns.follows = false; // each alias costs a question
        try {
          let message: Buffer = mailFrom(victim);
          for (let nth = 0; nth < 12; nth++) message = await signedByOther(message, `k${nth}`, greedy);
          filter.output = '';
          expect((await send(kind, message, { sender: `joe@${greedy}` })).reply).toMatch(
            /^550 5\.7\.26 DMARC: neither SPF nor DKIM/,
          );
          await filter.wrote(new RegExp(`reject: DMARC fail of ${victim}, p=reject`));
        } finally {
          dns.follows = true;
        }
        expect(dns.queries).toContain(`TXT _dmarc.${victim}`);
        // A truncated answer is asked for again over TCP, which is the same question.
        const questions = [...new Set(dns.queries)];
        const keys = questions.filter((question) => /^TXT (?:k|a)\d/.test(question));
        const spf = questions.filter((question) => /^(?:MX m|A h|TXT greedy)/.test(question));
        expect(spf.length + keys.length).toBe(45);
        expect(Math.min(spf.length, keys.length)).toBeGreaterThanOrEqual(15);
        expect(questions.length).toBeLessThanOrEqual(60);
      });

      test('a seal whose key DNS does not tell is no way around it', async () => {
        const sealer = new ArcSealer({
          key: { domain: 'quarantine.example', selector: 'down', key: keys.rsa },
        });
        const message = mailFrom('reject.example');
        const { headers, body } = splitForFilter(message);
        for (const [name, value] of headers) sealer.header(name, value.toString('latin1').trimStart());
        sealer.body(body);
        const { fields } = await sealer.eom({
          arc: { result: 'none', sets: [] },
          authRes: { id: 'quarantine.example', results: [{ method: 'dmarc', result: 'pass' }] },
        });
        const sealed = Buffer.concat([
          Buffer.from(
            fields
              .toReversed()
              .map(([name, value]) => `${name}: ${value.replaceAll('\n', '\r\n')}\r\n`)
              .join(''),
          ),
          message,
        ]);
        filter.output = '';
        expect((await send(kind, sealed, elsewhere)).reply).toMatch(/^550 5\.7\.26 /);
        await filter.wrote(/arc=temperror/);
      });

      test('a trusted sealer says that the message was in order when it came there', async () => {
        const received = Buffer.concat([
          Buffer.from('Authentication-Results: list.example; dmarc=pass header.from=reject.example\r\n'),
          mailFrom('reject.example'),
        ]);
        const sealed = await dkimpySealArc(received, file('arc.pem'), 'list.example');
        const delivered = await deliver(kind, sealed, elsewhere);
        expect(verdicts(authResOf(delivered)[0]?.results ?? [])).toStrictEqual([
          'spf=none',
          'dkim=none',
          'arc=pass',
          'dmarc=fail',
        ]);
        await reconfigure({ dmarc: { trusted_sealers: 'other.example' } });
        try {
          expect((await send(kind, sealed, elsewhere)).reply).toMatch(/^550 5\.7\.26 /);
        } finally {
          await reconfigure();
        }
      });
    });

    describe('decides', () => {
      test('what DNS cannot tell is accepted, or deferred if so configured, and never refused', async () => {
        const unknown = await signedByOther(plain, 'down');
        await deliver(kind, unknown);
        await reconfigure({ verify: { on_dns_failure: 'tempfail', reject_spf_fail: 'yes' } });
        try {
          expect((await send(kind, unknown)).reply).toMatch(/^451 4\.4\.3 DNS did not answer \(DKIM\)/);
          expect((await send(kind, plain, { sender: 'joe@spf-down.example' })).reply).toMatch(
            /^451 4\.4\.3 DNS did not answer \(SPF\)/,
          );
          // A second signature is valid: the first does not matter.
          await deliver(kind, await signedByOther(unknown));
          expect((await send(kind, plain, { at: from.forbidden })).reply).toMatch(/^550 5\.7\.23 SPF fail/);
          await reconfigure({
            verify: { on_dns_failure: 'tempfail', reject_spf_fail: 'yes' },
            milter: { dry_run: 'yes' },
          });
          filter.output = '';
          await deliver(kind, plain, { at: from.forbidden });
          await filter.wrote(/accept \(dry run, otherwise reject\): SPF fail/);
          await deliver(kind, unknown);
          await filter.wrote(/accept \(dry run, otherwise tempfail\): DNS cannot tell: DKIM/);
        } finally {
          await reconfigure();
        }
      });

      test('by the port before the address', async () => {
        const port = kind === 'sendmail' ? 'unix' : 'postfix.test'; // as {daemon_name} has it
        await reconfigure({ clients: { ports: `other none, ${port} both` } });
        try {
          filter.output = '';
          const delivered = await deliver(kind, plain);
          await filter.wrote(/: both \(port /);
          expect(authResOf(delivered)).toHaveLength(1);
          expect(namesOf(delivered).filter((name) => name === 'DKIM-Signature')).toHaveLength(2);
        } finally {
          await reconfigure();
        }
      });

      test('by the login before the address', async () => {
        filter.output = '';
        const delivered = await deliver(kind, plain, { user: 'ann' });
        await filter.wrote(/: sign \(user ann\)/);
        expect(namesOf(delivered).filter((name) => name === 'DKIM-Signature')).toHaveLength(2);
        expect(authResOf(delivered)).toStrictEqual([]);
      });
    });

    test('a message in progress keeps the settings with which it began, and its session goes on', async () => {
      const message = await signedByOther(plain, 'down');
      const { host, port } = mtas.mta(kind).endpoints.unix;
      using client = await SmtpClient.open(host, port, {
        localAddress: from.stranger,
        timeoutMs: 2 * TIMEOUT,
      });
      const begin = async () => {
        expect((await client.command('MAIL FROM:<ann@example.com>')).code).toBe(250);
        expect((await client.command('RCPT TO:<rcpt@dest.test>')).code).toBe(250);
      };
      await client.command('EHLO client.test');
      await begin();
      await reconfigure({ verify: { on_dns_failure: 'tempfail' } });
      try {
        expect((await client.data(message)).code).toBe(250);
        await begin();
        expect((await client.data(message)).code).toBe(451);
      } finally {
        await reconfigure();
      }
      await begin();
      expect((await client.data(message)).code).toBe(250);
    });
  });

  test('a key that changes is used, and a bad one is not', async () => {
    const renewed = await generateKey();
    const replace = async (content: string, written: RegExp) => {
      filter.output = '';
      fs.writeFileSync(file('rsa.pem.new'), content, { mode: 0o600 });
      fs.renameSync(file('rsa.pem.new'), file('rsa.pem'));
      await filter.wrote(written);
    };
    const sign = async () => (await deliver('postfix', plain, { at: from.inside })).raw;
    await replace(
      'no key',
      /table:1: .*rsa\.pem: the private key cannot be used.*; the old settings stay in use/,
    );
    expect(await opendkim.verify(await sign(), dns)).toStrictEqual(['pass', 'pass']);
    await replace(renewed, /settings were read again: a file has changed/);
    expect(await opendkim.verify(await sign(), dns)).not.toStrictEqual(['pass', 'pass']);
    await replace(keys.rsa, /settings were read again: a file has changed/);
    expect(await opendkim.verify(await sign(), dns)).toStrictEqual(['pass', 'pass']);
  });

  test('a bad configuration leaves everything as it was', async () => {
    filter.output = '';
    writeConfiguration({ ...configuration, verify: { ...configuration.verify, on_dns_failure: 'reject' } });
    filter.kill('SIGHUP');
    await filter.wrote(
      /\[verify\] on_dns_failure: reject is not one of accept, tempfail; the old settings stay in use/,
    );
    await deliver('postfix', await signedByOther(plain, 'down'));
    await reconfigure();
  });

  test('in worker threads, which SIGHUP reaches as well', async () => {
    const inet = { ...configuration.milter, socketname: mtas.socket('inet'), workers: '2' };
    const config = writeConfiguration({ ...configuration, milter: inet }, 'workers.cfg');
    const threads = await Program.start(script, [config], /: listening on /, file('tmp-workers'));
    try {
      const all = await Promise.all(
        [1, 2, 3, 4].flatMap(() =>
          kinds.map((kind) => deliver(kind, plain, { at: from.inside, endpoint: 'inet' })),
        ),
      );
      for (const { raw } of all) expect(await opendkim.verify(raw, dns)).toStrictEqual(['pass', 'pass']);
      threads.kill('SIGHUP');
      await threads.wrote(/(?:read again: SIGHUP[\s\S]*){3}/);
    } finally {
      await threads.stop();
    }
  });

  describe('an invalid configuration', () => {
    test.each<[string, (good: Sections) => Sections, RegExp]>([
      ['no socket', () => ({}), /\[milter\] socketname: is missing/],
      [
        'an unknown option',
        (good) => ({ ...good, sign: { signing_tabel: 'x' } }),
        /wrong\.cfg:\d+: \[sign\] signing_tabel is unknown; did you mean signing_table\?/,
      ],
      ['an unknown section', (good) => ({ ...good, dkim: { x: '1' } }), /\[dkim\] is unknown; /],
      [
        'strangers whose mail is signed',
        (good) => ({ ...good, clients: { external: 'both' } }),
        /external: both would sign the mail of strangers/,
      ],
      [
        'a port without a task',
        (good) => ({ ...good, clients: { ports: 'submission' } }),
        /ports: submission is not a name and what is done/,
      ],
      [
        'a network that is none',
        (good) => ({ ...good, clients: { internal_connect: '10.0.0.0/99' } }),
        /internal_connect: /,
      ],
      ['a table that is not there', (good) => ({ ...good, sign: { signing_table: 'none' } }), /none: ENOENT/],
      [
        'a key that others may read',
        (good) => ({ ...good, sign: { signing_table: 'open-table' } }),
        /open-table:1: .*its mode is 0644/,
      ],
      [
        'a row with a column too many',
        (good) => ({ ...good, sign: { signing_table: 'wide-table' } }),
        /wide-table:2: a row has 4 columns/,
      ],
      [
        'a field that must not be signed',
        (good) => ({ ...good, sign: { headers: 'from, Authentication-Results' } }),
        /must not be signed/,
      ],
      [
        'SRS without secrets',
        (good) => ({ ...good, srs: { domain: 'srs.test' } }),
        /secrets_file: is missing/,
      ],
      [
        'secrets that are open',
        (good) => ({ ...good, srs: { domain: 'srs.test', secrets_file: 'open.pem' } }),
        /its mode is 0644/,
      ],
      [
        'a number out of range',
        (good) => ({ ...good, verify: { dns_time: '0' } }),
        /dns_time: 0 is not a number from 1 to 300/,
      ],
      [
        'a name server by name',
        (good) => ({ ...good, verify: { nameservers: 'dns.example' } }),
        /nameservers: .*not an IP address/,
      ],
    ])('%s: an error message of one line, exit code 1', async (_title, change, message) => {
      fs.writeFileSync(file('open.pem'), keys.rsa, { mode: 0o644 });
      fs.chmodSync(file('open.pem'), 0o644);
      fs.writeFileSync(file('wrong-policies'), 'example.com refuse\n');
      fs.writeFileSync(file('open-table'), '* example.com r open.pem\n');
      fs.writeFileSync(file('wide-table'), '# comment\n* example.com r rsa.pem more\n');
      const config = writeConfiguration(
        change({ milter: { socketname: 'unix:/nowhere/sock' } }),
        'wrong.cfg',
      );
      const [code, stderr] = await new Promise<[unknown, string]>((resolve) => {
        execFile(process.execPath, [script, config], { timeout: TIMEOUT }, (error, _, text) =>
          resolve([error?.code, text]),
        );
      });
      expectThat(code, stderr).toBe(1);
      expect(stderr).toMatch(message);
      expect(stderr).toMatch(/^authmilter: [^\n]+\n$/);
    });
  });
});
