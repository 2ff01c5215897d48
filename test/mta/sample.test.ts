// The sample filter (examples/sample.ts) with both MTAs, run as a user runs it.
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';
import { expectThat } from '../support/expect';
import { heard } from './support/conversation';
import { kinds, type Mail, MtaFixture } from './support/mta-fixture';
import { Program } from './support/program';
import { bodyOf, headersOf } from './support/view';

const boundary = 'the-boundary';

/** A message of parts, each with its headers. */
function multipart(...parts: readonly (readonly [headers: readonly string[], content: string])[]): Mail {
  const text = parts.map(
    ([headers, content]) => `--${boundary}\r\n${headers.join('\r\n')}\r\n\r\n${content}\r\n`,
  );
  return {
    headers: [
      'Subject: files for you',
      'MIME-Version: 1.0',
      `Content-Type: multipart/mixed; boundary="${boundary}"`,
    ],
    body: `preamble\r\n${text.join('')}--${boundary}--\r\nepilogue\r\n`,
  };
}

const plainPart = [['Content-Type: text/plain'], 'Look at this.'] as const;

function attachment(name: string, content: string): readonly [readonly string[], string] {
  return [
    [
      `Content-Type: application/octet-stream; name="${name}"`,
      `Content-Disposition: attachment; filename="${name}"`,
      'Content-Transfer-Encoding: base64',
    ],
    content,
  ];
}

const refusals: readonly (readonly [title: string, mail: Mail, reply: string])[] = [
  ['a keyword in the subject', { headers: ['Subject: FREE money'] }, 'that subject is typical of spam'],
  [
    'a keyword in an encoded subject',
    { headers: ['Subject: =?utf-8?B?RlJFRSBtb25leQ==?='] },
    'that subject is typical of spam',
  ],
  [
    'a subject in a character set that nobody here reads',
    { headers: ['Subject: =?GB2312?B?xOO6ww==?='] },
    'we cannot read gb2312 in a subject',
  ],
  ['a known bulk mailer', { headers: ['X-Mailer: Calypso'] }, 'that mailer sends bulk mail only'],
];

