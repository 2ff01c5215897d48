// The rules of the production filter about header and content, behind both MTAs: each in each of its modes, as the client hears
// it and as the message is delivered.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MODES, type Mode } from '../../examples/guard/rule';
import type { Zone } from '../../tools/dns-server';
import { expectThat } from '../support/expect';
import { clients, effectOf, GuardFixture, type Sections, type Trial, zone } from './support/guard-fixture';
import { type Kind, kinds } from './support/mta-fixture';
import { headersOf } from './support/view';

/** A message that one rule finds something about. */
interface Case extends Trial {
  readonly rule: string;
  readonly options?: Readonly<Record<string, string>>;
  /** The most severe effect. */
  readonly atMost?: Mode;
  /** In the log. */
  readonly reason: RegExp;
  /** What mode `tag` does in place of a field X-Guard; checks the delivered message. */
  readonly mended?: (text: string) => void;
}

const attachment = (name: string, content: string) =>
  [
    '--b',
    'Content-Type: text/plain',
    '',
    'see the attachment',
    '--b',
    `Content-Type: application/octet-stream; name="${name}"`,
    `Content-Disposition: attachment; filename="${name}"`,
    '',
    content,
    '--b--',
    '',
  ].join('\r\n');
const MULTIPART = ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b'];

/** What domains of authors ask for; src.test is that of the fixture's messages. */
const policies: Zone = {
  '_dmarc.src.test': { TXT: ['v=DMARC1; p=quarantine'] },
  '_dmarc.strict.example': { TXT: ['v=DMARC1; p=reject'] },
  'greedy.example': {
    TXT: [`v=spf1 ${[1, 2, 3, 4, 5, 6].map((n) => `a:h${n}.greedy.example`).join(' ')} -all`],
  },
};

const CASES: readonly Case[] = [
  {
    rule: 'subject_words',
    options: { words: 'Lottery, you have won' },
    headers: ['Subject: =?utf-8?Q?The_l=C2=ADottery?= is yours'],
    reason: /has "Lottery"/,
  },
  {
    rule: 'from_words',
    options: { words: 'casino' },
    // The fixture's own From comes first, and both MTAs let a second one pass.
    headers: ['From: "Casino Royale" <joe@stranger.example>'],
    reason: /has "casino"/,
  },
  {
    rule: 'unreadable_charset',
    options: { charsets: 'gb2312, big5' },
    headers: ['Subject: =?GB2312?B?xOO6ww==?='],
    reason: /character set "gb2312"/,
  },
  { rule: 'from_mismatch', reason: /From "author@src\.test", sender "joe@stranger\.example"/ },
  {
    rule: 'hide_path',
    at: clients.inside,
    from: 'ann@ours.test',
    headers: ['Received: from desk.ours.test by secret.ours.test; Mon, 1 Jan 2024 00:00:00 +0000'],
    reason: /1 Received fields/,
    mended: (text) => expect(text).not.toContain('secret.ours.test'),
  },
  {
    rule: 'supply_sender',
    at: clients.inside,
    from: 'ann@ours.test',
    reason: /From "author@src\.test" is sent by "ann@ours\.test"/,
    mended: (text) => expect(text).toMatch(/^Sender: <ann@ours\.test>\r?$/m),
  },
  {
    rule: 'dmarc',
    atMost: 'quarantine',
    reason: /DMARC fail of "src\.test", p=quarantine/,
  },
  {
    rule: 'dangerous_content',
    headers: MULTIPART,
    body: attachment('invoice.pdf.exe', 'MZ harmful'),
    reason: /attachments "invoice\.pdf\.exe"/,
    mended: (text) => {
      expect(text).not.toContain('MZ harmful');
      expect(text).toContain('WARNING.TXT');
    },
  },
];

