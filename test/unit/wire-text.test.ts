/** What each field of a reply or an action may contain: the table, its texts in the documentation, and each rule. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { MilterError } from 'tsmilter';
import { checkField, checkFrame, fits, WIRE_RULES, type WireField } from '#lib/internal/wire-text.js';
import { projectRoot } from '../../tools/project-root';
import { cpuTime } from '../support/cpu-time';
import { errorWith, expectThat } from '../support/expect';

const bad = errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }, MilterError);

/** Texts that a field takes, and such as it refuses. */
const EXAMPLES: Readonly<
  Partial<Record<WireField, readonly [good: readonly string[], bad: readonly string[]]>>
> = {
  headerName: [
    ['X', 'X-A', "!#$%&'*+-.^_`|~", '1'],
    ['', 'X A', 'X:', 'X\n', 'X\0', 'X\x7f', 'Ü', 'X\udce9', 'X\t'],
  ],
  headerValue: [
    ['', ' ', 'a', 'grüße', '\udce9', 'a\n b', 'a\r\n\tb', '\n a', 'a\n   b\n c', 'a \n b'],
    ['a\0', 'a\n', 'a\r', 'a\nb', 'a\r b', 'a\n ', 'a\r\n\t', 'a\n \n b', 'a\r\n \r\n b', '\n \n', 'a\n\n b'],
  ],
  recipient: [
    [
      '<a@b.example>',
      'a@b.example',
      'postmaster',
      '<postmaster>',
      '<"a b"@c.example>',
      '"\\""@c.example',
      '<a@[192.0.2.1]>',
    ]
      .concat([
        '<a@[IPv6:2001:db8::1]>',
        '<@a.example,@b.example:c@d.example>',
        '<Jörg@münchen.example>',
        '<\udce9@b.example>',
      ])
      .concat([
        'user%host@relay.example',
        'a..b@c.example',
        '/G=A/S=B/@gw.example',
        "o'neil+tag@b.example",
        'a@b_c.example',
        'a@b.example.',
      ]),
    [
      '',
      '<>',
      '<a@b.example',
      'a@b.example>',
      '<a@b.example> NOTIFY=NEVER',
      'a b@c.example',
      'a@b.example,c@d.example',
      'a@b.example c',
    ]
      .concat([
        '|cat',
        '/dev/null',
        '</dev/null>',
        ':include:/etc/passwd',
        '\\a',
        '<a@b.example>\n',
        'a\nb@c.example',
        'a@b\0.example',
      ])
      .concat([
        '@b.example',
        'a@',
        'a@@b.example',
        'A <a@b.example>',
        'a@b.example (c)',
        '<<a@b.example>>',
        '"a@b.example',
      ])
      .concat(['"|cat"', '<"/dev/null">', '":include:/etc/passwd"', '"\\\\|cat"'])
      .concat(['<a@[x>,b@c.example]>', 'a@[x(c)]', '<@[x,y]:a@b.example>', 'a@.b.example', 'a@b..example']),
  ],
  sender: [
    ['<>', '<a@b.example>', 'a@b.example'],
    ['', '<', ' <>', '<> ', '<a@b.example>\r\nRCPT'],
  ],
  parameters: [
    [
      '',
      'NOTIFY=NEVER',
      'FOO',
      'FOO=bar',
      'SIZE=1 BODY=8BITMIME',
      'A-B=c',
      '8BIT',
      'ORCPT=rfc822;a+2Bb@c.example',
      'notify=success,delay RET=HDRS ENVID=a+3Db AUTH=<> SMTPUTF8',
      'NOTIFYX=a X-RET=b RETX RET=FULL',
    ],
    [
      'NOTIFY=NEVER\nX',
      'NOTIFY=',
      '=a',
      '-A=b',
      'A=b=c',
      'A  B',
      ' A',
      'A ',
      'A=b\tC',
      'A=ü',
      'A=\x7f',
      'A\0',
      'A_B=c',
    ]
      .concat([
        'NOTIFY',
        'NOTIFY=FOO',
        'NOTIFY=NEVER,FAILURE',
        'ORCPT',
        'ORCPT=x',
        'ORCPT=;x',
        'ORCPT=rfc822;a+ZZ',
      ])
      .concat([
        'RET',
        'RET=X',
        'ENVID',
        'ENVID=a+',
        'SIZE',
        'SIZE=x',
        'BODY=x',
        'AUTH',
        'SMTPUTF8=x',
        '\u017fIZE=1',
      ])
      .concat(['ORCPT=rfc822;x A=b ORCPT=rfc822;y', 'ret=FULL RET=FULL', 'SMTPUTF8 SMTPUTF8']),
  ],
  reason: [
    ['why', 'wegen Überfüllung', '100%'],
    ['', 'a\nb', 'a\rb', 'a\0', 'a\x1b', 'a\x85'],
  ],
  macro: [
    ['i', '{auth_type}', 'i {x} j', ''],
    ['\u00fc', '\x1b', '{a}\x7f'],
  ],
};

