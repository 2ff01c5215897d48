/**
 * Shortcuts give what the careful way gives: on the heads of all attacks, on ordinary heads, on random changes of both, and on
 * random text. Each is compared with the careful way by something that the shortcut does not take: bytes that arrive one by one,
 * a head or a value that is too long for it.
 */
import { describe, expect, it } from '@jest/globals';
import { HeaderBlock } from '#lib/mime/header-block.js';
import { MIME_LIMITS } from '#lib/mime/limits.js';
import { ordinaryHeadEnd } from '#lib/mime/ordinary-head.js';
import { isSimpleValue, parseParameters } from '#lib/mime/parameters.js';
import { decodeQuotedPrintable, quotedPrintableSource } from '#lib/mime/quoted-printable.js';
import { mayHaveScript } from '#lib/mime/scripts.js';
import { attacks } from '../fixtures/mime/attacks';
import { ORDINARY_MESSAGES } from '../fixtures/mime/ordinary';
import { scan } from '../fixtures/mime/scan';
import { expectThat } from '../support/expect';
import { Random } from '../support/random';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const random = new Random(12);
/** What is inserted into heads and values. */
const PIECES = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\r\r\n',
    ' ',
    '\t',
    '\0',
    ':',
    '--',
    ';',
    '=',
    '"',
    '\\',
    '(',
    ')',
    '*',
    '%41',
    '\xe4',
  ],
  ...[
    ' \r\n',
    '\r\n\r\n',
    '\n\n',
    '\r\n\t',
    '--cut\r\n',
    'A: b\r\n',
    'From x\n',
    'Content-Type: a/b\r\n',
    '=?utf-8?q?a?=',
  ],
];

/** The same text with a few changes, of which the first `length` characters may be touched. */
function changed(text: string, length: number): string {
  let result = text;
  for (let count = random.below(4); count >= 0; count--) {
    const at = random.below(Math.min(length, result.length) + 1);
    const removed = random.below(3);
    result = result.slice(0, at) + (removed < 2 ? random.pick(PIECES) : '') + result.slice(at + removed);
  }
  return result;
}

const FEW = 10;
const seeds = [...attacks().filter((_, index) => index % FEW === 0), ...Object.values(ORDINARY_MESSAGES)].map(
  (seed) => ('message' in seed ? seed.message : seed).toString('latin1').slice(0, 1500),
);
const messages = seeds.flatMap((seed) => [seed, changed(seed, 300)]);

describe('an ordinary head', () => {
  it('ends where it ends if its bytes arrive one by one', () => {
    let ordinary = 0;
    for (const message of messages.map(bytes)) {
      if (ordinaryHeadEnd(message, 0) >= 0) ordinary++;
      expectThat(scan(message, message.length).shape, message.toString('latin1')).toStrictEqual(
        scan(message, 1).shape,
      );
    }
    // Otherwise this would compare the careful way with itself.
    expect(ordinary).toBeGreaterThan(messages.length / 4);
    expect(ordinary).toBeLessThan(messages.length);
  });

  it('has the fields that it has in a longer head', () => {
    const padding = `X-Padding: ${'x'.repeat(10_000)}\r\n`;
    const view = (headers: HeaderBlock) => ({
      fields: headers.entries().filter(([name]) => name !== 'X-Padding'),
      joined: headers.getAll('content-type', 'joined'),
      earlyEnds: headers.earlyEnds,
      isAmbiguous: headers.isAmbiguous,
    });
    let compared = 0;
    for (const message of messages) {
      const head = message.split(/(?<=\n\r?\n)/, 1)[0] as string;
      const short = new HeaderBlock(bytes(head), MIME_LIMITS);
      const fields = short.toFields().toString('latin1');
      if (!head.startsWith(fields)) continue;
      const long = new HeaderBlock(bytes(fields + padding + head.slice(fields.length)), MIME_LIMITS);
      expectThat(view(short), head).toStrictEqual(view(long));
      compared++;
    }
    expect(compared).toBeGreaterThan(messages.length / 2);
  });
});

