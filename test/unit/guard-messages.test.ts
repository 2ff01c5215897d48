/** examples/guard: what becomes of messages where that depends on no MTA. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ArcSealer } from 'tsmilter/arc';
import { Srs } from 'tsmilter/srs';
import type { Zone } from '../../tools/dns-server';
import { type Attempt, GuardClient, INSIDE, replyTo, type Sections, STRANGER } from '../support/guard-client';
import { SmtpScript } from '../support/smtp-script';

const FAULT = { fault: 'SERVFAIL' } as const;

/** A message of bank.test that a list has sealed; nothing else shows that it is from there. */
async function sealedByList(author: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const sealer = new ArcSealer({ key: { domain: 'lists.test', selector: 's1', key: privateKey } });
  const [from, subject] = [`a@${author}`, 'hello'];
  sealer.header('From', from);
  sealer.header('Subject', subject);
  sealer.eoh();
  sealer.body(Buffer.from('Hello\r\n'));
  const properties = [{ ptype: 'header', property: 'from', value: author }] as const;
  const { fields } = await sealer.eom({
    arc: { result: 'none', sets: [] },
    authRes: { id: 'lists.test', results: [{ method: 'dmarc', result: 'pass', properties }] },
  });
  const head = [...fields, ['From', from], ['Subject', subject]].map(
    ([name, value]) => `${name}: ${value}\n`,
  );
  return `${head.join('')}\nHello\n`.replaceAll('\n', '\r\n');
}

describe('what DNS does not answer', () => {
  const cases: [what: string, sections: Sections, zone: Zone, sender: string, reply: RegExp][] = [
    [
      'a trusted forwarder',
      { authentication: { trusted_forwarder: 'fwd2.test' }, spf: { mode: 'reject' } },
      { 'fail.test': { TXT: ['v=spf1 -all'] }, 'fwd2.test': FAULT },
      'a@fail.test',
      /^451 4\.4\.3 SPF temperror of "a@fail\.test"\. /,
    ],
    [
      'the record of a sender of ours',
      { spoofed_sender: { mode: 'reject' } },
      { 'b2.ours.test': FAULT },
      'a@b2.ours.test',
      /^451 4\.4\.3 Mail from "b2\.ours\.test" comes from our own servers only/,
    ],
    [
      'the record of a sender that is banned but for a pass',
      { banned_senders: { mode: 'reject', senders: 'org2.test:!pass' } },
      { 'org2.test': FAULT },
      'a@org2.test',
      /^451 4\.4\.3 Mail from "a@org2\.test" is not accepted here/,
    ],
    [
      'the best guess for a sender that is banned without a record',
      { banned_senders: { mode: 'reject', senders: 'org3.test:none' } },
      { 'org3.test': { ...FAULT, faultTypes: ['A', 'MX'] } },
      'a@org3.test',
      /^accept$/,
    ],
    [
      'the record of a sender, with a policy that refuses',
      { spf: { mode: 'reject', temperror: 'reject' } },
      { 'org4.test': FAULT },
      'a@org4.test',
      /^451 4\.4\.3 SPF temperror of "a@org4\.test"/,
    ],
  ];
  it.each(cases)('is no reason to refuse for good: %s', async (_, sections, zone, sender, reply) => {
    await using guard = await GuardClient.start(sections, zone);
    expect(replyTo(await guard.send(undefined, { sender }))).toMatch(reply);
  });

  it('is no reason to let a sender pass that is banned in any case', async () => {
    const sections = { banned_senders: { mode: 'reject', senders: 'org5.test' } };
    await using guard = await GuardClient.start(sections, { 'org5.test': FAULT });
    expect(replyTo(await guard.send(undefined, { sender: 'a@org5.test' }))).toMatch(/^550 5\.7\.1 /);
  });

  it.each<[what: string, trusted: string, reply: RegExp]>([
    ['is no reason to refuse for good', 'lists.test', /^451 4\.4\.3 DNS does not tell at present/],
    ['does not matter', 'other.test', /^550 5\.7\.1 .*\(DMARC\)/],
  ])('%s: the seal of %s', async (_, trusted, reply) => {
    const author = `${trusted.replace('.test', '')}.bank.test`;
    await using guard = await GuardClient.start(
      { dmarc: { mode: 'reject', trusted_sealers: trusted }, reputation: { mode: 'tag' } },
      {
        [`_dmarc.${author}`]: { TXT: ['v=DMARC1; p=reject'] },
        's1._domainkey.lists.test': FAULT,
      },
    );
    const attempt: Attempt = { sender: 'l@lists.test' };
    expect(replyTo(await guard.send(await sealedByList(author), attempt))).toMatch(reply);
  });
});