describe('the rules of what can reach the wire', () => {
  it('stand in docs/actions.md, field by field', () => {
    const page = readFileSync(join(projectRoot, 'docs/actions.md'), 'utf8');
    const table = page.split('## What may be sent')[1]?.split('\n## ')[0] ?? '';
    const rows = table
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .slice(2);
    const rules = Object.values(WIRE_RULES);
    expect(rows).toStrictEqual(
      rules.map(({ field, allowed, source }) => `| ${field} | ${allowed} | ${source} |`),
    );
  });

  for (const [field, [good, wrong]] of Object.entries(EXAMPLES) as [WireField, [string[], string[]]][]) {
    it(`${field}: what is taken, and what is refused`, () => {
      for (const text of good) expectThat(fits(field, text), JSON.stringify(text)).toBe(true);
      for (const text of wrong) {
        expectThat(fits(field, text), JSON.stringify(text)).toBe(false);
        expect(() => checkField('action', field, text)).toThrow(bad);
      }
      for (const other of [undefined, null, 7, {}, Buffer.from('x')])
        expect(() => checkField('action', field, other)).toThrow(bad);
    });
  }

  it('an error shows a refused text in one line, and not all of it', () => {
    const refused = () => checkField('addheader', 'headerName', `X\r\n${'x'.repeat(1e5)}`);
    expect(refused).toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /^addheader: [^\r\n]{1,300}$/ }),
    );
  });

  it('take time in proportion to the text', async () => {
    const shapes: readonly ((length: number) => string)[] = [
      (n) => 'a'.repeat(n),
      (n) => '<'.repeat(n),
      (n) => '"'.repeat(n),
      (n) => `"${'\\'.repeat(n)}`,
      (n) => `<${'@a,'.repeat(n / 3)}`,
      (n) => '\n '.repeat(n / 2),
      (n) => `a\n${' '.repeat(n)}`,
      (n) => 'a=b '.repeat(n / 4),
      (n) => `${'a@'.repeat(n / 2)}`,
      (n) => `[${'['.repeat(n)}`,
    ];
    for (const field of Object.keys(WIRE_RULES) as WireField[]) {
      for (const [i, shape] of shapes.entries()) {
        const time = (length: number) => {
          const text = shape(length);
          return cpuTime(() => fits(field, text));
        };
        await time(1000);
        expectThat(await time(500_000), `${field}, shape ${i}`).toBeLessThan(500);
      }
    }
  });
});

describe('checkFrame', () => {
  it('counts bytes as they are sent, each text with its NUL, and the index', () => {
    checkFrame('a', 10, ['xxxx', 'xxxx']);
    expect(() => checkFrame('a', 9, ['xxxx', 'xxxx'])).toThrow(bad);
    expect(() => checkFrame('a', 10, ['xxxx', 'xxxx'], 4)).toThrow(bad);
    checkFrame('a', 5, ['üü']);
    expect(() => checkFrame('a', 4, ['üü'])).toThrow(bad);
    checkFrame('a', 5, ['😀']);
    expect(() => checkFrame('a', 4, ['😀'])).toThrow(bad);
    checkFrame('a', 3, ['\udce9\udcff']);
    expect(() => checkFrame('a', 2, ['\udce9\udcff'])).toThrow(bad);
  });

  it('names the limit', () => {
    expect(() => checkFrame('quarantine', 65_535, ['x'.repeat(65_535)])).toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /^quarantine: 65536 bytes .* 65535$/ }),
    );
  });
});
