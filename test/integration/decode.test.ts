/** Contract 17: how text that is not UTF-8 reaches a handler, per handler and policy. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MtaSession } from 'tsmilter/testing';
import { FilterProcess } from '../support/filter-process.js';

const LATIN1 = Buffer.from('caf\xe9 \xff', 'latin1');
const UTF8 = Buffer.from('café 😀');

/** What a policy makes of bytes that are not UTF-8, and of some that are. */
const POLICIES = [
  [undefined, 'caf\udce9 \udcff', 'café 😀'],
  ['surrogateescape', 'caf\udce9 \udcff', 'café 😀'],
  ['bytes', LATIN1, UTF8],
  ['strict', LATIN1, 'café 😀'],
  ['ignore', 'caf ', 'café 😀'],
  ['replace', 'caf\ufffd \ufffd', 'café 😀'],
] as const;

const around = (text: Buffer) => Buffer.concat([Buffer.from('<'), text, Buffer.from('@b.example>')]);
const wrapped = (text: string | Buffer) => (typeof text === 'string' ? `<${text}@b.example>` : around(text));

type Drive = (mta: MtaSession, text: Buffer) => Promise<unknown>;

/** How each handler is given text, and what it is then called with. */
const HANDLERS: readonly (readonly [
  handler: string,
  drive: Drive,
  expected: (text: string | Buffer) => unknown[],
])[] = [
  ['connect', (mta, text) => mta.connect(text, { family: 'unknown' }), (text) => [text, 0, null]],
  ['hello', (mta, text) => mta.helo(text), (text) => [text]],
  [
    'envfrom',
    async (mta, text) => {
      await mta.helo('x');
      await mta.mail(around(text), 'SIZE=10', text);
    },
    (text) => [wrapped(text), typeof text === 'string' ? 'SIZE=10' : undefined, text],
  ],
  [
    'envrcpt',
    async (mta, text) => {
      await mta.helo('x');
      await mta.mail('<a@b.example>');
      await mta.rcpt(around(text), text);
    },
    (text) => [wrapped(text), text],
  ],
  [
    'header',
    async (mta, text) => {
      await mta.helo('x');
      await mta.mail('<a@b.example>');
      await mta.rcpt('<c@d.example>');
      await mta.header('X-Text', text);
      await mta.eom();
    },
    (text) => ['X-Text', text],
  ],
  ['unknown', (mta, text) => mta.unknown(text), (text) => [text]],
];

/** @contract 17 */
describe('decode', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  async function seen(handler: string, policy: string | undefined, drive: Drive, text: Buffer) {
    const statics = policy === undefined ? {} : { decode: { [handler]: policy } };
    await filter.use({ handlers: { [handler]: {} }, statics });
    await using mta = await filter.session();
    await drive(mta, text);
    const [event] = await filter.eventsOf(handler);
    return event?.slice(1);
  }

  for (const [policy, broken, good] of POLICIES) {
    for (const [handler, drive, expected] of HANDLERS) {
      it(`${handler}, ${policy ?? 'no policy'}`, async () => {
        for (const [text, result] of [
          [LATIN1, broken],
          [UTF8, good],
        ] as const) {
          const args = await seen(handler, policy, drive, text);
          const wanted = expected(result as string | Buffer);
          // A parameter that is plain ASCII is a Buffer under `bytes` only.
          const at = wanted.indexOf(undefined);
          if (at >= 0) wanted[at] = policy === 'bytes' ? Buffer.from('SIZE=10') : 'SIZE=10';
          expect(args).toStrictEqual(wanted);
        }
      });
    }
  }

  it('for one handler: the others keep the default', async () => {
    await filter.use({
      handlers: { hello: {}, envfrom: {}, header: {} },
      statics: { decode: { header: 'bytes' } },
    });
    await using mta = await filter.session();
    await mta.connect('client.example');
    await mta.helo(LATIN1);
    await mta.mail(around(LATIN1));
    await mta.rcpt('<c@d.example>');
    await mta.header('X-Text', LATIN1);
    await mta.eom();
    expect(await filter.eventsOf('hello', 'envfrom', 'header')).toStrictEqual([
      ['hello', 'caf\udce9 \udcff'],
      ['envfrom', '<caf\udce9 \udcff@b.example>'],
      ['header', 'X-Text', LATIN1],
    ]);
  });

  it('invalid UTF-8 of every kind keeps its bytes', async () => {
    const cases: [hex: string, text: string][] = [
      ['80', '\udc80'],
      ['bf', '\udcbf'],
      ['c0af', '\udcc0\udcaf'],
      ['c1bf', '\udcc1\udcbf'],
      ['c3', '\udcc3'],
      ['e28a', '\udce2\udc8a'],
      ['e08080', '\udce0\udc80\udc80'],
      ['eda080', '\udced\udca0\udc80'],
      ['edb2a9', '\udced\udcb2\udca9'],
      ['f0808080', '\udcf0\udc80\udc80\udc80'],
      ['f4908080', '\udcf4\udc90\udc80\udc80'],
      ['f5808080', '\udcf5\udc80\udc80\udc80'],
      ['fe', '\udcfe'],
      ['ff', '\udcff'],
      ['e282ac', '\u20ac'],
      ['f09f9880', '\u{1f600}'],
      ['f48fbfbf', '\u{10ffff}'],
      ['efbbbf41', '\ufeffA'],
      ['efbfbd', '\ufffd'],
    ];
    await filter.use({ handlers: { hello: {} } });
    await using mta = await filter.session();
    await mta.connect('client.example');
    for (const [hex] of cases) await mta.helo(Buffer.from(hex, 'hex'));
    expect((await filter.eventsOf('hello')).map(([, text]) => text)).toStrictEqual(
      cases.map(([, text]) => text),
    );
  });

  it('strings of every length around eight bytes arrive unchanged', async () => {
    // The native side looks at eight bytes at a time for those that are not ASCII.
    await filter.use({ handlers: { hello: {} } });
    await using mta = await filter.session();
    await mta.connect('client.example');
    const texts: Buffer[] = [];
    for (let length = 1; length <= 18; length++) {
      for (let odd = 0; odd < length; odd++) {
        const text = Buffer.alloc(length, 'a');
        text[odd] = 0xe9;
        texts.push(text);
      }
    }
    for (const text of texts) await mta.helo(text);
    expect((await filter.eventsOf('hello')).map(([, text]) => text)).toStrictEqual(
      texts.map((text) => text.toString('latin1').replace('\xe9', '\udce9')),
    );
  });
});