describe('the mail server of a sender', () => {
  /** A configuration in which SPF's `fail` has this policy, and a server of the sender that counts what it is asked. */
  async function asking(policy: 'cbv' | 'dsn', sections: Sections = {}) {
    const server = await SmtpScript.start();
    const guard = await GuardClient.start(
      {
        spf: { mode: 'reject', fail: policy },
        callback: { port: String(server.port), private_hosts: 'yes' },
        ...sections,
      },
      { 'fail.test': { TXT: ['v=spf1 -all'], A: ['127.0.0.1'] } },
    );
    const dispose = async () => {
      await guard[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    };
    return { server, guard, [Symbol.asyncDispose]: dispose };
  }
  const sender = '<victim@fail.test>';

  it.each(['cbv', 'dsn'] as const)('is not asked for MAIL alone: %s', async (policy) => {
    await using asked = await asking(policy);
    const ctx = await asked.guard.open();
    await ctx.connect();
    await ctx.helo();
    expect((await ctx.envfrom(sender)).verdict).toBe('continue');
    await ctx.abort();
    expect(asked.server.commands).toStrictEqual([]);
  });

  it.each<[what: string, policy: 'cbv' | 'dsn', sections: Sections, reply: RegExp]>([
    ['a banned client', 'cbv', { banned_ips: { mode: 'reject', networks: '198.51.100.7' } }, /^550 5\.7\.1/],
    [
      'an unknown recipient',
      'cbv',
      { known_users: { mode: 'reject', domains: '@ours.test' } },
      /^550 5\.1\.1/,
    ],
    [
      'an unknown recipient',
      'dsn',
      { known_users: { mode: 'reject', domains: '@ours.test' } },
      /^550 5\.1\.1/,
    ],
    [
      'a trap that reads the message',
      'cbv',
      { honeypot: { mode: 'reject', recipients: 'ann@ours.test', read_message: 'yes' } },
      /^550 5\.1\.1/,
    ],
    ['a word in the Subject', 'dsn', { subject_words: { mode: 'reject', words: 'hello' } }, /^550 5\.7\.1/],
  ])('is not asked about mail that something else refuses: %s, %s', async (_, policy, sections, reply) => {
    await using asked = await asking(policy, sections);
    expect(replyTo(await asked.guard.send(undefined, { sender }))).toMatch(reply);
    expect(asked.server.commands).toStrictEqual([]);
  });

  it('is asked before the first recipient is accepted, or gets a notice of mail that is', async () => {
    await using callback = await asking('cbv');
    const recipients = ['<ann@ours.test>', '<bob@ours.test>'];
    expect(replyTo(await callback.guard.send(undefined, { sender, recipients }))).toBe('accept');
    expect(callback.server.commands.filter((line) => /^RCPT/.test(line))).toHaveLength(1);
    expect(callback.server.messages).toStrictEqual([]);
    await using notice = await asking('dsn');
    expect(replyTo(await notice.guard.send(undefined, { sender, recipients }))).toBe('accept');
    expect(notice.server.messages).toHaveLength(1);
  });

  it('is asked once, also if the answer cannot be written', async () => {
    await using asked = await asking('dsn');
    mkdirSync(join(asked.guard.directory, 'state/notices'));
    for (let count = 0; count < 2; count++)
      expect(replyTo(await asked.guard.send(undefined, { sender: '<other@fail.test>' }))).toBe('accept');
    expect(asked.server.messages).toHaveLength(1);
    expect(asked.guard.log.join('\n')).toMatch(/^CALLBACK an accepted address cannot be written: EISDIR/m);
  });
});

describe('words before the Subject', () => {
  const sections = { subject_words: { mode: 'tag', words: 'lottery', subject: '[SPAM]' } };
  const long = `lottery ${'\u00e4'.repeat(30_000)}`;

  it.each<[what: string, subject: string, marked: string]>([
    ['text', 'lottery', '[SPAM] lottery'],
    ['a folded text', 'the\r\n\tlottery', '[SPAM] the\n lottery'],
    ['an encoded line feed', '=?utf-8?q?lottery=0Awin?=', '[SPAM] =?utf-8?q?lottery=0Awin?='],
    ['an encoded carriage return', '=?utf-8?q?lottery=0Dwin?=', '[SPAM] =?utf-8?q?lottery=0Dwin?='],
    ['a NUL in base64', '=?utf-8?b?bG90dGVyeQB3aW4=?=', '[SPAM] =?utf-8?b?bG90dGVyeQB3aW4=?='],
    ['60 KB that are not ASCII', long, `[SPAM] ${long}`.slice(0, 10_006)],
    ['the words already', '[SPAM] lottery', '[SPAM] lottery'],
  ])('stand in front of %s', async (_, subject, marked) => {
    await using guard = await GuardClient.start(sections);
    const result = await guard.send(`Subject: ${subject}\r\n\r\nHello\r\n`);
    expect(replyTo(result)).toBe('accept');
    expect(result.message.header('Subject')).toStrictEqual([marked]);
  });

  it('that are not ASCII are encoded, and every Subject but the first goes', async () => {
    await using guard = await GuardClient.start({
      subject_words: { ...sections.subject_words, subject: '[\u00c4]' },
    });
    const { message } = await guard.send('Subject: lottery\r\nSubject: b\r\n\r\nHello\r\n');
    expect(message.header('Subject')).toStrictEqual(['=?UTF-8?Q?=5B=C3=84=5D?= lottery']);
  });
});

describe('the path of mail from inside', () => {
  const received = (value: string) => `Received: ${value}\r\n`;
  async function pathOf(fields: string): Promise<string[]> {
    await using guard = await GuardClient.start({ hide_path: { mode: 'tag' } });
    const { message } = await guard.send(`${fields}\r\nHello\r\n`, { from: INSIDE, sender: 'ann@ours.test' });
    return message.header('Received');
  }

  it('keeps the dates alone', async () => {
    const fields = [
      'from desk.ours.test ([10.1.2.3])\r\n\tby in.ours.test with SMTP; Mon, 30 Nov 2026 10:00:00 +0100',
      'from x by y; desk.ours.test',
    ];
    expect(await pathOf(fields.map(received).join(''))).toStrictEqual([
      'by mx.ours.test; Mon, 30 Nov 2026 10:00:00 +0100',
      expect.stringMatching(/^by mx\.ours\.test; \w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000$/),
    ]);
  });

  it('grows with each pass of a loop, whoever runs the rule', async () => {
    let path: string[] = [];
    const date = 'Mon, 30 Nov 2026 10:00:00 +0100';
    for (const host of ['mx', 'in', 'mx', 'in', 'mx', 'in', 'mx', 'in'])
      path = [
        `from other.ours.test by ${host}.ours.test; ${date}`,
        ...(await pathOf(path.map(received).join(''))),
      ];
    expect(path).toHaveLength(8);
  });
});

describe('the tag of a signed address', () => {
  const known_users = { mode: 'reject', domains: '@ours.test', users: 'ann@ours.test' };
  const secret = 'a secret of ours';
  const signed = (domain: string, mode = 'reject'): Sections => ({
    known_users,
    signed_bounce: { mode, domain, secrets_file: 'srs-secrets' },
  });
  async function replyAt(recipient: string, sections: Sections, files = { 'srs-secrets': `${secret}\n` }) {
    await using guard = await GuardClient.start(sections, {}, files);
    return replyTo(await guard.send(undefined, { recipients: [`<${recipient}>`] }));
  }

  it.each([
    'prvs=1@ours.test',
    'prvs=00000000=nobody@ours.test',
    'srs0=junk@ours.test',
    'SRS0=a=b=c=d@ours.test',
  ])('makes no user known: %s', async (recipient) => {
    expect(await replyAt(recipient, { known_users })).toMatch(/^550 5\.1\.1/);
    expect(await replyAt(recipient, signed('srs.ours.test'))).toMatch(/^550 5\.1\.1/);
    expect(await replyAt(recipient, signed('ours.test', 'tag'))).toMatch(/^550 5\.1\.1/);
  });

  it.each(['dry-run', 'reject'])('that is ours makes the address known, %s', async (mode) => {
    const recipient = new Srs({ secrets: [secret], domain: 'ours.test' }).forward('joe@stranger.test');
    expect(await replyAt(recipient, signed('ours.test', mode))).toBe('accept');
    expect(await replyAt(recipient, { known_users })).toMatch(/^550 5\.1\.1/);
  });

  it.each([secret, `# ${secret}`, '#'])('is not made of a comment, or of blanks: %s', async (made) => {
    const recipient = new Srs({ secrets: [made], domain: 'ours.test' }).forward('joe@stranger.test');
    const files = { 'srs-secrets': `# ${secret}\n  #\n \t${secret} \r\n` };
    const reply = made === secret ? /^accept$/ : /^550 5\.1\.1 The signature of .* is forged/;
    expect(await replyAt(recipient, signed('ours.test'), files)).toMatch(reply);
  });

  it('needs a secret', async () => {
    const files = { 'srs-secrets': '# none yet\n' };
    await expect(replyAt('ann@ours.test', signed('ours.test'), files)).rejects.toThrow(
      /\[signed_bounce\] secrets_file: .*srs-secrets: has no secret/,
    );
  });

  it('is not part of the address', async () => {
    expect(await replyAt('prvs=0123abcdef=ann@ours.test', { known_users })).toBe('accept');
    expect(await replyAt('prvs=0123abcdef=Postmaster@ours.test', { known_users })).toBe('accept');
    const recipients = 'trap@ours.test';
    for (const name of ['honeypot', 'private_relay'])
      expect(
        await replyAt(`prvs=0123abcdef=${recipients}`, { [name]: { mode: 'reject', recipients } }),
      ).toMatch(/^550/);
    await using guard = await GuardClient.start({
      banned_senders: { mode: 'reject', senders: 'eve@stranger.test' },
    });
    expect(replyTo(await guard.send(undefined, { sender: 'prvs=0123abcdef=eve@stranger.test' }))).toMatch(
      /^550/,
    );
  });
});

describe('demerits', () => {
  const max_demerits = { mode: 'reject', max: '2' };
  const isBanned = (guard: GuardClient) =>
    existsSync(join(guard.directory, 'state/banned-ips')) &&
    readFileSync(join(guard.directory, 'state/banned-ips'), 'utf8').includes(STRANGER);

  it('of suspicion are not counted against a sender that is trusted', async () => {
    const bl = 'bl.demerits.test';
    await using guard = await GuardClient.start(
      {
        dynamic_ptr: { mode: 'reject' },
        dnsbl: { mode: 'reject', lists: bl },
        spf: { mode: 'reject', pass: 'ok' },
        max_demerits,
      },
      {
        '9.100.51.198.in-addr.arpa': { PTR: ['198-51-100-9.dyn.stranger.test'] },
        [`9.100.51.198.${bl}`]: { A: ['127.0.0.2'] },
        'trusted.test': { TXT: ['v=spf1 ip4:198.51.100.9 -all'] },
      },
    );
    const from = '198.51.100.9';
    expect(replyTo(await guard.send(undefined, { from, sender: 'a@trusted.test' }))).toBe('accept');
    expect(guard.log.join()).toMatch(/DYNAMIC_PTR reject.*DNSBL reject/);
    expect(guard.log.join()).not.toContain('MAX_DEMERITS');
  });

  it('ban a client whose recipients something else refuses already', async () => {
    await using guard = await GuardClient.start({
      helo_numeric: { mode: 'reject' },
      spoofed_sender: { mode: 'reject' },
      max_demerits,
    });
    const ctx = await guard.open({ helo: '1.2.3.4' });
    for (let count = 0; count < 2; count++)
      expect(replyTo(await ctx.feedMessage('', { sender: 'ann@ours.test' }))).toMatch(/^550 5\.7\.1 HELO/);
    await ctx.close();
    expect(guard.log.join()).toMatch(/MAX_DEMERITS reject: 2 demerits/);
    expect(isBanned(guard)).toBe(true);
  });
});

describe('smart_alias', () => {
  const [a, b, c] = ['a@ours.test', 'b@ours.test', 'c@ours.test'];
  it.each([
    [
      [a, b],
      [b, c],
    ],
    [
      [b, a],
      [b, c],
    ],
    [[a], [b]],
    [[b, c], [c]],
  ])('sends mail to %j to %j, in any order', async (given, expected) => {
    await using guard = await GuardClient.start({
      smart_alias: { mode: 'tag', aliases: `\n  @partner.test ${a}: ${b}\n  @partner.test ${b}: ${c}` },
    });
    const attempt: Attempt = { sender: 'x@partner.test', recipients: given.map((each) => `<${each}>`) };
    const { message } = await guard.send(undefined, attempt);
    expect(
      message.recipients.map(({ address }) => address.replace(/^<(.*)>$/, '$1')).toSorted(),
    ).toStrictEqual(expected);
  });
});

describe('a scanner', () => {
  it('gets the name and address of the client: spamd in a Received field', async () => {
    let request = '';
    const spamd = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('data', (bytes) => {
        request += bytes.toString('latin1');
      });
      socket.on('end', () =>
        socket.end('SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: False ; 1.0 / 5.0\r\n\r\n'),
      );
    });
    await once(spamd.listen(0, '127.0.0.1'), 'listening');
    const { port } = spamd.address() as AddressInfo;
    await using guard = await GuardClient.start({ spamd: { mode: 'reject', address: `127.0.0.1:${port}` } });
    const forged = 'Received: from friend.test (friend.test [192.0.2.1]) by mx.ours.test; x';
    const sent = await guard.send(`${forged}\r\n\r\nHello\r\n`, { helo: 'a (b [10.0.0.1]) by\tc' });
    spamd.close();
    expect(replyTo(sent)).toBe('accept');
    expect(request.slice(request.indexOf('\r\n\r\n') + 4)).toMatch(
      /^Received: from a\?\?b\?\[10\.0\.0\.1\]\?\?by\?c \(mail\.stranger\.test \[198\.51\.100\.7\]\)\r\n\tby mx\.ours\.test \(Postfix\) with ESMTP id \?;\r\n\t\w{3}, .* \+0000\r\nReceived: from friend\.test /,
    );
  });

  it('gets the name and address of the client: rspamd with the envelope', async () => {
    const told: string[] = [];
    const rspamd = createHttpServer(({ headers }, response) => {
      told.push(...[headers.ip, headers.hostname].map(String));
      response.end('{"action":"no action","score":0,"required_score":15,"symbols":{}}');
    });
    await once(rspamd.listen(0, '127.0.0.1'), 'listening');
    const { port } = rspamd.address() as AddressInfo;
    await using guard = await GuardClient.start({ rspamd: { mode: 'reject', address: `127.0.0.1:${port}` } });
    const sent = await guard.send();
    rspamd.close();
    expect(replyTo(sent)).toBe('accept');
    expect(told).toStrictEqual([STRANGER, 'mail.stranger.test']);
  });
});

