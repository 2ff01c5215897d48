// Tests of the fixture itself: without filters, messages pass the MTAs unchanged; if a configured filter is missing or silent,
// clients get a temporary failure. All other tests in this folder rely on that.
import * as fs from 'node:fs';
import * as net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { freePorts } from '../../tools/free-ports';
import {
  endpointNames,
  type FilterFailure,
  hasIPv6,
  type Mta,
  type MtaOptions,
  Sink,
  SmtpClient,
  startPostfix,
  startSendmail,
} from '../../tools/mta';
import { errorWith, expectThat } from '../support/expect';
import { FakeTimeouts, localDelivery } from '../support/fake-timeouts';
import { itUnless } from '../support/skip';

const kinds = [
  ['sendmail', startSendmail],
  ['postfix', startPostfix],
] as const;

// headers that both MTAs leave as they are
const headers = [
  'From: Author <author@src.test>',
  'To: <rcpt@dest.test>',
  'Subject: through and through',
  'Date: Mon, 01 Jan 2024 00:00:00 +0000',
  'MIME-Version: 1.0',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: 8bit',
];

function message(id: string): Buffer {
  const body = Buffer.concat([
    Buffer.from('.a dot in front\r\n..two of them\r\n.\r\n...\r\ngrüße, 8-bit\r\n'),
    Buffer.from([0x80, 0xff, 0xfe, 0xc3, 0x0d, 0x0a]), // no UTF-8
    Buffer.from(`${'long '.repeat(199)}123\r\n\r\n`), // 998 bytes and CRLF: the longest that SMTP allows
    Buffer.from('  blanks and\ttabs \t \r\n\r\nthe last line\r\n\r\n'),
  ]);
  return Buffer.concat([Buffer.from([...headers, `Message-Id: <${id}>`, '', ''].join('\r\n')), body]);
}

describe('client and sink', () => {
  let sink: Sink;
  beforeAll(async () => {
    sink = await Sink.start();
  });
  afterAll(() => sink.stop());

  const dots = Buffer.from('.\r\n..\r\n\r\n.x\r\n\n.\n\r.\r\r\n', 'latin1');
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const crlf = Buffer.from('\r\n');
  for (const [what, data] of [
    ['nothing', Buffer.alloc(0)],
    ['an empty line', crlf],
    ['dots, lone CR and lone LF', dots],
    ['every byte there is', Buffer.concat([everyByte, crlf])],
    [
      '20 MB',
      Buffer.concat(Array.from({ length: 200_000 }, () => Buffer.concat([everyByte.subarray(0, 100), crlf]))),
    ],
  ] as const) {
    test(`carry ${what} unchanged`, async () => {
      await SmtpClient.submit({ host: '127.0.0.1', port: sink.port }, { from: '', to: 'a@dest.test', data });
      const arrived = await sink.next();
      // not deepEqual, which would print both
      expectThat(arrived.raw.equals(data), `${arrived.raw.length} bytes of ${data.length}`).toBe(true);
    });
  }

  test('find the end of data wherever packets are split', async () => {
    const client = await SmtpClient.open('127.0.0.1', sink.port);
    await client.command('MAIL FROM:<>');
    await client.command('RCPT TO:<a@dest.test>');
    await client.command('DATA');
    for (const byte of '..\r\n...\r\nx\r\n.\r\nNOOP\r\n') {
      client.write(byte);
      await new Promise(setImmediate);
    }
    expect((await client.reply()).text).toBe('2.0.0 Kept');
    expect((await client.reply()).code).toBe(250);
    expect((await sink.next()).text).toBe('.\r\n..\r\nx\r\n');
    await client.quit();
  });

  test('keep addresses and parameters unchanged', async () => {
    const client = await SmtpClient.open('127.0.0.1', sink.port);
    await client.command('EHLO grün.test');
    await client.command('MAIL FROM:<"a b>"@src.test> SIZE=5  ENVID=a+2Bb SMTPUTF8');
    const bytes = Buffer.concat([
      Buffer.from('RCPT TO:<'),
      Buffer.from([0xfc, 0xff]),
      Buffer.from('@DEST.test> X=y'),
    ]);
    await client.command(bytes);
    await client.command('RCPT TO:<@relay.test:ü@xn--mnchen-3ya.test>');
    await client.data('x\r\n');
    const { helo, mailFrom, rcptTo } = await sink.next();
    expect(helo).toBe('grün.test');
    expect([mailFrom.address, mailFrom.params]).toStrictEqual([
      '"a b>"@src.test',
      ['SIZE=5', 'ENVID=a+2Bb', 'SMTPUTF8'],
    ]);
    expect(rcptTo[0]?.bytes).toStrictEqual(bytes.subarray('RCPT TO:'.length));
    expect([rcptTo[0]?.address, rcptTo[0]?.params]).toStrictEqual(['\xfc\xff@DEST.test', ['X=y']]);
    expect(rcptTo[1]?.address).toBe('@relay.test:ü@xn--mnchen-3ya.test');
    await client.quit();
  });

  test('name in the error what was awaited', async () => {
    await expect(sink.next(undefined, 20)).rejects.toThrow(/no such message at the sink within 20 ms/);
    using time = new FakeTimeouts();
    const client = await SmtpClient.open('127.0.0.1', sink.port, { timeoutMs: 50 });
    await client.command('DATA');
    const timesOut = expect(client.command('NOOP')).rejects.toThrow(
      /the reply to 'NOOP' from .* not within 50 ms/,
    );
    await localDelivery();
    time.advance(50);
    await timesOut;
    client.destroy();
    await expect(client.command('NOOP')).rejects.toThrow(/the connection is closed/);
  });
});