it('a simple value has the parameters that it has in a longer value', () => {
  const values = [
    'a/b; name=c.d',
    'text/plain; charset="utf-8"; format=flowed',
    'attachment; filename="a b.c"; size=5',
  ];
  values.push(
    'a/b;boundary="=_x-1:y"; type=c/d',
    'a/b; name="c/d?e+f"; x=y',
    'a/b; name=c; name="d.e"; NAME=f:g.h',
  );
  const padding = `; x=${'y'.repeat(1000)}`;
  let compared = 0;
  const view = (value: string) => {
    const { parameters, overloaded } = parseParameters(value, 1000);
    return { parameters: parameters.filter(([, text]) => !text.startsWith('yyy')), overloaded };
  };
  for (const value of values.flatMap((each) => [
    each,
    ...Array.from({ length: 1200 }, () => changed(each, 50)),
  ])) {
    if (!isSimpleValue(value)) continue;
    compared++;
    const sorted = ({ parameters, ...rest }: ReturnType<typeof view>) => ({
      ...rest,
      parameters: [...parameters].sort(),
    });
    expectThat(sorted(view(value)), value).toStrictEqual(sorted(view(value + padding)));
  }
  expect(compared).toBeGreaterThan(300);
});

describe('quoted-printable', () => {
  const lines = ['', '-', '--cut', 'a', 'a=b', 'a ', ' ', '\t', 'gr\xfc\xdfe', '\0', '\r', '\n', '\f'];
  lines.push(
    ...[73, 74, 75, 76, 77, 150].flatMap((length) => ['x'.repeat(length), `${'x '.repeat(length / 2)}`]),
  );
  lines.push('Some words of a letter', '<p>a paragraph</p>', '.');

  for (const lineBreak of ['\r\n', '\n', '\r'])
    it(`follows RFC 2045 6.7 and can be decoded, with ${JSON.stringify(lineBreak)} at the end of a line`, () => {
      for (let round = 0; round < 60; round++) {
        // The largest go beyond a block of the encoder.
        const count = round % 10 === 0 ? 2000 : random.below(40);
        const text = Array.from(
          { length: count },
          () => random.pick(lines) + random.pick([lineBreak, lineBreak, '\n', '']),
        );
        const content = bytes(text.join(''));
        const source = quotedPrintableSource(content.length, () => [content], lineBreak);
        const written = Array.from(source.blocks(), (block) => block.toString('latin1')).join('');
        expect(decodeQuotedPrintable([bytes(written)], Buffer.allocUnsafe)).toStrictEqual(content);
        for (const line of written.split(lineBreak)) expect(line).toMatch(/^(?:(?!-)[\t -~]{0,75}[!-~])?$/);
      }
    });

  it('leaves plain lines as they are', () => {
    const content = bytes(`${'x'.repeat(75)}\r\n\r\n<p>some words</p>\r\n`.repeat(1000));
    const source = quotedPrintableSource(content.length, () => [content], '\r\n');
    expect(Buffer.concat(Array.from(source.blocks(), (block) => Buffer.from(block)))).toStrictEqual(content);
  });
});

it('the beginning of a script is found anywhere, and nothing else is taken for one', () => {
  const wide = (text: string) => Buffer.from(text, 'utf16le').toString('latin1');
  const big = (text: string) => Buffer.from(text, 'utf16le').swap16().toString('latin1');
  const windowSize = 64 * 1024;
  for (const [beginning, found] of [
    ...[
      '<script',
      '<ScRiPt',
      'x:script',
      '<iframe',
      '<IFrame',
      wide('<script'),
      big('<script'),
      wide('<iframe'),
    ].map((text) => [text, true] as const),
    ...['< script', '<s\0c', '<sbc', '<ic', '<sf', '<\0sc', wide('<p>'), ';script'].map(
      (text) => [text, false] as const,
    ),
  ])
    for (let at = windowSize - beginning.length - 1; at <= windowSize + 1; at++)
      expectThat(
        mayHaveScript(bytes('x'.repeat(at) + beginning)),
        `${JSON.stringify(beginning)} at ${at}`,
      ).toBe(found);
});
