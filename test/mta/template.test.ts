// The template (examples/template.ts) with both MTAs, run as a user runs it.
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';
import { expectThat } from '../support/expect';
import { kinds, type Mail, MtaFixture } from './support/mta-fixture';
import { Program } from './support/program';
import { bodyOf, headersOf } from './support/view';

const copies = 'archive@dest.test';

const mail: Mail = {
  headers: ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary="b"'],
  body: [
    '--b',
    'Content-Type: text/plain',
    '',
    'Here they are.',
    '--b',
    'Content-Type: application/pdf; name="offer.pdf"',
    'Content-Disposition: attachment; filename="offer.pdf"',
    '',
    'x',
    '--b',
    "Content-Disposition: attachment; filename*=utf-8''gr%C3%BC%C3%9Fe.txt",
    '',
    'x',
    '--b--',
    '',
  ].join('\r\n'),
};

describe('the template', () => {
  let mtas: MtaFixture;
  let template: Program;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ fixture: null });
    const script = path.join(projectRoot, '.build/examples/template.js');
    const args = [mtas.socket(), '--bcc', copies, '--mode', '666'];
    template = await Program.start(script, args, /^template: listening on /m, path.join(mtas.dir, 'tmp'));
  });
  afterAll(async () => {
    try {
      await template?.stop();
      expect(template.output).toMatch(/^template: stopped$/m);
      expect(template.output).not.toMatch(/untrapped/);
    } finally {
      await mtas?.stop();
    }
  });

  /** What it has logged of the one session that contains `mark`. */
  async function sessionWith(mark: string): Promise<string[]> {
    await template.wrote(new RegExp(mark));
    const id = new RegExp(`^\\[(\\d+)\\] .*${mark}`, 'm').exec(template.output)?.[1];
    await template.wrote(new RegExp(`^\\[${id}\\] close$`, 'm'));
    const prefix = `[${id}] `;
    return template.output
      .split('\n')
      .filter((line) => line.startsWith(prefix))
      .map((line) => line.slice(prefix.length));
  }

  for (const kind of kinds) {
    describe(kind, () => {
      test('adds a recipient that the message does not name, and changes nothing else', async () => {
        const { id, last } = await mtas.submit(kind, mail);
        expectThat(last.code, last.text).toBe(250);
        const message = await mtas.delivered(id);
        expect(message.rcptTo.map(({ address }) => address).sort()).toStrictEqual([copies, 'rcpt@dest.test']);
        expect(headersOf(message).join('\n')).not.toMatch(new RegExp(copies));
        expect(bodyOf(message).toString()).toBe(mail.body);
      });

      test('logs every step and the names of attachments', async () => {
        const { id } = await mtas.submit(kind, mail);
        const lines = await sessionWith(id);
        const steps = [
          /^negotiated: actions \d+ protocol \d+$/,
          /^connect from \S+ at \["127\.0\.0\.1",\d+\] to (sendmail|postfix)\.test$/,
          /^hello from client\.test$/,
          /^mail from <from@src\.test> user ?$/,
          /^rcpt to <rcpt@dest\.test>$/,
          /^data$/,
          /^Content-Type: multipart\/mixed; boundary="b"$/,
          /^end of headers$/,
          /^body, \d+ bytes$/,
          /^attachment "offer\.pdf" of type application\/pdf$/,
          /^attachment "grüße\.txt" of type text\/plain$/,
          new RegExp(`^copy to ${copies}$`),
          /^end of message \w+$/,
          /^close$/,
        ];
        const found = steps.map((step) => lines.findIndex((line) => step.test(line)));
        expectThat(found, `${steps[found.indexOf(-1)]} in\n${lines.join('\n')}`).not.toContain(-1);
        expectThat(
          [...found].sort((one, other) => one - other),
          'in order',
        ).toStrictEqual(found);
        expect(lines.filter((line) => line.startsWith('attachment'))).toHaveLength(2);
      });

      test('forgets an aborted message', async () => {
        using client = await mtas.open(kind);
        await client.command('EHLO client.test');
        expect((await client.command('XYZZY')).code).toBe(500);
        const sender = `given-up-${kind}@src.test`;
        await client.command(`MAIL FROM:<${sender}>`);
        await client.command('RCPT TO:<rcpt@dest.test>');
        await client.command('RSET');
        await client.command('PLUGH');
        const { id, last } = await mtas.send(client);
        expectThat(last.code, last.text).toBe(250);
        await client.quit();
        await mtas.delivered(id);
        const lines = await sessionWith(sender);
        expect(lines).toContain('unknown command XYZZY');
        // to Sendmail, a filter whose message was given up is done until the next one
        expectThat(lines.includes('unknown command PLUGH'), lines.join('\n')).toBe(kind === 'postfix');
        expect(lines).toContain('abort');
        expect(lines.filter((line) => line.startsWith('attachment'))).toStrictEqual([]);
      });
    });
  }
});