for (const [name, start] of kinds) {
  describe(name, () => {
    let sink: Sink;
    let plain: Mta;
    let filtered: Mta;

    beforeAll(async () => {
      sink = await Sink.start();
      const [inet, inet6] = await freePorts(2);
      const filters: MtaOptions['filters'] = {
        unix: '/nowhere/filter.sock',
        inet: `inet:${inet}@127.0.0.1`,
        inet6: `inet6:${inet6}@::1`,
      };
      [plain, filtered] = await Promise.all([
        start({ sinkPort: sink.port }),
        start({ sinkPort: sink.port, filters }),
      ]);
    });

    afterAll(async () => {
      await Promise.all([plain?.stop(), filtered?.stop(), sink?.stop()]);
    });

    for (const endpoint of endpointNames) {
      const skip = endpoint === 'inet6' && !hasIPv6 && 'this machine has no ::1';
      itUnless(skip, `delivers every byte through the endpoint ${endpoint}`, async () => {
        const id = `${endpoint}.${name}@src.test`;
        const sent = message(id);
        const replies = await SmtpClient.submit(plain.endpoints[endpoint], {
          from: 'from@src.test',
          to: ['rcpt@dest.test', 'Second.Rcpt@dest.test'],
          data: sent,
          mailParams: 'BODY=8BITMIME',
          rcptParams: 'NOTIFY=NEVER',
        });
        expectThat(replies.last.code, replies.last.text).toBe(250);

        const arrived = await sink.next(({ raw }) => raw.includes(id));
        expect(arrived.raw.subarray(-sent.length)).toStrictEqual(sent);
        const trace = arrived.raw.subarray(0, -sent.length).toString('latin1');
        expectThat(trace, 'only trace headers are added, and above').toMatch(/^Received: /);
        expect(arrived.mailFrom.address).toBe('from@src.test');
        expect(arrived.mailFrom.params).toContain('BODY=8BITMIME');
        expect(arrived.rcptTo.map(({ address }) => address).sort()).toStrictEqual([
          'Second.Rcpt@dest.test',
          'rcpt@dest.test',
        ]);
        expect(arrived.rcptTo.every(({ params }) => params.includes('NOTIFY=NEVER'))).toBe(true);
      });

      itUnless(
        skip,
        `puts the client off where the filter of the endpoint ${endpoint} is not there`,
        async () => {
          const replies = await SmtpClient.submit(filtered.endpoints[endpoint], {
            from: 'from@src.test',
            to: 'rcpt@dest.test',
            data: message('nowhere@src.test'),
          });
          expectThat(replies.last.code, replies.last.text).toBe(451);
        },
      );
    }

    test('refuses one recipient itself', async () => {
      const { rcpt } = await SmtpClient.submit(plain.endpoints.unix, {
        from: 'from@src.test',
        to: ['mtareject@dest.test', 'rcpt@dest.test'],
        data: message('mtareject@src.test'),
      });
      expect(rcpt.map(({ code }) => Math.floor(code / 100))).toStrictEqual([5, 2]);
      const arrived = await sink.next(({ raw }) => raw.includes('mtareject@src.test'));
      expect(arrived.rcptTo.map(({ address }) => address)).toStrictEqual(['rcpt@dest.test']);
    });

    test('waits for a silent filter as long as configured, then does what is configured', async () => {
      // takes connections and says nothing
      const silent = net.createServer((socket) => socket.on('error', () => {}).resume());
      const [port] = await freePorts(1);
      await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
      silent.unref();
      const ask = async (whenFilterFails: FilterFailure) => {
        const filters = { unix: `inet:${port}@127.0.0.1` };
        const timeouts = { connect: 1, command: 1, content: 1 };
        await using mta = await start({ sinkPort: sink.port, filters, timeouts, whenFilterFails });
        const began = performance.now();
        const envelope = { from: 'a@src.test', to: 'b@dest.test', data: message('silent@src.test') };
        const { last } = await SmtpClient.submit(mta.endpoints.unix, envelope);
        expect(performance.now() - began).toBeGreaterThan(990);
        return Math.floor(last.code / 100);
      };
      try {
        const answers = await Promise.all([ask('tempfail'), ask('reject'), ask('accept')]);
        expect(answers).toStrictEqual([4, 5, 2]);
      } finally {
        silent.close();
      }
    });

    test('writes a log', () => {
      expect(plain.log()).toMatch(/rcpt@dest\.test/);
    });

    test('leaves no process and no file behind', async () => {
      await plain.stop();
      expect(fs.existsSync(plain.dir)).toBe(false);
      expect(() => process.kill(plain.pid, 0)).toThrow(errorWith({ code: 'ESRCH' }));
    });
  });
}