describe('the sample filter', () => {
  let mtas: MtaFixture;
  let sample: Program;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ fixture: null });
    const script = path.join(projectRoot, '.build/examples/sample.js');
    const temporary = path.join(mtas.dir, 'tmp');
    sample = await Program.start(
      script,
      [mtas.socket(), '--mode', '666'],
      /^sample: listening on /m,
      temporary,
    );
  });
  afterAll(async () => {
    try {
      await sample?.stop();
      expect(sample.output).toMatch(/^sample: stopped$/m);
    } finally {
      await mtas?.stop();
    }
  });

  for (const kind of kinds) {
    describe(kind, () => {
      test('lets a clean message pass unchanged', async () => {
        const mail = {
          ...multipart(plainPart, attachment('photo.jpg', 'AAEC')),
          mailParams: 'BODY=8BITMIME',
        };
        const { id, last } = await mtas.submit(kind, mail);
        expectThat(last.code, last.text).toBe(250);
        const message = await mtas.delivered(id);
        expect(bodyOf(message).toString()).toBe(mail.body);
        expect(headersOf(message)).toContain('Subject: files for you');
        await sample.wrote(/Subject: files for you/);
      });

      for (const [title, mail, reply] of refusals) {
        test(`refuses ${title}`, async () => {
          const { id, message } = await mtas.submit(kind, mail);
          expect(message && heard(message)).toBe(`550 5.7.1 ${reply}`);
          expect(await mtas.wasDelivered(kind, id)).toBe(false);
        });
      }

      test('refuses an invalid Message-ID', async () => {
        using client = await mtas.open(kind);
        await client.command('EHLO client.test');
        await client.command('MAIL FROM:<from@src.test>');
        await client.command('RCPT TO:<rcpt@dest.test>');
        expect(heard(await client.data('Message-Id: <>\r\n\r\nx\r\n'))).toBe(
          '550 5.7.1 the Message-ID is malformed',
        );
        await client.quit();
      });

      for (const to of ['mailer-daemon@dest.test', 'MAILER-DAEMON@dest.test']) {
        test(`discards mail to ${to}`, async () => {
          const { id, last } = await mtas.submit(kind, { to });
          expectThat(last.code, last.text).toBe(250);
          expect(await mtas.wasDelivered(kind, id)).toBe(false);
          await sample.wrote(new RegExp(`DISCARD: rcpt to <${to}>`));
        });
      }

      for (const name of ['invoice.exe', 'Invoice.PIF', 'holiday.jpg.vbs']) {
        test(`replaces the attachment ${name} by a warning, and nothing else`, async () => {
          const harmless = attachment('notes.txt', 'bm90ZXM=');
          const mail = multipart(plainPart, attachment(name, 'TVqQAAMAAAAEAAAA'), harmless);
          const { id, last } = await mtas.submit(kind, mail);
          expectThat(last.code, last.text).toBe(250);
          const body = bodyOf(await mtas.delivered(id)).toString();
          expect(body).not.toContain('TVqQAAMAAAAEAAAA');
          expect(body).toContain('Content-Type: text/plain; charset=utf-8; name="WARNING.TXT"');
          expect(body).toMatch(
            new RegExp(`The attachment "${name}" was removed by the mail filter of ${kind}\\.test`),
          );
          const sent = `${mail.body}`;
          const at = sent.indexOf(`--${boundary}\r\nContent-Type: application`);
          expectThat(body.startsWith(sent.slice(0, at)), 'what stands before it').toBe(true);
          expectThat(
            body.endsWith(sent.slice(sent.indexOf(`--${boundary}\r\n${harmless[0][0]}`))),
            'and after it',
          ).toBe(true);
          await sample.wrote(new RegExp(`REPLACED: "${name}"`));
        });
      }

      test('replaces a message that is itself the dangerous file', async () => {
        const headers = [
          'Subject: run this',
          'MIME-Version: 1.0',
          'Content-Type: application/x-msdownload; name="run.exe"',
          'Content-Transfer-Encoding: base64',
        ];
        const { id, last } = await mtas.submit(kind, { headers, body: 'TVqQAAMAAAAEAAAA\r\n' });
        expectThat(last.code, last.text).toBe(250);
        const message = await mtas.delivered(id);
        const fields = headersOf(message);
        expect(fields).toContain('Content-Type: text/plain; charset=utf-8; name="WARNING.TXT"');
        expect(fields).toContain('Content-Transfer-Encoding: 7bit');
        expect(fields).toContain('Content-Disposition: inline; filename="WARNING.TXT"');
        expect(bodyOf(message).toString()).toMatch(/^The attachment "run\.exe" was removed/);
      });

      test('keeps no copy of a message', async () => {
        expect(
          (await mtas.submit(kind, { body: 'x'.repeat(900).concat('\r\n').repeat(1000) })).last.code,
        ).toBe(250);
        using client = await mtas.open(kind);
        await client.command('EHLO client.test');
        await client.command('MAIL FROM:<from@src.test>');
        client.destroy();
        const { id } = await mtas.submit(kind);
        await mtas.delivered(id);
        expect(sample.temporaryFiles()).toStrictEqual([]);
      });
    });
  }

  test('logs each step in a line', async () => {
    const begun = sample.output.length;
    const { id } = await mtas.submit('postfix', { headers: ['Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?='] });
    await mtas.delivered(id);
    await sample.wrote(/end of message, 8 bytes of body/);
    const lines = sample.output.slice(begun).split('\n');
    for (const wanted of [
      /\[\d+\] connect from \[127\.0\.0\.1\] at \["127\.0\.0\.1",\d+\]$/,
      /\[\d+\] hello from client\.test$/,
      /\[\d+\] mail from <from@src\.test>$/,
      /\[\d+\] rcpt to <rcpt@dest\.test>$/,
      /\[\d+\] Subject: Grüße$/,
      /\[\d+\] end of message, 8 bytes of body$/,
    ])
      expectThat(
        lines.some((line) => wanted.test(line)),
        `${wanted} in ${lines.join('\n')}`,
      ).toBe(true);
  });
});
