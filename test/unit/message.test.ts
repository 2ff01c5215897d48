/** Filters of whole messages, without an MTA: what they are given and when, what becomes of their edits, where bodies are kept. */
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import { type EnvelopeAddress, MessageFilter, messageFilter, type Transaction } from 'tsmilter/message';
import { defang } from 'tsmilter/mime';
import { TestCtx, type TestCtxOptions } from 'tsmilter/testing';
import { errorWith } from '../support/expect.js';

const MESSAGE = 'Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\nX-Folded: one\n two\n\nfirst\nsecond\n';
const ENVELOPE = { sender: '<a@src.example>', recipients: ['<b@dest.example>', '<c@dest.example>'] };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsmilter-message-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Runs a message through a filter; throws what the filter throws. */
async function run(filter: Milter.Factory, message: string | Buffer = MESSAGE, options: TestCtxOptions = {}) {
  await using ctx = new TestCtx(filter, options);
  const result = await ctx.feedMessage(Buffer.from(message), ENVELOPE);
  if (ctx.errors[0]) throw ctx.errors[0].error;
  return { ...result, reply: ctx.reply };
}

/** A filter whose decision is a function. */
const filterOf = (decide: (transaction: Transaction) => Milter.Answer | Promise<void> | void) =>
  messageFilter(async (transaction) => (await decide(transaction)) ?? Milter.CONTINUE);

describe('a message', () => {
  it('comes with all that is known of it', async () => {
    let seen: unknown;
    const filter = filterOf(async (transaction) => {
      const { client, helo, tls, auth, queueId, sender, recipients, headers, body } = transaction;
      seen = { client, helo, tls, auth, queueId, sender: [sender.address, { ...sender.params }] };
      expect(
        [...recipients].map(({ address, localPart, domain }) => [address, localPart, domain]),
      ).toStrictEqual([
        ['b@dest.example', 'b', 'dest.example'],
        ['c@dest.example', 'c', 'dest.example'],
      ]);
      expect([...headers].map(({ name, value }) => [name, value])).toStrictEqual([
        ['Subject', 'grüße'],
        ['X-Folded', 'one two'],
      ]);
      expect(body.size).toBe(15);
      for (let again = 0; again < 2; again++)
        expect((await body.bytes()).toString()).toBe('first\r\nsecond\r\n');
      const whole: Buffer[] = [];
      for await (const piece of transaction.stream()) whole.push(piece);
      expect(Buffer.concat(whole).toString()).toBe(MESSAGE.replaceAll('\n', '\r\n'));
    });
    await run(filter, MESSAGE, {
      hostname: 'client.example',
      hostaddr: { family: 'inet6', address: '2001:db8::1', port: 4711 },
      helo: 'helo.example',
      macros: {
        helo: { '{tls_version}': 'TLSv1.3', '{cipher}': 'TLS_AES_256_GCM_SHA384', '{cipher_bits}': '256' },
        envfrom: { '{auth_type}': 'PLAIN', '{auth_authen}': 'alice', i: 'Q1' },
      },
    });
    expect(seen).toStrictEqual({
      client: {
        name: 'client.example',
        hostname: 'client.example',
        address: '2001:db8::1',
        port: 4711,
        family: 'inet6',
      },
      helo: 'helo.example',
      tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', bits: 256, subject: null, issuer: null },
      auth: { mechanism: 'PLAIN', user: 'alice', author: null },
      queueId: 'Q1',
      sender: ['a@src.example', {}],
    });
  });

  it.each([
    ['[192.0.2.1]', {}],
    ['unknown', {}],
    ['client.example', { _: 'client.example [192.0.2.1] (may be forged)' }],
  ])('comes from a client without a name if DNS does not confirm it: %s', async (hostname, connect) => {
    const filter = filterOf(({ client }) => expect(client).toMatchObject({ name: null, hostname }));
    await run(filter, MESSAGE, { hostname, macros: { connect } });
  });

  it('has ESMTP parameters as an object without names of its own', async () => {
    let params: EnvelopeAddress['params'] | undefined;
    const filter = filterOf(({ sender }) => {
      params = sender.params;
    });
    await using ctx = new TestCtx(filter);
    await ctx.connect();
    await ctx.helo();
    await ctx.envfrom('<a@src.example>', 'SIZE=10', 'smtputf8', '__proto__=x');
    await ctx.envrcpt('<b@dest.example>');
    await ctx.eom();
    expect(ctx.errors).toStrictEqual([]);
    expect(Object.entries(params ?? {})).toStrictEqual([
      ['SIZE', '10'],
      ['SMTPUTF8', null],
      ['__PROTO__', 'x'],
    ]);
  });
});