describe('guard', () => {
  let guard: GuardFixture;

  beforeAll(async () => {
    guard = await GuardFixture.start({ ...zone, ...policies });
  });
  afterAll(() => guard?.stop());

  const sectionsOf = ({ rule, options }: Case, mode: Mode): Sections => ({ [rule]: { mode, ...options } });

  describe.each(CASES.map((each) => [each.rule, each] as const))('%s', (rule, each) => {
    describe.each(MODES)('mode %s', (mode) => {
      beforeAll(() => guard.configure(sectionsOf(each, mode)));

      test.each(kinds)('%s', async (kind) => {
        const effect = effectOf(each, mode);
        const { reply, code, id } = await guard.send(kind, each);
        if (effect === 'defer' || effect === 'reject') {
          expectThat(code, reply).toBe(effect === 'defer' ? 451 : 550);
        } else {
          expectThat(code, reply).toBe(250);
          await expectDelivered(kind, id, effect, each);
        }
        if (mode === 'off') {
          await guard.logged(/ACCEPT message/);
          expect(guard.log).not.toContain(`${rule.toUpperCase()} `);
        } else {
          await guard.logged(new RegExp(`${rule.toUpperCase()} ${effect}: .*${each.reason.source}`));
        }
      });
    });
  });

  async function expectDelivered(kind: Kind, id: string, mode: Mode, { rule, mended }: Case): Promise<void> {
    expect(await guard.wasDelivered(kind, id)).toBe(mode !== 'quarantine');
    if (mode === 'quarantine') return;
    const delivered = await guard.delivered(id);
    const marks = headersOf(delivered).filter((field) => field.startsWith('X-Guard:'));
    const marked = mode === 'tag' && mended === undefined;
    expect(marks.map((field) => field.replace(/;[\s\S]*/, ''))).toStrictEqual(
      marked ? [`X-Guard: ${rule}`] : [],
    );
    if (mode === 'tag') mended?.(delivered.text);
  }

  describe.each(kinds)('%s', (kind) => {
    test('DMARC: a sender whose SPF record asks for more than it may has not used up the questions of others', async () => {
      await guard.configure({ dns: { max_lookups: '4' }, dmarc: { mode: 'reject' } });
      const { id } = await guard.send(kind, { from: 'eve@greedy.example' });
      expect(await guard.wasDelivered(kind, id)).toBe(false);
      await guard.logged(/DMARC quarantine: /);
    });

    test('an encoded word that has an address in it is no author', async () => {
      await guard.configure({ from_mismatch: { mode: 'reject' } });
      // The fixture's own From is behind it.
      const encoded = Buffer.from('"<joe@stranger.example>"').toString('base64');
      const trial = { headers: [`From: =?utf-8?B?${encoded}?= <eve@other.example>`] };
      expect((await guard.send(kind, trial)).code).toBe(550);
    });

    test('the path of what is not ours, or has come far, is left', async () => {
      await guard.configure({ hide_path: { mode: 'tag' } });
      const received = 'Received: from a.example by b.example; Mon, 1 Jan 2024 00:00:00 +0000';
      const mail = { at: clients.inside, from: 'ann@ours.test', headers: Array(6).fill(received) };
      expect((await guard.delivered((await guard.send(kind, mail)).id)).text).toContain('a.example');
      const others = { ...mail, from: 'joe@stranger.example', headers: [received] };
      expect((await guard.delivered((await guard.send(kind, others)).id)).text).toContain('a.example');
    });

    test('content with more parts than can be checked is removed', async () => {
      await guard.configure({ dangerous_content: { mode: 'tag' } });
      const body = `${'--b\r\n\r\n\r\n'.repeat(1_001)}${attachment('x.exe', 'MZ harmful')}`;
      const { id, code, reply } = await guard.send(kind, { headers: MULTIPART, body });
      expectThat(code, reply).toBe(250);
      const { text } = await guard.delivered(id);
      expect(text).not.toContain('MZ harmful');
      expect(text).toContain('was removed');
    });

    test('DMARC: of several authors the strictest domain counts, unless it is exempt', async () => {
      const mail = { headers: ['From: boss@strict.example'] };
      await guard.configure({ dmarc: { mode: 'reject' } });
      expect((await guard.send(kind, mail)).reply).toMatch(/^550 5\.7\.1 "strict\.example" asks/);
      await guard.configure({ dmarc: { mode: 'reject', exempt: '@strict.example' } });
      expect((await guard.send(kind, mail)).code).toBe(250);
    });

    test.each([
      ['no From field', ''],
      ['an empty address', 'From: <>\r\n'],
      ['a name without an address', 'From: The Boss\r\n'],
      ['an address without a domain', 'From: boss\r\n'],
      ['a From field that no program can read', 'From: "boss <boss@other.example>\r\n'],
      ['two From fields', 'From: boss@other.example\r\nFrom: eve@stranger.example\r\n'],
      ['authors of two domains', 'From: boss@other.example, eve@stranger.example\r\n'],
    ])('DMARC: a message with %s has no author: the option says what follows', async (_, from) => {
      const mail = { content: `${from}Subject: pay\r\n\r\nnow\r\n` };
      await guard.configure({ dmarc: { mode: 'reject' } });
      expect((await guard.send(kind, mail)).reply).toMatch(/^550 5\.7\.1 The From field of your message/);
      await guard.configure({ dmarc: { mode: 'reject', no_author: 'tag' } });
      const { id, code, reply } = await guard.send(kind, mail);
      expectThat(code, reply).toBe(250);
      expect(headersOf(await guard.delivered(id)).join('\n')).toMatch(/^X-Guard: dmarc; DMARC permerror: /m);
      await guard.configure({ dmarc: { mode: 'reject', no_author: 'continue' } });
      expect((await guard.send(kind, mail)).code).toBe(250);
      expect(guard.log).not.toContain('DMARC');
    });
  });
});