describe('supply_sender', () => {
  it('adds an address beyond ASCII as it is: no encoded word may stand for one', async () => {
    await using guard = await GuardClient.start({ supply_sender: { mode: 'tag' } });
    const { message } = await guard.send(undefined, { from: INSIDE, sender: '<j\u00f6rg@ours.test>' });
    expect(message.header('Sender')).toStrictEqual(['<j\u00f6rg@ours.test>']);
  });
});

describe('a client without an address', () => {
  it.each([
    ['localhost', 'internal', 'accept'],
    ['unknown', 'external', expect.stringMatching(/^550 5\.7\.1 Mail from "ours\.test"/)],
  ])('with the name %s is %s', async (hostname, where, reply) => {
    await using guard = await GuardClient.start({ spoofed_sender: { mode: 'reject' } });
    const sent = await guard.send(undefined, { from: null, hostname, sender: 'ann@ours.test' });
    expect(replyTo(sent)).toStrictEqual(reply);
    expect(guard.log[0]).toBe(`CONNECT from "${hostname}" at no address: ${where}`);
  });
});

describe('from_mismatch', () => {
  it.each([
    ['From: a@m\u00fcnchen.test', 'a@xn--mnchen-3ya.test', 'accept'],
    ['From: a@mail.XN--MNCHEN-3YA.test.', 'a@m\u00fcnchen.test', 'accept'],
    ['From: a@other.test', 'a@m\u00fcnchen.test', 'reject'],
    ['From: a@a.test\r\nFrom: b@other.test', 'a@a.test', 'reject'],
  ])('judges %j, sent by %s', async (from, sender, verdict) => {
    await using guard = await GuardClient.start({ from_mismatch: { mode: 'reject' } });
    expect((await guard.send(`${from}\r\n\r\nHello\r\n`, { sender })).verdict).toBe(verdict);
  });
});
