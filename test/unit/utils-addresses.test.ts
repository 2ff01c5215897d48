/** `tsmilter/utils`: addresses and headers. The expected values are what pymilter's functions answer, except where said. */
import { describe, expect, it } from '@jest/globals';
import { parseAddr, parseaddr, parseHeader } from '#lib/utils/index.js';
import { cpuTime } from '../support/cpu-time';
import { expectThat } from '../support/expect';
import { randomNumbers } from '../support/random';

/** @contract 31 */
describe('parseAddr', () => {
  const forms: [string, string[]][] = [
    ['user@example.com', ['user', 'example.com']],
    ['<user@example.com>', ['user', 'example.com']],
    ['user@Example.COM', ['user', 'Example.COM']],
    ['"user@bogus"@example.com', ['user@bogus', 'example.com']],
    ['"user@bogus"', ['user@bogus']],
    ['"a b"@c.d', ['a b', 'c.d']],
    ['"a\\"b"@c', ['a\\"b', 'c']],
    ['""@c', ['', 'c']],
    ['"unterminated@x', ['"unterminated', 'x']],
    ['a."b@c"@d', ['a."b@c"', 'd']],
    ['@mx.example.com:user@example.com', ['user', 'example.com']],
    ['@a,@b:user@c', ['user', 'c']],
    ['@a:', ['']],
    ['@user@example.com', ['@user', 'example.com']],
    ['u:x@y', ['u:x', 'y']],
    ['user', ['user']],
    ['user@', ['user', '']],
    ['@', ['', '']],
    ['', ['']],
    ['<>', ['']],
    ['a@b@c', ['a@b', 'c']],
    ['user@[192.0.2.1]', ['user', '[192.0.2.1]']],
    ['user@[IPv6:::1]', ['user', '[IPv6:::1]']],
    // pymilter splits these two at the wrong place, or leaves the quotes
    ['user@[x@evil.example]', ['user', '[x@evil.example]']],
    ['@a:"x@y"@c', ['x@y', 'c']],
  ];
  for (const [address, expected] of forms) {
    it(`${address} is ${JSON.stringify(expected)}`, () => expect(parseAddr(address)).toStrictEqual(expected));
  }
});

