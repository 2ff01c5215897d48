/** Contract 15 and all other actions: the exact bytes that reach the MTA, in the filter's order. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ACCEPT, Base, DISCARD, REJECT } from 'tsmilter';
import { type Modification, Protocol, TestCtx } from 'tsmilter/testing';
import type { ToldError } from '../fixtures/serve.js';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

type Call = readonly [method: string, ...args: unknown[]];

/** Every byte but NUL and the line ends, as text that keeps them. */
const ALL_BYTES = Buffer.from(
  Array.from({ length: 255 }, (_, i) => i + 1).filter((byte) => byte !== 10 && byte !== 13),
);
const ALL_BYTES_TEXT = [...ALL_BYTES]
  .map((byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte))
  .join('');

const CASES: readonly (readonly [title: string, call: Call, expected: Modification])[] = [
  [
    'addheader without index appends',
    ['addheader', 'X-A', 'value'],
    { type: 'addheader', name: 'X-A', value: 'value' },
  ],
  [
    'addheader with index -1 appends',
    ['addheader', 'X-A', 'value', -1],
    { type: 'addheader', name: 'X-A', value: 'value' },
  ],
  [
    'addheader with index 0 inserts',
    ['addheader', 'X-A', 'value', 0],
    { type: 'insheader', index: 0, name: 'X-A', value: 'value' },
  ],
  [
    'addheader with a high index inserts',
    ['addheader', 'X-A', 'value', 2147483647],
    { type: 'insheader', index: 2147483647, name: 'X-A', value: 'value' },
  ],
  ['addheader with an empty value', ['addheader', 'X-A', ''], { type: 'addheader', name: 'X-A', value: '' }],
  [
    'addheader with a folded value',
    ['addheader', 'X-A', 'one\n\ttwo\n three'],
    { type: 'addheader', name: 'X-A', value: 'one\n\ttwo\n three' },
  ],
  [
    'chgheader changes',
    ['chgheader', 'Subject', 1, 'new'],
    { type: 'chgheader', index: 1, name: 'Subject', value: 'new' },
  ],
  [
    'chgheader with null deletes',
    ['chgheader', 'Subject', 2, null],
    { type: 'chgheader', index: 2, name: 'Subject', value: '' },
  ],
  [
    "chgheader with '' deletes",
    ['chgheader', 'Subject', 3, ''],
    { type: 'chgheader', index: 3, name: 'Subject', value: '' },
  ],
  ['addrcpt', ['addrcpt', '<new@b.example>'], { type: 'addrcpt', recipient: '<new@b.example>' }],
  [
    'addrcpt with parameters',
    ['addrcpt', '<new@b.example>', 'NOTIFY=NEVER ORCPT=rfc822;x@y'],
    { type: 'addrcpt', recipient: '<new@b.example>', params: 'NOTIFY=NEVER ORCPT=rfc822;x@y' },
  ],
  ['delrcpt', ['delrcpt', '<bob@example.com>'], { type: 'delrcpt', recipient: '<bob@example.com>' }],
  ['chgfrom', ['chgfrom', '<new@b.example>'], { type: 'chgfrom', sender: '<new@b.example>' }],
  ['chgfrom to the null sender', ['chgfrom', '<>'], { type: 'chgfrom', sender: '<>' }],
  [
    'chgfrom with parameters',
    ['chgfrom', '<new@b.example>', 'RET=HDRS'],
    { type: 'chgfrom', sender: '<new@b.example>', params: 'RET=HDRS' },
  ],
  ['quarantine', ['quarantine', 'looks odd'], { type: 'quarantine', reason: 'looks odd' }],
  [
    'replacebody with text',
    ['replacebody', 'zwölf\r\n'],
    { type: 'replacebody', body: Buffer.from('zwölf\r\n') },
  ],
  [
    'replacebody with bytes, NUL among them',
    ['replacebody', Buffer.from([0, 1, 255, 0])],
    { type: 'replacebody', body: Buffer.from([0, 1, 255, 0]) },
  ],
  [
    'replacebody with a Uint8Array that is a part of another',
    ['replacebody', new Uint8Array([9, 9, 1, 2, 9]).subarray(2, 4)],
    { type: 'replacebody', body: Buffer.from([1, 2]) },
  ],
  [
    'replacebody with text that stands for bytes',
    ['replacebody', ALL_BYTES_TEXT],
    { type: 'replacebody', body: ALL_BYTES },
  ],
  ['replacebody with nothing', ['replacebody', ''], { type: 'replacebody', body: Buffer.alloc(0) }],
];

