/** tsmilter/dsn against SMTP servers on loopback, polite and not. */
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DnsSession } from 'tsmilter/dns';
import { createMsg, type DsnOptions, type DsnResolver, sendDsn } from 'tsmilter/dsn';
import { DnsServer, type Zone } from '../../tools/dns-server';
import { Sink } from '../../tools/mta/sink';
import { errorWith, expectThat } from '../support/expect';
import { FakeTimeouts } from '../support/fake-timeouts';
import { type Script, SmtpScript } from '../support/smtp-script';

const ANN = 'ann@example.com';

/** Hosts that share a port, on addresses 127.0.0.1, 127.0.0.2, … */
async function together(...scripts: Script[]): Promise<SmtpScript[]> {
  for (;;) {
    const servers: SmtpScript[] = [];
    try {
      for (const [at, script] of scripts.entries()) {
        servers.push(await SmtpScript.start(script, servers[0]?.port ?? 0, `127.0.0.${at + 1}`));
      }
      return servers;
    } catch (error) {
      for (const server of servers) await server[Symbol.asyncDispose]();
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

const mx = (...names: string[]) => names.map((exchange, at) => ({ exchange, priority: 10 * (at + 1) }));

describe('sendDsn', () => {
  const zone: Zone = {
    'example.com': { MX: [...mx('one.example', 'two.example', 'three.example')].reverse() },
    'one.example': { A: ['127.0.0.1'] },
    'two.example': { A: ['127.0.0.2'] },
    'three.example': { A: ['127.0.0.3'] },
    'plain.example': { A: ['127.0.0.1'] },
    'null.example': { MX: [{ exchange: '', priority: 0 }] },
    'lost.example': { MX: mx('nowhere.example') },
    'failing.example': { fault: 'SERVFAIL' },
    'half.example': { MX: mx('failing.example', 'one.example') },
    'limping.example': { A: ['127.0.0.1'], fault: 'SERVFAIL', faultTypes: ['AAAA', 'MX'] },
    'lame.example': { MX: mx('lamehost.example') },
    'lamehost.example': { A: ['127.0.0.1'], fault: 'SERVFAIL', faultTypes: ['AAAA'] },
    'bad.example': { MX: mx('failing.example') },
  };
  let dns: DnsServer;
  beforeAll(async () => {
    dns = await DnsServer.start(zone);
  });
  afterAll(() => dns.close());

  const options = (port: number, more: DsnOptions = {}): DsnOptions => ({
    receiver: 'filter.test',
    resolver: new DnsSession({ servers: [dns.address], tries: 1 }),
    privateHosts: true,
    port,
    timeout: 20_000,
    ...more,
  });

  /** Asks about `address` with these hosts there; afterwards they are gone. */
  async function ask(scripts: Script[], address = ANN, more: DsnOptions = {}, message: string | null = null) {
    const servers = await together(...scripts);
    try {
      const answer = await sendDsn(address, message, options(servers[0]?.port as number, more));
      return { answer, said: servers.map(({ commands }) => commands), servers };
    } finally {
      for (const server of servers) await server[Symbol.asyncDispose]();
    }
  }

  /** @contract 36 */
  it('null if the mail server accepts mail from the null sender', async () => {
    const { answer, said } = await ask([{}]);
    expect(answer).toBeNull();
    expect(said[0]?.slice(0, 3)).toStrictEqual(['EHLO filter.test', 'MAIL FROM:<>', `RCPT TO:<${ANN}>`]);
    expect(said[0]).not.toContain('DATA');
  });

  /** @contract 36 */
  it('returns the refusal in one line otherwise', async () => {
    const { answer } = await ask([{ RCPT: '550-5.1.1 who\r\n550 5.1.1 is\x07that' }]);
    expect(answer).toStrictEqual([550, '5.1.1 who 5.1.1 is that', 'rcpt']);
  });

  /** @contract 36 */
  it('asks the mail exchangers in order, the next one if one cannot answer', async () => {
    const { answer, said } = await ask([
      { RCPT: '451 4.2.0 later' },
      { greeting: '554 5.7.1 not you' },
      { RCPT: '550 5.1.1 no' },
    ]);
    expect(answer).toStrictEqual([550, '5.1.1 no', 'rcpt']);
    expect(said.map((commands) => commands.some((line) => line.startsWith('RCPT')))).toStrictEqual([
      true,
      false,
      true,
    ]);
  });

  it('asks no other host after an answer', async () => {
    const { answer, said } = await ask([{ RCPT: '550 5.1.1 no' }, {}]);
    expect(answer).toStrictEqual([550, '5.1.1 no', 'rcpt']);
    expect(said[1]).toStrictEqual([]);
  });

  /** @contract 36 */
  it('asks the domain’s own address if it has no MX', async () => {
    expect((await ask([{}], 'bob@plain.example')).answer).toBeNull();
  });

  /** @contract 36 */
  it('asks as the postmaster if the null sender is refused', async () => {
    const { answer, said } = await ask([{ 'MAIL FROM:<>': '550 5.7.1 no bounces' }]);
    expect(answer).toBeNull();
    expect(said[0]).toContain('MAIL FROM:<postmaster@filter.test>');
    const { answer: refusal } = await ask([{ MAIL: '550 5.7.1 nobody' }]);
    expect(refusal).toStrictEqual([550, '5.7.1 nobody', 'mail']);
  });

  /** @contract 36 */
  it('applies timeout to each host by itself', async () => {
    using time = new FakeTimeouts();
    const silent = () => time.advance(300);
    for (const script of [{ greeting: silent }, { RCPT: silent }]) {
      const { answer, said } = await ask([script, {}], ANN, { timeout: 300 });
      expect(answer).toBeNull();
      expect(said[1]).toContain(`RCPT TO:<${ANN}>`);
    }
  });

  it('applies maxTime to all hosts together, and to a resolver that does not answer', async () => {
    const silent = { greeting: 'silence' };
    const { answer } = await ask([silent, silent, silent], ANN, { maxTime: 200, timeout: 60_000 });
    expect(answer?.[0]).toBe(450);
    const never = () => new Promise<never>(() => {});
    const resolver: DsnResolver = { resolveMx: never, resolve4: never, resolve6: never };
    expect((await sendDsn(ANN, null, { resolver, maxTime: 50 }))?.[0]).toBe(450);
  });

  it('gives up when the signal is aborted', async () => {
    const refusal = await sendDsn(ANN, null, options(1, { signal: AbortSignal.abort() }));
    expect(refusal?.[0]).toBe(450);
  });

  it('maxHosts', async () => {
    const later = { RCPT: '451 4.2.0 later' };
    const { answer, said } = await ask([later, later, {}], ANN, { maxHosts: 2 });
    expect(answer).toStrictEqual([451, '4.2.0 later', 'rcpt']);
    expect(said[2]).toStrictEqual([]);
  });

  for (const [address, code] of [
    ['x@null.example', 556],
    ['x@nowhere.example', 550],
    ['x@lost.example', 550],
    ['x@failing.example', 451],
    ['x@bad.example', 451],
    ['x@grün.example', 550],
  ] as const) {
    it(`answers ${code} for ${address} without asking anybody`, async () => {
      const { answer, said } = await ask([{}], address);
      expectThat(answer?.[0], String(answer)).toBe(code);
      expect(answer?.[1] ?? '').toMatch(/^\d\.\d+\.\d+ [\x20-\x7e]+$/);
      expect(said[0]).toStrictEqual([]);
    });
  }

  it('ignores failed look-ups if there is another address', async () => {
    for (const domain of ['half.example', 'lame.example']) {
      expect((await ask([{}], `x@${domain}`)).answer).toBeNull();
    }
  });

  it('accepts an address literal', async () => {
    expect((await ask([{}], 'x@[127.0.0.1]')).answer).toBeNull();
  });

  it('connects to public addresses only, unless privateHosts is set', async () => {
    const { answer, said } = await ask([{}], ANN, { privateHosts: false });
    expect(answer?.[0]).toBe(550);
    expect(said[0]).toStrictEqual([]);
    for (const literal of ['127.0.0.1', 'IPv6:::1', 'IPv6:::ffff:127.0.0.1', 'IPv6:::127.0.0.1']) {
      expect((await ask([{}], `x@[${literal}]`, { privateHosts: false })).answer?.[0]).toBe(550);
    }
  });

  for (const [what, script] of Object.entries({
    'closes at once': { greeting: 'close' },
    'closes in the middle': { RCPT: 'close' },
    'talks nonsense': { RCPT: '299999 what', MAIL: '999 odd' },
  })) {
    it(`a host that ${what} has not answered`, async () => {
      const { answer } = await ask([script], 'x@plain.example');
      expectThat(answer?.[0], String(answer)).toBe(450);
    });
  }

  it('fails if no host listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    expect((await sendDsn('x@plain.example', null, options(port)))?.join(' ') ?? '').toMatch(/^450 4\.4\.1 /);
  });

  it('sends a message from the null sender', async () => {
    const { answer, said, servers } = await ask([{}], ANN, {}, 'Subject: hi\n\n.dot\n');
    expect(answer).toBeNull();
    expect(servers[0]?.messages[0]).toBe('Subject: hi\r\n\r\n..dot\r\n');
    expect(said[0]).toContain('MAIL FROM:<>');
    expect((await ask([{ message: '554 5.6.0 no' }], ANN, {}, 'Subject: hi\n\nx\n')).answer).toStrictEqual([
      554,
      '5.6.0 no',
      'data',
    ]);
  });

  for (const [what, script, expected] of [
    ['greets with 554', { greeting: '554 5.7.1 not you' }, [554, '5.7.1 not you', 'greeting']],
    [
      'refuses EHLO and HELO',
      { EHLO: '550 5.7.1 no', HELO: '550 5.7.1 bad name' },
      [550, '5.7.1 bad name', 'ehlo'],
    ],
    [
      'blocks this client at MAIL',
      { MAIL: '550 5.7.1 your IP is blocked' },
      [550, '5.7.1 your IP is blocked', 'mail'],
    ],
    ['refuses the address', { RCPT: '550 5.1.1 no' }, [550, '5.1.1 no', 'rcpt']],
    [
      'greets with 421 and closes',
      { greeting: 'close 421 4.3.2 too busy' },
      [421, '4.3.2 too busy', 'greeting'],
    ],
    ['closes after 421 at EHLO', { EHLO: 'close 421 4.3.2 later' }, [421, '4.3.2 later', 'ehlo']],
    ['closes after 421 at MAIL', { MAIL: 'close 421 4.7.0 slow down' }, [421, '4.7.0 slow down', 'mail']],
    ['closes after 421 at RCPT', { RCPT: 'close 421 4.7.0 slow down' }, [421, '4.7.0 slow down', 'rcpt']],
    ['closes after 550 at RCPT', { RCPT: 'close 550 5.1.1 no' }, [550, '5.1.1 no', 'rcpt']],
  ] as const) {
    it(`tells the stage and the text of a host that ${what}`, async () => {
      expect((await ask([script], 'x@plain.example')).answer).toStrictEqual(expected);
    });
  }

  it('tells the stage when it sends a message', async () => {
    const send = async (script: Script) =>
      (await ask([script], 'x@plain.example', {}, 'Subject: x\n\nx\n')).answer;
    expect(await send({ MAIL: '550 5.7.1 blocked' })).toStrictEqual([550, '5.7.1 blocked', 'mail']);
    expect(await send({ RCPT: '550 5.1.1 no' })).toStrictEqual([550, '5.1.1 no', 'rcpt']);
    expect(await send({ DATA: '554 5.7.1 no' })).toStrictEqual([554, '5.7.1 no', 'data']);
    expect(await send({ message: 'close 421 4.3.0 ill' })).toStrictEqual([421, '4.3.0 ill', 'data']);
  });

  it('asks the next host if one refuses this client', async () => {
    const { answer, said } = await ask([{ MAIL: '550 5.7.1 your IP is blocked' }, { RCPT: '550 5.1.1 no' }]);
    expect(answer).toStrictEqual([550, '5.1.1 no', 'rcpt']);
    expect(said[1]).toContain(`RCPT TO:<${ANN}>`);
  });

  it('a host that calls itself by our name is this one', async () => {
    for (const script of [
      { greeting: '220 Filter.TEST. ESMTP' },
      { EHLO: '250-filter.test hi\r\n250 PIPELINING' },
    ]) {
      const { answer, said } = await ask([script]);
      expect(answer?.[0]).toBe(553);
      expect(answer?.[1]).toMatch(/^5\.4\.6 fraudulent MX of example\.com: /);
      expect(said[0]?.some((line) => line.startsWith('MAIL'))).toBe(false);
    }
  });

  it('uses SMTPUTF8 for a local part that needs it, where it is offered', async () => {
    const utf8 = { EHLO: '250-two.example\r\n250 SMTPUTF8' };
    const { answer, said } = await ask([{}, utf8], 'jörg@example.com');
    expect(answer).toBeNull();
    expect(said[0]?.some((line) => /^(?:MAIL|RCPT)/.test(line))).toBe(false);
    expect(said[1]).toContain('MAIL FROM:<> SMTPUTF8');
    expect(said[1]).toContain(`RCPT TO:<${Buffer.from('jörg').toString('latin1')}@example.com>`);
    const { answer: without } = await ask([{}], 'jörg@plain.example', {}, 'Subject: x\n\nx\n');
    expect(without).toStrictEqual([553, '5.6.7 plain.example does not support SMTPUTF8', 'ehlo']);
    expect((await ask([utf8, utf8], 'jörg@example.com', {}, 'Subject: x\n\nx\n')).said[0]).toContain(
      'MAIL FROM:<> SMTPUTF8',
    );
  });

  for (const [address, path] of [
    ['"a b"@plain.example', '"a b"@plain.example'],
    ['"a@b>"@plain.example', '"a@b>"@plain.example'],
    ['<x@plain.example>', 'x@plain.example'],
    ['a..b.@plain.example', 'a..b.@plain.example'],
    ["o'x+{y}%z!w@PLAIN.example", "o'x+{y}%z!w@PLAIN.example"],
  ] as const) {
    it(`asks about ${address}`, async () => {
      const { answer, said } = await ask([{}], address);
      expect(answer).toBeNull();
      expect(said[0]).toContain(`RCPT TO:<${path}>`);
    });
  }

  it('answers 553 for what is no address, such as one with SMTP commands in it, without asking anybody', async () => {
    const bad = [
      ...['', '<>', 'ann', '@example.com', 'ann@', 'a>@c.example', '<a@x.example', 'a b@x.example'],
      ...[
        'a@b.example>\r\nDATA',
        '"a\r\nb"@x.example',
        '"a"b"@x.example',
        '"a\\"@x.example',
        'a"b@x.example',
      ],
      ...['a@x.example\0', 'a\u2028b@x.example', 'gr\udcfcn@x.example', 'a@b c.example', 'a@x.example> y'],
      `${'x'.repeat(300)}@x.example`,
      `a@${'x'.repeat(300)}`,
    ];
    for (const address of bad) {
      const { answer, said } = await ask([{}], address);
      expectThat(answer?.[0], address).toBe(553);
      expectThat(answer?.[2], address).toBe('address');
      expect(answer?.[1]).toMatch(/^5\.1\.3 [\x20-\x7e]+$/);
      expect(said[0]).toStrictEqual([]);
    }
  });

  it('rejects invalid options', async () => {
    await expect(sendDsn(null as unknown as string)).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
    );
    for (const wrong of [
      { port: 0 },
      { timeout: 0 },
      { maxTime: 0 },
      { maxHosts: 0 },
      { receiver: 'a\r\nb' },
    ]) {
      await expect(sendDsn(ANN, null, wrong)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
    }
  });

  it('passes on programming errors of a custom resolver', async () => {
    const broken = () => Promise.reject(new TypeError('a mistake'));
    const resolver: DsnResolver = {
      resolveMx: async () => mx('x.example'),
      resolve4: broken,
      resolve6: broken,
    };
    await expect(sendDsn(ANN, null, { resolver })).rejects.toThrow(TypeError);
  });
});

/** @contract 36 */
describe('createMsg', () => {
  const TEMPLATE = 'Subject: SPF %(result)s\nX-Long: one\n two\n\nDear %(to)s, 100%% of %(receiver)s\n';
  const base = { to: ANN, receiver: 'filter.test', values: { result: 'fail' } };

  it('fills in To, From, Auto-Submitted and the values', async () => {
    const text = (await createMsg(TEMPLATE, base)).toString();
    for (const line of [
      /^To: ann@example\.com\r$/m,
      /^From: postmaster@filter\.test\r$/m,
      /^Auto-Submitted: auto-replied\r$/m,
      /^Subject: SPF fail\r$/m,
      /^X-Long: one two\r$/m,
      /^Date: .+ \+0000\r$/m,
      /^Message-ID: <[^>]+>\r$/m,
      /\r\n\r\nDear ann@example\.com, 100% of filter\.test\r\n$/,
    ])
      expect(text).toMatch(line);
    expect(text).not.toMatch(/(?<!\r)\n/);
  });

  it('keeps the template’s own headers', async () => {
    const template =
      'From: me <me@filter.test>\nAuto-Submitted: auto-generated\nTo: you@example.com\nSubject: x\n\ntext\n';
    const text = (await createMsg(template, base)).toString();
    expect(text.match(/^(?:From|To|Auto-Submitted):/gm)?.length).toBe(3);
    expect(text).toMatch(/^Auto-Submitted: auto-generated\r$/m);
    expect((await createMsg('\ntext\n', base)).toString()).toMatch(/^Subject: About your message\r$/m);
  });

  it('encodes text other than ASCII', async () => {
    const text = (await createMsg('Subject: Grüße\n\nGrüße\n', base)).toString();
    expect(text).toMatch(/^Subject: =\?UTF-8\?/m);
    expect(text).not.toMatch(/[^\0-\x7f]/);
  });

  it('rejects a value that would inject a header', async () => {
    for (const result of ['x\r\nBcc: all@example.com', 'x\nBcc: y', 'x\ry']) {
      await expect(createMsg(TEMPLATE, { ...base, values: { result } })).rejects.toThrow(
        errorWith({ code: 'ERR_MILTER_DSN' }),
      );
    }
    await expect(createMsg(TEMPLATE, { ...base, to: 'a@b.example\r\nBcc: y' })).rejects.toThrow(
      errorWith({
        code: 'ERR_MILTER_DSN',
      }),
    );
    const text = (await createMsg('\n%(result)s\n', { ...base, values: { result: '%(to)s' } })).toString();
    expect(text).toMatch(/\r\n%\(to\)s\r\n$/); // a value is not a template
  });

  for (const template of [
    'Subject: x\n',
    'no header\n\ntext',
    'Content-Type: text/html\n\nx',
    '\n%(unknown)s',
    '\n50% off',
    '\n%(toString)s',
  ]) {
    it(`refuses the template ${JSON.stringify(template)}`, () =>
      expect(createMsg(template, base)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_DSN' })));
  }

  it('creates a message that a server accepts', async () => {
    await using sink = await Sink.start();
    const message = await createMsg(TEMPLATE, base);
    const resolver: DsnResolver = {
      resolveMx: async () => [],
      resolve4: async () => ['127.0.0.1'],
      resolve6: async () => [],
    };
    expect(
      await sendDsn(ANN, message, { resolver, port: sink.port, privateHosts: true, receiver: 'filter.test' }),
    ).toBeNull();
    const arrived = await sink.next();
    expect(arrived.mailFrom.address).toBe('');
    expect(arrived.rcptTo.map(({ address }) => address)).toStrictEqual([ANN]);
    expect(arrived.text).toMatch(/^Auto-Submitted: auto-replied\r$/m);
  });
});
