/** Contract 10: setreply, as its text stands on the wire. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ACCEPT, CONTINUE, REJECT, TEMPFAIL } from 'tsmilter';
import { type Reply, type Response, TestCtx } from 'tsmilter/testing';
import { makeTelling, type Script } from '../fixtures/script.js';
import type { ToldError } from '../fixtures/serve.js';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { ANSWERED_HANDLERS } from '../support/handlers.js';
import { driveTo, verdictOf } from './drive.js';

type Call = readonly ['setreply' | 'setReplyText', ...args: unknown[]];

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `line ${i + 1}`);

/** The reply as it stands on the wire, from its lines. */
const wire = (code: string, extended: string, lines: readonly string[]) =>
  lines
    .map((line, i) => `${code}${i < lines.length - 1 ? '-' : ' '}${extended ? `${extended} ` : ''}${line}`)
    .join('\r\n');

/** @contract 10 */
describe('replies', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  /** What the MTA gets for MAIL when its handler sets a reply and answers. */
  async function replyTo(call: Call, answer: number): Promise<{ verdict: string; reply?: Reply }> {
    await filter.use({ handlers: { envfrom: { call: [call], answer } } });
    await using mta = await filter.session();
    const response = await driveTo(mta, 'envfrom');
    expect(await filter.eventsOf('error')).toStrictEqual([]);
    return response as { verdict: string; reply?: Reply };
  }

  for (const count of [1, 2, 3, 16, 31, 32]) {
    it(`${count} line${count === 1 ? '' : 's'}, as reject and as tempfail`, async () => {
      const lines = numbered(count);
      const rejected = await replyTo(['setreply', '550', '5.7.1', ...lines], REJECT);
      expect(rejected).toStrictEqual({
        verdict: 'reject',
        reply: { code: '550', xcode: '5.7.1', lines, text: wire('550', '5.7.1', lines) },
      });
      const deferred = await replyTo(['setreply', '452', '4.2.2', ...lines], TEMPFAIL);
      expect(deferred).toStrictEqual({
        verdict: 'tempfail',
        reply: { code: '452', xcode: '4.2.2', lines, text: wire('452', '4.2.2', lines) },
      });
    });
  }

  it('one line without an extended code', async () => {
    const { reply } = await replyTo(['setreply', '550', null, 'go away'], REJECT);
    expect(reply?.text).toBe('550 go away');
  });

  it('several lines without an extended code: libmilter adds X.0.0', async () => {
    const { reply } = await replyTo(['setreply', '550', null, 'go', 'away'], REJECT);
    expect(reply?.text).toBe(wire('550', '5.0.0', ['go', 'away']));
  });

  it('null as the only line, or no line at all: only the codes', async () => {
    for (const lines of [[null], []]) {
      const { reply } = await replyTo(['setreply', '550', '5.7.1', ...lines], REJECT);
      expect([reply?.code, reply?.xcode, reply?.lines]).toStrictEqual(['550', '5.7.1', ['']]);
    }
  });

  it('only the code', async () => {
    const { verdict, reply } = await replyTo(['setreply', '550'], REJECT);
    expect([verdict, reply?.code, reply?.xcode]).toStrictEqual(['reject', '550', undefined]);
  });

  it('an empty line among others', async () => {
    const { reply } = await replyTo(['setreply', '550', '5.7.1', 'one', '', 'three'], REJECT);
    expect(reply?.lines).toStrictEqual(['one', '', 'three']);
  });

  it('a % that the filter has doubled is sent doubled', async () => {
    const lines = ['100%% wrong', '%%%% twice', '%%s %%n'];
    const { reply } = await replyTo(['setreply', '550', '5.7.1', ...lines], REJECT);
    expect(reply?.lines).toStrictEqual(lines);
  });

  it('8-bit text, and bytes that are not UTF-8, throw; setReplyText replaces them', async () => {
    for (const line of ['Grüße', 'caf\udce9', 'spam \u010D\u010A250 2.0.0 ok']) {
      await filter.use({ handlers: { eom: { call: [['setreply', '550', '5.7.1', line]], answer: REJECT } } });
      await using mta = await filter.greeted();
      expect((await mta.message(ENVELOPE)).response).toStrictEqual({ verdict: 'reject' });
      expect(await filter.eventsOf('error')).toMatchObject([
        ['error', 'setreply', { code: 'ERR_MILTER_BAD_REPLY' }],
      ]);
      const { reply } = await replyTo(['setReplyText', '550', null, line], REJECT);
      expect(reply?.xcode).toBe('5.7.1');
      expect(reply?.lines[0]).toMatch(/^[ -~]*\?[ -~]*$/);
    }
  });

  it('a line of 980 bytes', async () => {
    const line = 'x'.repeat(980);
    const { reply } = await replyTo(['setreply', '550', '5.7.1', line, 'end'], REJECT);
    expect(reply?.lines).toStrictEqual([line, 'end']);
  });

  it('a text that begins with a digit gets an extended code', async () => {
    const { reply } = await replyTo(['setreply', '550', null, '192.0.2.1 is listed'], REJECT);
    expect(reply?.text).toBe('550 5.0.0 192.0.2.1 is listed');
  });

  it('421 with TEMPFAIL', async () => {
    const { verdict, reply } = await replyTo(['setreply', '421', '4.3.2', 'closing'], TEMPFAIL);
    expect([verdict, reply?.text]).toStrictEqual(['tempfail', '421 4.3.2 closing']);
  });

  it('in every handler that can refuse, immediately or at the end of the message', async () => {
    for (const handler of ANSWERED_HANDLERS) {
      const call: Call = ['setreply', '554', '5.7.0', `refused in ${handler}`, 'for good'];
      await filter.use({ handlers: { [handler]: { call: [call], answer: REJECT } } });
      await using mta = await filter.session();
      const { verdict, reply } = await verdictOf(mta, handler);
      expectThat(verdict, handler).toBe('reject');
      expectThat(reply?.text, handler).toBe(wire('554', '5.7.0', [`refused in ${handler}`, 'for good']));
    }
  });

  /** What MTA and test get of the first three steps of a session. */
  async function firstSteps(script: Script): Promise<{ real: Response[]; simulated: Response[] }> {
    const address = { family: 'inet', address: '192.0.2.1', port: 40_000 } as const;
    await filter.use(script);
    await using mta = await filter.session();
    const real = [
      await mta.connect('client.example', address),
      await mta.helo('client.example'),
      await mta.mail('<alice@client.example>'),
    ];
    const ctx = new TestCtx(makeTelling(script, () => {}));
    await ctx.negotiate();
    const simulated = [
      await ctx.connect('client.example', address),
      await ctx.helo('client.example'),
      await ctx.envfrom('<alice@client.example>'),
    ];
    await ctx.close();
    return { real, simulated };
  }

  it.each(['connect', 'hello'] as const)('in %s, as TestCtx has it', async (handler) => {
    const at = handler === 'connect' ? 0 : 1;
    for (const [answer, verdict, codes] of [
      [REJECT, 'reject', ['500', '521', '550', '554', '571']],
      [TEMPFAIL, 'tempfail', ['400', '421', '450', '451', '471']],
    ] as const) {
      for (const code of codes) {
        const extended = `${code[0]}.7.1`;
        for (const lines of [['no'], ['no', '', '100%%'], []]) {
          const call = [['setreply', code, extended, ...lines]] as const;
          const { real, simulated } = await firstSteps({
            handlers: { connect: {}, hello: {}, envfrom: {}, [handler]: { call, answer } },
          });
          expect(simulated).toStrictEqual(real);
          expect(real[at]?.verdict).toBe(verdict);
          expect(real[at]?.reply?.text).toBe(wire(code, extended, lines.length > 0 ? lines : ['']).trim());
        }
        const call = [
          ['setreply', code.replace(/^./, answer === REJECT ? '4' : '5'), null, 'of the other class'],
        ] as const;
        const other = await firstSteps({ handlers: { connect: {}, hello: {}, [handler]: { call, answer } } });
        expect(other.simulated).toStrictEqual(other.real);
        expect(other.real[at]).toStrictEqual({ verdict });
      }
    }
  });

  it('a text that was set in connect or hello is sent with a later refusal, as TestCtx has it', async () => {
    for (const [first, second] of [
      ['connect', 'hello'],
      ['connect', 'envfrom'],
      ['hello', 'envfrom'],
    ] as const) {
      const call = [['setreply', '550', '5.7.1', `set in ${first}`]] as const;
      const { real, simulated } = await firstSteps({
        handlers: { connect: {}, hello: {}, envfrom: {}, [first]: { call }, [second]: { answer: REJECT } },
      });
      expect(simulated).toStrictEqual(real);
      const refused = real.find((response) => response.verdict === 'reject');
      expect(refused?.reply?.text).toBe(`550 5.7.1 set in ${first}`);
    }
  });

  it('the last call counts', async () => {
    await filter.use({
      handlers: {
        envfrom: {
          call: [
            ['setreply', '550', '5.7.1', 'first', 'of two'],
            ['setreply', '551', '5.7.2', 'second'],
          ],
          answer: REJECT,
        },
      },
    });
    await using mta = await filter.session();
    expect((await driveTo(mta, 'envfrom')).reply?.text).toBe('551 5.7.2 second');
  });

  it('a text that an earlier handler of the message has set is sent with a later refusal', async () => {
    for (const handler of ['envfrom', 'header']) {
      await filter.use({
        handlers: {
          [handler]: { call: [['setreply', '550', '5.7.1', `found in ${handler}`]] },
          eom: { answer: REJECT },
        },
      });
      await using mta = await filter.greeted();
      const { response } = await mta.message({ ...ENVELOPE, headers: [['Subject', 'x']] });
      expect(response.reply?.text).toBe(`550 5.7.1 found in ${handler}`);
    }
  });

  it('a reply of the other class is not sent with the verdict', async () => {
    expect(await replyTo(['setreply', '450', '4.7.1', 'later'], REJECT)).toStrictEqual({ verdict: 'reject' });
    expect(await replyTo(['setreply', '550', '5.7.1', 'never'], TEMPFAIL)).toStrictEqual({
      verdict: 'tempfail',
    });
  });

  it('with CONTINUE and ACCEPT there is no reply', async () => {
    expect(await replyTo(['setreply', '550', '5.7.1', 'no'], CONTINUE)).toStrictEqual({
      verdict: 'continue',
    });
    expect(await replyTo(['setreply', '550', '5.7.1', 'no'], ACCEPT)).toStrictEqual({ verdict: 'accept' });
  });

  it('for one recipient: the others continue', async () => {
    await filter.use({
      handlers: {
        envrcpt: [{}, { call: [['setreply', '550', '5.1.1', 'unknown user']], answer: REJECT }, {}],
      },
    });
    await using mta = await filter.greeted();
    const { recipients, verdict } = await mta.message({
      ...ENVELOPE,
      recipients: ['<a@b>', '<c@d>', '<e@f>'],
    });
    expect(recipients.map((one) => [one.verdict, one.reply?.text])).toStrictEqual([
      ['continue', undefined],
      ['reject', '550 5.1.1 unknown user'],
      ['continue', undefined],
    ]);
    expect(verdict).toBe('continue');
  });

  it('an invalid reply throws at the call, and is not kept', async () => {
    const wrong: Call[] = [
      ['setreply', '250', '2.0.0', 'x'],
      ['setreply', '350', null, 'x'],
      ['setreply', '600', null, 'x'],
      ['setreply', '55', '5.7.1', 'x'],
      ['setreply', '5500', '5.7.1', 'x'],
      ['setreply', 550, '5.7.1', 'x'],
      ['setreply', '550', '5.7', 'x'],
      ['setreply', '550', '5.7.1.1', 'x'],
      ['setreply', '550', '', 'x'],
      ['setreply', '550', '5.7.1', '100% sure'],
      ['setreply', '550', '5.7.1', 'fine', '%%%'],
      ['setreply', '550', '5.7.1', 'two\r\nlines'],
      ['setreply', '550', '5.7.1', 'two\nlines'],
      ['setreply', '550', '5.7.1', 'two\rlines'],
      ['setreply', '550', '5.7.1', 'a\0b'],
      ['setreply', '550', '5.7.1', ...numbered(33)],
      ['setreply', '550', '5.7.1', 'x'.repeat(981)],
      ['setreply', '550', '5.7.1', 'short', 'ü'.repeat(491)],
      ['setreply', '550', '5.7.1', 'one', null],
      ['setreply', '550', '5.7.1', 7],
    ];
    await filter.use({ handlers: { envfrom: { call: wrong, answer: REJECT } } });
    await using mta = await filter.session();
    expect(await driveTo(mta, 'envfrom')).toStrictEqual({ verdict: 'reject' });
    const told = await filter.eventsOf('error', 'result');
    for (const [i, [kind, , error]] of told.entries()) {
      const call = JSON.stringify(wrong[i]).slice(0, 80);
      expectThat(kind, call).toBe('error');
      expectThat((error as ToldError).code, call).toBe('ERR_MILTER_BAD_REPLY');
    }
    expect(told).toHaveLength(wrong.length);
  });
});