const WRONG: readonly Call[] = [
  ['addheader', '', 'v'],
  ['addheader', 'X-A', 'a\0b'],
  ['addheader', 'X\0A', 'v'],
  ['addheader', 'X-A:', 'v'],
  ['addheader', 'X A', 'v'],
  ['addheader', 'X-A', 'v\r\nX-B: injected'],
  ['addheader', 'X-A', 'v\nX-B: injected'],
  ['addheader', 'X-A', 'v', -2],
  ['addheader', 'X-A', 'v', 1.5],
  ['addheader', 'X-A', 'v', 2 ** 31],
  ['addheader', 'X-A', null],
  ['addheader', 'X-A', 7],
  ['addheader', 'X-A'],
  ['chgheader', 'X-A', 1, undefined],
  ['chgheader', 'X-A', -1, 'v'],
  ['chgheader', 'X-A', '1', 'v'],
  ['addrcpt', ''],
  ['addrcpt', 'a\0b'],
  ['addrcpt', undefined],
  ['addrcpt', '<a@b>', 'X\0'],
  ['delrcpt', ''],
  ['delrcpt', 'a\0b'],
  ['chgfrom', ''],
  ['chgfrom', '<a\0@b>'],
  ['quarantine', ''],
  ['quarantine', 'two\nlines'],
  ['replacebody', 'a\0b'],
  ['replacebody', null],
  ['replacebody', [1, 2]],
];