/** @contract 31 */
describe('parseaddr', () => {
  const forms: [string, string, string][] = [
    ['"foo" <foo@bar.example>', 'foo', 'foo@bar.example'],
    ['foo@bar.example', '', 'foo@bar.example'],
    ['<foo@bar.example>', '', 'foo@bar.example'],
    ['foo@bar.example (Foo Bar)', 'Foo Bar', 'foo@bar.example'],
    ['(c) a@b', 'c', 'a@b'],
    ['foo@spam@bar <x@y>', 'foo@spam@bar', 'x@y'],
    ['god@heaven <@hop1.example,@hop2.example:jeff@spec.example>', 'god@heaven', 'jeff@spec.example'],
    ['Real Name ((comment)) <addr...@example.com>', 'Real Name', 'addr...@example.com'],
    ['"a@b" <c@d>', 'a@b', 'c@d'],
    ['"Foo <a@b>" <c@d>', 'Foo <a@b>', 'c@d'],
    ['Foo, Bar <a@b>', 'Foo, Bar', 'a@b'],
    ['"Foo" "Bar" <a@b>', 'Foo Bar', 'a@b'],
    ['"a\\"b" <c@d>', 'a"b', 'c@d'],
    ['Name <a@b', 'Name', 'a@b'],
    ['a @ b', '', 'a@b'],
    ['Foo\r\n Bar <a@b>', 'Foo Bar', 'a@b'],
    ['Foo [bar] <a@b>', 'Foo [bar]', 'a@b'],
    ['Jörg <a@b>', 'Jörg', 'a@b'],
    ['=?utf-8?q?J=C3=B6rg?= <a@b>', '=?utf-8?q?J=C3=B6rg?=', 'a@b'],
    ['mailto:a@b', '', 'a@b'],
    ['MAILER-DAEMON', '', 'MAILER-DAEMON'],
    ['<MAILER-DAEMON>', '', 'MAILER-DAEMON'],
    ['Foo <local>', 'Foo', 'local'],
    ['"x" <>', 'x', ''],
    ['x <>', 'x', ''],
    ['<>', '', ''],
    ['', '', ''],
    ['undisclosed-recipients:;', '', ''],
    // the first of several; pymilter's answer depends on the release of Python
    ['Foo <a@b>, Bar <c@d>', 'Foo', 'a@b'],
    ['group: a@b, c@d;', '', 'a@b'],
    ['Foo; Bar <a@b>', 'Foo, Bar', 'a@b'],
    // what real mail has: quotes and parentheses that are never closed, or not meant
    ['Bob :( <bob@x.example>', 'Bob :(', 'bob@x.example'],
    ['Bob :( <bob@x.example> :)', 'Bob :', 'bob@x.example'],
    ['Sales (EU <sales@x.example>', 'Sales (EU', 'sales@x.example'],
    ['Foo Bar (un <a@b.example>', 'Foo Bar (un', 'a@b.example'],
    ['12" vinyl <v@x.example>', '12" vinyl', 'v@x.example'],
    ['12" vinyl <v@x.example>, 7" single <s@x.example>', '12" vinyl', 'v@x.example'],
    ['Alice <a@b.example> x: evil@e.example', 'Alice', 'a@b.example'],
    ['evil@e.example: Alice <a@b.example>', 'evil@e.example: Alice', 'a@b.example'],
    ['Foo <x> <a@b.example>', 'Foo', 'a@b.example'],
    ['Foo <a@b.example> <c@d.example>', 'Foo', 'a@b.example'],
    ['Foo <<a@b.example>>', 'Foo', 'a@b.example'],
    ['Foo (old <x@y.example>) <a@b.example>', 'Foo', 'a@b.example'],
    ['"Alice <a@b.example>"', 'Alice <a@b.example>', 'a@b.example'],
    ['"a b"@c.example', '', '"a b"@c.example'],
    ['Foo <"a>b"@c.example>', 'Foo', '"a>b"@c.example'],
    ['Foo <a@b.example', 'Foo', 'a@b.example'],
    ['Foo <a@b.example, Bar <c@d.example>', 'Foo', 'a@b.example'],
    ['Foo <mailto:a@b.example>', 'Foo', 'a@b.example'],
    ['Foo < a @ b.example >', 'Foo', 'a@b.example'],
    ['Foo <a(comment)@b.example>', 'Foo', 'a@b.example'],
    ['u@[IPv6:2001:db8::1]', '', 'u@[IPv6:2001:db8::1]'],
    ['Foo <u@[IPv6:2001:db8::1]>', 'Foo', 'u@[IPv6:2001:db8::1]'],
    ['Team: Foo <a@b.example>, c@d.example;', 'Foo', 'a@b.example'],
    ['<a@b.example> (Foo)', 'Foo', 'a@b.example'],
  ];
  for (const [value, name, address] of forms) {
    it(JSON.stringify(value), () => expect(parseaddr(value)).toStrictEqual([name, address]));
  }

  it('looks at no more than maxLength characters', () => {
    expect(parseaddr('a@example.com', { maxLength: 13 })).toStrictEqual(['', 'a@example.com']);
    expect(parseaddr('a@example.com', { maxLength: 12 })).toStrictEqual(['', '']);
    expect(parseaddr(`${'x'.repeat(65_531)} <a@b>`)).toStrictEqual(['', '']);
  });

  /** Pieces that a random header is made of. */
  const PIECES = [
    ...['<', '>', '(', ')', '"', '\\', ',', ';', ':', '@', '@[', ']', '.', ' ', '\t', '\r\n '],
    ...['a', 'Foo', 'x@y.example', '"q r"', '(c)', 'jö', '\udcfc', '\u2028', 'mailto:', '=?utf-8?q?x?='],
  ];

  it('never throws, whatever the header is made of, and addresses have no brackets outside quotes', () => {
    const random = randomNumbers(20261128);
    const wrong: unknown[] = [];
    for (let round = 0; round < 20_000; round++) {
      const value = Array.from({ length: random(14) }, () => PIECES[random(PIECES.length)]).join('');
      const [name, address] = parseaddr(value);
      const hasBrackets = /[<>]/.test(address.replace(/"(?:\\.|[^"\\])*"/gs, ''));
      if (typeof name !== 'string' || hasBrackets) wrong.push([value, name, address]);
    }
    expect(wrong).toStrictEqual([]);
  });

  it('the address in angle brackets wins, whatever the name before it is', () => {
    const random = randomNumbers(12);
    const wrong: unknown[] = [];
    const harmless = PIECES.filter((piece) => !/["<>,;\\]/.test(piece));
    for (let round = 0; round < 20_000; round++) {
      const name = Array.from({ length: random(10) }, () => harmless[random(harmless.length)]).join('');
      const found = [`${name} <real@b.example>`, `"x" ${name} <real@b.example> y`].map(
        (text) => parseaddr(text)[1],
      );
      if (found.some((address) => address !== 'real@b.example')) wrong.push([name, found]);
    }
    expect(wrong).toStrictEqual([]);
  });

  it('reads a header of hostile punctuation in linear time', async () => {
    for (const unit of [
      ...['<', '"', '(', ')', '@', '@[', '@[:', 'a@b ', ',', ';', ':', '\\', '\r\n ', '"a" ', '<a@b> ', ' '],
      ...['<"', '<" ', 'a"<', '("', '"(', '(<', '((a)', '<a b', 'a ', '<a ', '"\\', '(\\'],
    ]) {
      const spent = await cpuTime(() => parseaddr(unit.repeat(60_000 / unit.length)));
      expectThat(spent, JSON.stringify(unit)).toBeLessThan(10_000);
    }
  });
});

/** @contract 31 */
describe('parseHeader', () => {
  const forms: [string, string][] = [
    ['=?UTF-8?Q?J=C3=B6rg?=', 'Jörg'],
    ['=?utf-8?q?a_b?=', 'a b'],
    ['=?iso-8859-1?q?J=F6rg?= plain =?iso-8859-1?q?J=F6rg?=', 'Jörg plain Jörg'],
    ['=?iso-8859-1?q?a?= =?iso-8859-1?q?b?=', 'ab'],
    ['=?utf-8?Q?=C3?= =?utf-8?Q?=B6?=', 'ö'],
    ['=?utf-8?B?4oI=?= =?utf-8?B?rA==?=', '€'],
    ['=?utf-8?q?a?=\r\n =?utf-8?q?b?=', 'ab'],
    ['=?utf-8?q?a?= x\r\n\ty', 'a x y'],
    ['x=?utf-8?q?a?=y', 'xay'],
    ['=?UTF-8*en?Q?J=C3=B6rg?=', 'Jörg'],
    ['=?windows-1252?Q?=93x=94?=', '“x”'],
    ['=?koi8-r?B?8NLJ18XU?=', 'Привет'],
    ['=?iso-2022-jp?B?GyRCJUYlOSVIGyhC?=', 'テスト'],
    ['=?gb2312?B?suLK1A==?=', '测试'],
    // bytes that are not in the character set
    ['=?utf-8?Q?J=F6rg?=', 'J\uFFFDrg'],
    ['=?utf-8?Q?a=ZZb?=', 'a=ZZb'],
    // padding
    ['=?utf-8?B?SsO2cmc?=', 'Jörg'],
    ['=?utf-8?B?SsO2cm?=', 'Jör'],
    [
      '=?UTF-8?B?TGFzdCBGZXcgQ29sZHBsYXkgQWxidW0gQXJ0d29ya3MgQXZhaWxhYmxlAA?=',
      'Last Few Coldplay Album Artworks Available\0',
    ],
    // the raw value where it cannot be decoded
    ['=?x-nope?q?J=F6rg?= and more', '=?x-nope?q?J=F6rg?= and more'],
    ['=?unknown-8bit?q?J=F6?=', '=?unknown-8bit?q?J=F6?='],
    ['=?utf-8?B?S?=', '=?utf-8?B?S?='],
    // word by word
    ['=?utf-8?q?a?= =?x-nope?q?b?=', 'a =?x-nope?q?b?='],
    ['=?utf-8?Q?cheap_pills?= =?x-foo?Q?!?=', 'cheap pills =?x-foo?Q?!?='],
    ['=?x-nope?q?a?= =?utf-8?q?b?= =?utf-8?B?S?= =?utf-8?q?c?=', '=?x-nope?q?a?= b =?utf-8?B?S?= c'],
    ['=?utf-8?q?a?= =?iso-8859-1?q?=F6?= =?utf-8?q?b?=', 'aöb'],
    // raw bytes, in the character set of their word
    ['=?iso-8859-1?Q?Fr\udcf6sche?=', 'Frösche'],
    ['=?koi8-r?q?\udcf0\udcd2?=', 'Пр'],
    ['=?utf-8?q?\udcc3?= =?utf-8?q?\udcb6?=', 'ö'],
    ['=?utf-8?q?ö?=', 'ö'],
    ['=?utf-8?q?a', '=?utf-8?q?a'],
    ['=?utf-8?X?abc?=', '=?utf-8?X?abc?='],
    // nothing to decode
    ['plain', 'plain'],
    ['', ''],
    ['  a\r\n b', '  a\r\n b'],
    ['Jörg', 'Jörg'],
    ['J\udcf6rg', 'J\udcf6rg'],
  ];
  for (const [value, expected] of forms) {
    it(JSON.stringify(value), () => expect(parseHeader(value)).toBe(expected));
  }

  it('decodes no more than maxLength characters', () => {
    const word = '=?utf-8?q?a?=';
    expect(parseHeader(word, { maxLength: word.length })).toBe('a');
    expect(parseHeader(word, { maxLength: word.length - 1 })).toBe(word);
    const long = `${word}${'x'.repeat(65_536)}`;
    expect(parseHeader(long)).toBe(long);
  });

  it('reads a header of hostile encoded words in linear time', async () => {
    for (const unit of ['=?', '=?utf-8?q?', '=?utf-8?q?a?= ', '=?utf-8?b?YQ==?=', '= ', '?=']) {
      const spent = await cpuTime(() => parseHeader(unit.repeat(60_000 / unit.length)));
      expectThat(spent, unit).toBeLessThan(10_000);
    }
  });
});
