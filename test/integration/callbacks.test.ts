/** Contract 2, 3: every callback with its real arguments, from libmilter itself. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ACCEPT, AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, CONTINUE } from 'tsmilter';
import type { PeerAddress } from 'tsmilter/testing';
import { FilterProcess } from '../support/filter-process.js';
import { ALL_HANDLERS } from '../support/handlers.js';

describe('callbacks', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  /** @contract 2 */
  describe('the arguments of connect', () => {
    const cases: [title: string, hostname: string, peer: PeerAddress, expected: unknown[]][] = [
      [
        'IPv4: ip and port',
        'client.example',
        { family: 'inet', address: '192.0.2.7', port: 40001 },
        [AF_INET, ['192.0.2.7', 40001]],
      ],
      [
        'IPv4: the highest port, a name in brackets',
        '[255.255.255.255]',
        { family: 'inet', address: '255.255.255.255', port: 65535 },
        [AF_INET, ['255.255.255.255', 65535]],
      ],
      [
        'IPv6: ip, port, flowinfo, scopeid',
        'v6.example',
        { family: 'inet6', address: '2001:db8::25', port: 25 },
        [AF_INET6, ['2001:db8::25', 25, 0, 0]],
      ],
      [
        "IPv6 in Sendmail's spelling, prefix and all zeros",
        '[IPv6:::1]',
        { family: 'inet6', address: 'IPv6:0:0:0:0:0:0:0:1', port: 1 },
        [AF_INET6, ['::1', 1, 0, 0]],
      ],
      [
        'an IPv4 address inside an IPv6 one',
        '[IPv6:::ffff:192.0.2.1]',
        { family: 'inet6', address: '::ffff:192.0.2.1', port: 0 },
        [AF_INET6, ['::ffff:192.0.2.1', 0, 0, 0]],
      ],
      [
        'a unix socket: its path',
        'localhost',
        { family: 'unix', path: '/run/smtp.sock' },
        [AF_UNIX, '/run/smtp.sock'],
      ],
      ['a unix socket without a name', 'localhost', { family: 'unix', path: '' }, [AF_UNIX, '']],
      ['an unknown family: 0 and null', 'localhost', { family: 'unknown' }, [AF_UNSPEC, null]],
    ];
    for (const [title, hostname, peer, expected] of cases) {
      it(title, async () => {
        await filter.use({ handlers: { connect: {} } });
        await using mta = await filter.session();
        expect(await mta.connect(hostname, peer)).toStrictEqual({ verdict: 'continue' });
        expect(await filter.eventsOf('connect')).toStrictEqual([['connect', hostname, ...expected]]);
      });
    }

    it('host names arrive unchanged', async () => {
      await filter.use({ handlers: { connect: {} } });
      const names = ['[IPv6:::1]', '[IPv6:2001:db8::1]', 'UPPER.Example', 'müller.example', '', 'a b\tc'];
      for (const name of names) {
        await using mta = await filter.session();
        await mta.connect(name);
      }
      expect((await filter.eventsOf('connect')).map(([, hostname]) => hostname)).toStrictEqual(names);
    });
  });

  /** @contract 3 */
  it('a whole session, each handler with its arguments, in order', async () => {
    await filter.use({ handlers: ALL_HANDLERS });
    const mta = await filter.session();
    await mta.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 1025 });
    await mta.helo('helo.example');
    await mta.mail('<alice@client.example>', 'SIZE=1000', 'BODY=8BITMIME', 'SMTPUTF8');
    await mta.rcpt('<bob@example.com>');
    await mta.rcpt('carol@example.com', 'NOTIFY=NEVER', 'ORCPT=rfc822;carol@example.com');
    await mta.data();
    await mta.header('Subject', 'folded\n\tvalue');
    await mta.header('X-Empty', '');
    await mta.eoh();
    await mta.body('line one\r\n');
    await mta.body('line two\r\n');
    expect(await mta.eom()).toStrictEqual({ verdict: 'continue', modifications: [], progress: 0 });
    await mta.unknown('XYZZY plugh');
    await mta.quit();
    await filter.event('close').then((event) => expect(event).toStrictEqual(['close']));
    expect(await filter.events()).toStrictEqual([
      ['new'],
      ['connect', 'client.example', AF_INET, ['192.0.2.1', 1025]],
      ['hello', 'helo.example'],
      ['envfrom', '<alice@client.example>', 'SIZE=1000', 'BODY=8BITMIME', 'SMTPUTF8'],
      ['envrcpt', '<bob@example.com>'],
      ['envrcpt', 'carol@example.com', 'NOTIFY=NEVER', 'ORCPT=rfc822;carol@example.com'],
      ['data'],
      ['header', 'Subject', 'folded\n\tvalue'],
      ['header', 'X-Empty', ''],
      ['eoh'],
      ['body', Buffer.from('line one\r\n')],
      ['body', Buffer.from('line two\r\n')],
      ['eom'],
      ['unknown', 'XYZZY plugh'],
    ]);
  });

  it('abort in the middle of a message: what came before it is delivered, then abort', async () => {
    await filter.use({ handlers: ALL_HANDLERS });
    const mta = await filter.session();
    await mta.connect('client.example');
    await mta.helo('helo.example');
    await mta.mail('<a@b.example>');
    await mta.rcpt('<c@d.example>');
    await mta.data();
    await mta.header('Subject', 'not finished');
    await mta.abort();
    await mta.mail('<second@b.example>');
    const names = (await filter.events()).map(([name, first]) =>
      first === undefined ? name : `${name} ${first}`,
    );
    expect(names).toStrictEqual([
      'new',
      'connect client.example',
      'hello helo.example',
      'envfrom <a@b.example>',
      'envrcpt <c@d.example>',
      'data',
      'header Subject',
      'abort',
      'envfrom <second@b.example>',
    ]);
    await mta.quit();
    // The second message ended with the session.
    expect(await filter.event('close')).toStrictEqual(['close']);
    expect(await filter.events()).toStrictEqual([['abort']]);
  });

  it('abort before DATA, several times', async () => {
    await filter.use({ handlers: ALL_HANDLERS });
    await using mta = await filter.session();
    await mta.connect('client.example');
    await mta.helo('x');
    for (let i = 0; i < 3; i++) {
      await mta.mail(`<${i}@b.example>`);
      await mta.abort();
    }
    await mta.helo('y');
    expect((await filter.eventsOf('envfrom', 'abort')).flat()).toStrictEqual([
      'envfrom',
      '<0@b.example>',
      'abort',
      'envfrom',
      '<1@b.example>',
      'abort',
      'envfrom',
      '<2@b.example>',
      'abort',
    ]);
  });

  it('body chunks are Buffers that stay valid, of every size', async () => {
    const parts = [1, 2, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 65535].map((size, i) =>
      Buffer.alloc(size, 65 + i),
    );
    await filter.use({ handlers: { body: {}, eom: {} } });
    await using mta = await filter.session();
    await mta.connect('client.example');
    await mta.helo('x');
    await mta.mail('<a@b.example>');
    await mta.rcpt('<c@d.example>');
    for (const part of parts) await mta.body(part);
    await mta.eom();
    const bodies = await filter.eventsOf('body');
    expect(bodies.every(([, chunk]) => Buffer.isBuffer(chunk))).toBe(true);
    expect(bodies.map(([, chunk]) => chunk)).toStrictEqual(parts);
  });

  it('NUL bytes in a body arrive, an empty body calls no handler', async () => {
    await filter.use({ handlers: { body: {}, eom: {} } });
    await using mta = await filter.session();
    await mta.connect('client.example');
    await mta.helo('x');
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const message = { sender: '<a@b.example>', recipients: ['<c@d.example>'] };
    await mta.message({ ...message, body: all });
    await mta.message({ ...message, body: '' });
    expect(await filter.eventsOf('body', 'eom')).toStrictEqual([['body', all], ['eom'], ['eom']]);
  });

  it('body data that comes with the end of the message is an ordinary chunk, and eom follows', async () => {
    await filter.use({ handlers: { body: {}, eom: { answer: ACCEPT } } });
    await using mta = await filter.session();
    await mta.connect('client.example');
    await mta.helo('x');
    await mta.mail('<a@b.example>');
    await mta.rcpt('<c@d.example>');
    await mta.body('first\r\n');
    expect((await mta.eom('last\r\n')).verdict).toBe('accept');
    expect(await filter.eventsOf('body', 'eom')).toStrictEqual([
      ['body', Buffer.from('first\r\n')],
      ['body', Buffer.from('last\r\n')],
      ['eom'],
    ]);
  });

  it('an unknown command of any bytes', async () => {
    await filter.use({ handlers: { unknown: { answer: CONTINUE } } });
    await using mta = await filter.session();
    await mta.connect('client.example');
    for (const command of ['HELP', '', 'é'.repeat(200), 'x'.repeat(2000)]) {
      expect((await mta.unknown(command)).verdict).toBe('continue');
    }
    expect((await filter.eventsOf('unknown')).map(([, command]) => command)).toStrictEqual([
      'HELP',
      '',
      'é'.repeat(200),
      'x'.repeat(2000),
    ]);
  });
});