describe('actions', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  for (const [title, call, expected] of CASES) {
    /** @contract 15 */
    it(title, async () => {
      await filter.use({ handlers: { eom: { call: [call] } } });
      await using mta = await filter.greeted();
      const { verdict, modifications } = await mta.message(ENVELOPE);
      expect(await filter.eventsOf('error')).toStrictEqual([]);
      expect(modifications).toStrictEqual([expected]);
      expect(verdict).toBe('continue');
    });
  }

  it('all of them arrive in the order of the calls', async () => {
    // An empty body would join the replacement before it.
    const cases = CASES.filter(([title]) => !title.startsWith('replacebody') || title.endsWith('text'));
    await filter.use({ handlers: { eom: { call: cases.map(([, call]) => call) } } });
    await using mta = await filter.greeted();
    const { modifications } = await mta.message(ENVELOPE);
    expect(modifications).toStrictEqual(cases.map(([, , expected]) => expected));
  });

  it('those of an async handler arrive in order too, before and after it awaits', async () => {
    await filter.use({
      handlers: {
        eom: {
          call: [['addheader', 'X-A', '1']],
          wait: 5,
          afterwards: [
            ['replacebody', 'two'],
            ['addheader', 'X-A', '3'],
          ],
          answer: ACCEPT,
        },
      },
    });
    await using mta = await filter.greeted();
    const { verdict, modifications } = await mta.message(ENVELOPE);
    expect(verdict).toBe('accept');
    expect(modifications).toStrictEqual([
      { type: 'addheader', name: 'X-A', value: '1' },
      { type: 'replacebody', body: Buffer.from('two') },
      { type: 'addheader', name: 'X-A', value: '3' },
    ]);
  });

  for (const [name, answer, verdict] of [
    ['REJECT', REJECT, 'reject'],
    ['DISCARD', DISCARD, 'discard'],
  ] as const) {
    it(`modifications before ${name} are sent before it`, async () => {
      await filter.use({ handlers: { eom: { call: [['addheader', 'X-A', '1']], answer } } });
      await using mta = await filter.greeted();
      const result = await mta.message(ENVELOPE);
      expect(result.verdict).toBe(verdict);
      expect(result.modifications).toStrictEqual([{ type: 'addheader', name: 'X-A', value: '1' }]);
    });
  }

  describe('the largest frame that libmilter sends', () => {
    const LIMIT = 65_535;
    const fill = (others: number) => 'v'.repeat(LIMIT - others);
    const address = (others: number) => `${'x'.repeat(LIMIT - others - '<@b.example>'.length)}`;
    const largest: readonly Call[] = [
      ['addheader', 'X-A', fill('X-A'.length + 2)],
      ['addheader', 'X-A', fill('X-A'.length + 2 + 4), 1],
      ['chgheader', 'X-A', 1, fill('X-A'.length + 2 + 4)],
      ['chgheader', fill(2 + 4), 1, null],
      ['addrcpt', `<${address(1)}@b.example>`],
      ['addrcpt', `<${address('A=b'.length + 2)}@b.example>`, 'A=b'],
      ['delrcpt', `<${address(1)}@b.example>`],
      ['chgfrom', `<${address(1)}@b.example>`],
      ['quarantine', fill(1)],
    ];
    const longer = largest.map((call) =>
      call.map((part) =>
        typeof part === 'string' && part.length > 1000 ? part.replace(/[vx]/, '$&$&') : part,
      ),
    ) as unknown as readonly Call[];

    it('is sent, and one byte more throws in the call, with the limit', async () => {
      await filter.use({ handlers: { eom: { call: [...largest, ...longer] } } });
      await using mta = await filter.greeted();
      const { verdict, modifications } = await mta.message(ENVELOPE);
      expect(verdict).toBe('continue');
      expect(modifications.map(({ type }) => type)).toStrictEqual(
        largest.map(([method, , , index]) => (method === 'addheader' && index === 1 ? 'insheader' : method)),
      );
      const errors = (await filter.eventsOf('error')) as unknown as [string, string, ToldError][];
      expect(errors.map(([, method]) => method)).toStrictEqual(longer.map(([method]) => method));
      for (const [, , error] of errors) {
        expect(error).toMatchObject({ code: 'ERR_MILTER_BAD_ARGUMENT' });
        expect(error.message).toMatch(/: 65536 bytes are too many for the MTA, which takes at most 65535$/);
      }
    });

    it('is the same in TestCtx', async () => {
      const errors: string[] = [];
      class Large extends Base {
        override eom() {
          for (const [method, ...args] of [...largest, ...longer]) {
            try {
              (this as unknown as Record<string, (...args: unknown[]) => void>)[method]?.(...args);
            } catch (error) {
              errors.push((error as Error).message);
            }
          }
          return ACCEPT;
        }
      }
      await using ctx = new TestCtx(Large);
      const { modifications } = await ctx.feedMessage('Subject: x\n\n');
      expect(modifications).toHaveLength(largest.length);
      expect(errors).toHaveLength(longer.length);
      for (const message of errors) expect(message).toMatch(/: 65536 bytes .* 65535$/);
    });
  });

  describe('the frame that libmilter and the MTA agree on', () => {
    /** MILTER_MDS_64K, _256K and _1M in mfdef.h. libmilter answers with a bit of the offer if its build negotiates them. */
    function agreedLimit(protocol: number): number {
      if (protocol & Protocol.MDS_1M) return 1024 * 1024 - 1;
      return protocol & Protocol.MDS_256K ? 256 * 1024 - 1 : 64 * 1024 - 1;
    }

    for (const [name, bits] of [
      ['nothing', 0],
      ['SMFIP_MDS_256K', Protocol.MDS_256K],
      ['SMFIP_MDS_1M', Protocol.MDS_1M],
      ['both', Protocol.MDS_256K | Protocol.MDS_1M],
    ] as const) {
      it(`offered ${name}: a change of the agreed size arrives whole, one byte more throws`, async () => {
        const offer = { protocol: Protocol.ALL | bits };
        const asked = await filter.session(offer);
        const limit = agreedLimit(asked.negotiated.protocol);
        await asked.close();
        const value = 'v'.repeat(limit - 'X-A'.length - 2);
        const call: Call[] = [
          ['addheader', 'X-A', value],
          ['addheader', 'X-A', `${value}v`],
          ['replacebody', 'x'.repeat(2 * limit)],
        ];
        await filter.use({ handlers: { eom: { call } } });
        await using mta = await filter.greeted(offer);
        const { verdict, modifications } = await mta.message(ENVELOPE);
        expect(verdict).toBe('continue');
        expect(modifications).toStrictEqual([
          { type: 'addheader', name: 'X-A', value },
          { type: 'replacebody', body: Buffer.alloc(2 * limit, 'x') },
        ]);
        const [[, , error] = []] = await filter.eventsOf('error');
        expect(error).toMatchObject({ code: 'ERR_MILTER_BAD_ARGUMENT' });
        expect((error as ToldError).message).toMatch(new RegExp(` ${limit + 1} bytes .* ${limit}$`));
      });
    }
  });

  describe('bytes that are not UTF-8', () => {
    const escaped = 'caf\udce9\udcff\udc80';
    const calls: readonly Call[] = [
      ['addheader', 'X-A', escaped],
      ['chgheader', 'X-A', 1, escaped],
      ['addrcpt', `<${escaped}@b.example>`],
      ['delrcpt', `<${escaped}@b.example>`],
      ['chgfrom', `<${escaped}@b.example>`],
      ['quarantine', escaped],
    ];

    it('are sent as the bytes that they stand for', async () => {
      await filter.use({ handlers: { eom: { call: calls } } });
      await using mta = await filter.greeted();
      const { modifications } = await mta.message(ENVELOPE);
      expect(await filter.eventsOf('error')).toStrictEqual([]);
      const texts = modifications.map((one) => {
        const { value, recipient, sender, reason } = one as unknown as Record<string, string>;
        return value ?? recipient ?? sender ?? reason;
      });
      expect(texts).toStrictEqual([
        escaped,
        escaped,
        `<${escaped}@b.example>`,
        `<${escaped}@b.example>`,
        `<${escaped}@b.example>`,
        escaped,
      ]);
    });

    it('are single bytes on the wire, next to unchanged UTF-8', async () => {
      await filter.use({ handlers: { eom: { call: [['addheader', 'X-A', 'é\udce9😀\udcf0']] } } });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      await mta.rcpt('<c@d.example>');
      await mta.sendFrame('E');
      const { command, payload } = await mta.readFrame();
      const expected = Buffer.concat([
        Buffer.from('X-A\0é'),
        Buffer.of(0xe9),
        Buffer.from('😀'),
        Buffer.of(0xf0, 0),
      ]);
      expect([command, payload]).toStrictEqual(['h', expected]);
      expect((await mta.readFrame()).command).toBe('c');
    });

    it('every byte of a header arrives and is sent unchanged', async () => {
      await filter.use({ handlers: { header: {}, eom: { call: [['addheader', 'X-A', ALL_BYTES_TEXT]] } } });
      await using mta = await filter.greeted();
      const { modifications } = await mta.message({ ...ENVELOPE, headers: [['X-In', ALL_BYTES]] });
      expect(await filter.eventsOf('header')).toStrictEqual([['header', 'X-In', ALL_BYTES_TEXT]]);
      expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-A', value: ALL_BYTES_TEXT }]);
    });

    it('other lone surrogates become U+FFFD', async () => {
      await filter.use({ handlers: { eom: { call: [['addheader', 'X-A', 'a\ud800b\udc7fc\udd00']] } } });
      await using mta = await filter.greeted();
      const { modifications } = await mta.message(ENVELOPE);
      expect(modifications).toStrictEqual([
        { type: 'addheader', name: 'X-A', value: 'a\ufffdb\ufffdc\ufffd' },
      ]);
    });
  });

  it('invalid arguments throw at the call, and nothing is sent', async () => {
    await filter.use({ handlers: { eom: { call: WRONG } } });
    await using mta = await filter.greeted();
    const { modifications, verdict } = await mta.message(ENVELOPE);
    const told = await filter.eventsOf('error', 'result');
    for (const [i, [kind, , error]] of told.entries()) {
      const call = JSON.stringify(WRONG[i]);
      expectThat(kind, call).toBe('error');
      expectThat((error as ToldError).code, call).toBe('ERR_MILTER_BAD_ARGUMENT');
      expectThat(
        (error as ToldError).message.startsWith(String(WRONG[i]?.[0])),
        (error as ToldError).message,
      ).toBe(true);
    }
    expect(told).toHaveLength(WRONG.length);
    expect(modifications).toStrictEqual([]);
    expect(verdict).toBe('continue');
  });

  it('a header of 60,000 bytes is sent in one piece', async () => {
    const value = 'x'.repeat(60_000);
    await filter.use({ handlers: { eom: { call: [['addheader', 'X-Long', value]] } } });
    await using mta = await filter.greeted();
    const { modifications } = await mta.message(ENVELOPE);
    expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-Long', value }]);
  });

  it('replacebody of 1 MiB: chunks of at most 65,535 bytes, in one run; calls append', async () => {
    const first = Buffer.alloc(1024 * 1024, 'The new body, line by line.\r\n');
    const second = Buffer.from('and its end\r\n');
    await filter.use({
      handlers: {
        eom: {
          call: [
            ['replacebody', first],
            ['replacebody', second],
          ],
        },
      },
    });
    await using mta = await filter.greeted();
    await mta.mail('<a@b.example>');
    await mta.rcpt('<c@d.example>');
    await mta.sendFrame('E');
    const sizes: number[] = [];
    const pieces: Buffer[] = [];
    for (;;) {
      const { command, payload } = await mta.readFrame();
      if (command === 'c') break;
      expect(command).toBe('b');
      sizes.push(payload.length);
      pieces.push(payload);
    }
    expect(sizes).toStrictEqual([...Array(16).fill(65535), 16, second.length]);
    expect(Buffer.compare(Buffer.concat(pieces), Buffer.concat([first, second]))).toBe(0);
  });

  it('a thousand headers', async () => {
    const calls = Array.from({ length: 1000 }, (_, i): Call => ['addheader', `X-${i}`, String(i)]);
    await filter.use({ handlers: { eom: { call: calls } } });
    await using mta = await filter.greeted();
    const { modifications } = await mta.message(ENVELOPE);
    expect(modifications).toStrictEqual(calls.map(([, name, value]) => ({ type: 'addheader', name, value })));
  });
});