describe('edits', () => {
  it('are carried out when the message is delivered, the body last', async () => {
    const { modifications, message } = await run(
      filterOf((transaction) => {
        const { headers, recipients } = transaction;
        transaction.body = 'new\r\n';
        headers.set('subject', 'schöner');
        headers.prepend('X-Top', 'yes');
        recipients.delete('b@dest.example');
        recipients.replace('c@dest.example', 'd@dest.example', '<e@dest.example>');
        recipients.add('d@dest.example', { NOTIFY: 'NEVER' });
        transaction.sender = '';
        transaction.quarantine('for a look');
      }),
    );
    expect(modifications.map(({ type }) => type)).toStrictEqual([
      'chgheader',
      'insheader',
      'chgfrom',
      'delrcpt',
      'delrcpt',
      'addrcpt',
      'addrcpt',
      'quarantine',
      'replacebody',
    ]);
    expect(message.recipients.map(({ address }) => address)).toStrictEqual([
      '<d@dest.example>',
      '<e@dest.example>',
    ]);
    expect(message.sender).toBe('<>');
    expect(message.body.toString()).toBe('new\r\n');
    expect(message.quarantine).toBe('for a look');
  });

  it.each(['postfix', 'sendmail'] as const)(
    'give the document that was made, by the rules of %s',
    async (headerRules) => {
      const { message } = await run(
        filterOf(({ headers }) => {
          headers.insertAfter('Subject', 'X-Between', 'here');
          headers.add('X-Folded', 'second');
          headers.rename('Subject', 'Thread-Topic');
        }),
        MESSAGE,
        { headerRules },
      );
      expect(message.headers.map(([name]) => name)).toStrictEqual([
        'Thread-Topic',
        'X-Between',
        'X-Folded',
        'X-Folded',
      ]);
    },
  );

  it('ask an MTA that passes no white space after the colon for none', async () => {
    const withoutSpace = { protocol: 0 } as TestCtxOptions;
    const { message } = await run(
      filterOf(({ headers }) => headers.prepend('X-Top', 'yes')),
      MESSAGE,
      withoutSpace,
    );
    expect(message.headers[0]).toStrictEqual(['X-Top', 'yes']);
  });

  it.each([
    ['REJECT', Milter.REJECT],
    ['TEMPFAIL', Milter.TEMPFAIL],
    ['DISCARD', Milter.DISCARD],
  ] as const)('are not sent with %s', async (_, verdict) => {
    const { modifications } = await run(
      filterOf((transaction) => {
        transaction.sender = 'x@src.example';
        return verdict;
      }),
    );
    expect(modifications).toStrictEqual([]);
  });

  it.each<[string, (transaction: Transaction) => unknown]>([
    ['a body that is a number', (transaction) => (transaction.body = 1 as unknown as string)],
    ['a sender of two lines', (transaction) => (transaction.sender = 'a@b.example\nc')],
    ['a recipient that is not there', ({ recipients }) => recipients.replace('x@y.example', 'z@y.example')],
    ['a reason of two lines', (transaction) => transaction.quarantine('a\nb')],
  ])('that cannot be made throw at once: %s', async (_, edit) => {
    await run(
      filterOf((transaction) => {
        expect(() => edit(transaction)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
      }),
    );
  });

  it('take over a message that was edited as MIME, and keep other edits', async () => {
    const mail =
      'Subject: s\nMIME-Version: 1.0\nContent-Type: application/x-msdownload;\n name="evil.exe"\nContent-Transfer-Encoding: base64\n\nAAAA\n';
    const { message } = await run(
      filterOf(async (transaction) => {
        transaction.headers.set('Subject', 'checked');
        const mime = await transaction.mime();
        await defang(mime);
        transaction.use(mime);
      }),
      mail,
    );
    const headers = new Map(message.headers.map(([name, value]) => [name.toLowerCase(), value]));
    expect(headers.get('subject')).toBe('checked');
    expect(headers.get('content-type')).not.toMatch(/msdownload/);
    expect(message.body.toString()).not.toMatch(/AAAA/);
  });
});

describe('a CR without LF in the header, which ends no line for the MTA,', () => {
  const defangIt = filterOf(async (transaction) => {
    const mime = await transaction.mime();
    await defang(mime);
    transaction.use(mime);
  });

  it('does not become a field', async () => {
    const { message, modifications } = await run(defangIt, 'Subject: a\rX-Injected: yes\nX-A: b\n\ntext\n');
    expect(message.headers.map(([name]) => name)).toStrictEqual(['Subject', 'X-A']);
    expect(modifications.filter(({ type }) => /header/i.test(type))).toStrictEqual([]);
    expect(message.body.toString()).toBe('text\r\n');
  });

  it('does not end the header, which stays if the body is replaced', async () => {
    const mail =
      'Subject: a\r\rb\nFrom: c@d.example\nX-Spam: yes\nContent-Type: multipart/mixed; boundary=cut\n\n' +
      '--cut\nContent-Type: a/b; name=evil.exe\n\nMZ\n--cut--\n';
    const { message } = await run(defangIt, mail);
    const headers = new Map(message.headers.map(([name, value]) => [name.toLowerCase(), value]));
    expect(headers.get('from')).toBe('c@d.example');
    expect(headers.get('x-spam')).toBe('yes');
    expect(headers.get('content-type')).toMatch(/WARNING\.TXT/);
    expect(message.body.toString()).not.toMatch(/MZ|X-Spam/);
  });

  it('does not move what follows into the body', async () => {
    const filter = filterOf(async (transaction) => {
      const mime = await transaction.mime();
      mime.setHeader('X-Seen', 'yes');
      transaction.use(mime);
    });
    const { message } = await run(filter, 'Subject: a\r\rb\nX-A: c\n\ntext\n');
    expect(message.headers.map(([name]) => name)).toStrictEqual(['Subject', 'X-A', 'X-Seen']);
    expect(message.body.toString()).toBe('text\r\n');
  });
});

describe('decisions before the end', () => {
  it('are made at each stage, with what is known there', async () => {
    const seen: string[] = [];
    class All extends MessageFilter {
      protected override atConnect(session: { client: { address: string | null } }) {
        seen.push(`connect ${session.client.address}`);
        return Milter.CONTINUE;
      }
      protected override atHello(session: { helo: string | null }) {
        seen.push(`hello ${session.helo}`);
        return Milter.CONTINUE;
      }
      protected override atMail(transaction: Transaction) {
        seen.push(`mail ${transaction.sender}`);
        return Milter.CONTINUE;
      }
      protected override atRcpt(transaction: Transaction, recipient: EnvelopeAddress) {
        seen.push(`rcpt ${recipient} after ${transaction.recipients.length}`);
        return recipient.localPart === 'b' ? Milter.REJECT : Milter.CONTINUE;
      }
      protected override atHeaders(transaction: Transaction) {
        seen.push(`headers ${transaction.headers.length}`);
        return Milter.CONTINUE;
      }
      protected override message(transaction: Transaction) {
        seen.push(`message to ${[...transaction.recipients]}`);
        return Milter.CONTINUE;
      }
    }
    await run(All);
    expect(seen).toStrictEqual([
      'connect 127.0.0.1',
      'hello localhost',
      'mail a@src.example',
      'rcpt b@dest.example after 0',
      'rcpt c@dest.example after 0',
      'headers 2',
      'message to c@dest.example',
    ]);
  });

  it.each(['mail', 'headers'] as const)('of a function: at %s, without the body', async (at) => {
    let bodies = 0;
    const filter = messageFilter(
      (transaction) => {
        bodies += transaction.body.size;
        transaction.headers.prepend('X-At', at);
        return Milter.ACCEPT;
      },
      { at },
    );
    const { message, verdict } = await run(filter);
    expect([verdict, bodies]).toStrictEqual(['accept', 0]);
    expect(message.headers[0]).toStrictEqual(['X-At', at]);
  });

  it('of a function: for each recipient', async () => {
    const filter = messageFilter(
      (_transaction, recipient) => (recipient.localPart === 'b' ? Milter.REJECT : Milter.CONTINUE),
      { at: 'rcpt' },
    );
    const { recipients } = await run(filter);
    expect(recipients.map(({ verdict }) => verdict)).toStrictEqual(['reject', 'continue']);
  });

  it('ACCEPT without edits ends the message at once', async () => {
    const { endedAt } = await run(messageFilter(() => Milter.ACCEPT, { at: 'mail' }));
    expect(endedAt).toBe('envfrom');
  });

  it('edits made before the headers came stand above and below them', async () => {
    class Early extends MessageFilter {
      protected override atMail({ headers }: Transaction) {
        headers.prepend('X-Top', '1');
        headers.add('X-End', '1');
        return Milter.CONTINUE;
      }
      protected override message({ headers }: Transaction) {
        expect([...headers].map(({ name }) => name)).toStrictEqual(['X-Top', 'Subject', 'X-Folded', 'X-End']);
        return Milter.CONTINUE;
      }
    }
    const { modifications } = await run(Early);
    expect(modifications).toHaveLength(2);
  });

  it.each([
    ['no function', () => messageFilter(null as never)],
    ['an unknown stage', () => messageFilter(() => Milter.CONTINUE, { at: 'data' as 'end' })],
    ['an unknown option', () => messageFilter(() => Milter.CONTINUE, { max: 1 } as object)],
  ])('%s is refused', (_, make) => {
    expect(make).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
  });
});

describe('bodies', () => {
  const BODY = Buffer.from('123456789\r\n'.repeat(30_000));
  const mail = Buffer.concat([Buffer.from('Subject: s\r\n\r\n'), BODY]);

  it.each([
    ['in memory below the limit', { maxMemory: 330_000 }, true],
    ['in a file above it', { maxMemory: 329_999 }, false],
    ['in a file above the limit for all messages', { maxTotalMemory: 100_000 }, false],
    ['in a file always', { maxMemory: 0 }, false],
  ])('are kept %s, and read again and again', async (_, options, inMemory) => {
    const spoolDirectory = join(directory, 'spool');
    const filter = messageFilter(
      async ({ body }) => {
        expect(body.inMemory).toBe(inMemory);
        for (let again = 0; again < 2; again++) expect((await body.bytes()).equals(BODY)).toBe(true);
        if (!inMemory) expect(statSync(spoolDirectory).mode & 0o777).toBe(0o700);
        // The file has no name any more: nothing is left, however this process ends.
        if (!inMemory) expect(readdirSync(spoolDirectory)).toStrictEqual([]);
        return Milter.CONTINUE;
      },
      { ...options, spoolDirectory },
    );
    await run(filter, mail);
  });

  it('cannot be read after the message, and their descriptors are closed', async () => {
    const open = () => readdirSync('/proc/self/fd').length;
    let kept: Transaction | undefined;
    const filter = messageFilter(
      (transaction) => {
        kept = transaction;
        return Milter.CONTINUE;
      },
      {
        maxMemory: 0,
        spoolDirectory: directory,
      },
    );
    const before = open();
    await run(filter, mail);
    expect(open()).toBe(before);
    await expect(kept?.body.bytes()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_BAD_CONTEXT' }));
  });

  it('may be too large to be read at once', async () => {
    const filter = messageFilter(async ({ body }) => {
      await expect(body.bytes(1000)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_MIME_LIMIT' }));
      return Milter.CONTINUE;
    });
    await run(filter, mail);
  });

  it('an abandoned file is removed, one that is in use is not', async () => {
    const [old, fresh] = [join(directory, '1-a-0'), join(directory, '2-b-0')];
    writeFileSync(old, 'x');
    writeFileSync(fresh, 'x');
    utimesSync(old, 1, 1);
    await run(
      messageFilter(() => Milter.CONTINUE, { maxMemory: 0, spoolDirectory: directory }),
      mail,
    );
    expect(readdirSync(directory)).toStrictEqual(['2-b-0']);
    expect(readFileSync(fresh, 'utf8')).toBe('x');
  });

  it('are not kept in a directory that a link points to', async () => {
    const link = join(directory, 'link');
    symlinkSync('/tmp', link);
    const filter = messageFilter(() => Milter.CONTINUE, { maxMemory: 0, spoolDirectory: link });
    await expect(run(filter, mail)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_SPOOL' }));
  });
});
