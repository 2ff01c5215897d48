/** tsmilter/spf: the Received-SPF header (RFC 7208 9.1), and strangers' words in it. */
import { describe, expect, it } from '@jest/globals';
import { checkSpf, type SpfCheck } from 'tsmilter/spf';
import { expectThat } from '../support/expect';
import { randomNumbers } from '../support/random';
import { type Case, SpfBench, txt } from '../support/spf';

const bench = new SpfBench();

/** One line, as whoever reads it unfolds it. */
const unfolded = ({ receivedSpf }: SpfCheck) => receivedSpf.replace(/\n\t/g, ' ');

describe('Received-SPF', () => {
  const headers: [what: string, record: string, header: string, rest?: Case][] = [
    [
      'pass',
      'v=spf1 ip4:192.0.2.0/24 -all',
      'pass (mx.example.net: 192.0.2.1 may send mail in the name of ann@example.com) receiver=mx.example.net; ' +
        'identity=mailfrom; client-ip=192.0.2.1; envelope-from="ann@example.com"; helo=mail.example.com; ' +
        'mechanism="ip4:192.0.2.0/24"',
    ],
    [
      'no mechanism',
      'v=spf1',
      'neutral (mx.example.net: example.com does not say whether 192.0.2.1 may send mail in the name of ann@example.com) ' +
        'receiver=mx.example.net; identity=mailfrom; client-ip=192.0.2.1; envelope-from="ann@example.com"; ' +
        'helo=mail.example.com; mechanism=default',
    ],
    [
      'no record',
      '',
      'none (mx.example.net: example.com does not say who may send mail in its name) receiver=mx.example.net; ' +
        'identity=mailfrom; client-ip=192.0.2.1; envelope-from="ann@example.com"; helo=mail.example.com',
    ],
    [
      'IPv6, quoted for its colons',
      'v=spf1 all',
      'pass (mx.example.net: 2001:db8::1 may send mail in the name of ann@example.com) receiver=mx.example.net; ' +
        'identity=mailfrom; client-ip="2001:db8::1"; envelope-from="ann@example.com"; helo=mail.example.com; mechanism=all',
      { ip: '2001:DB8:0::1' },
    ],
    [
      'the HELO name',
      '',
      'fail (mx.example.net: 192.0.2.1 may not send mail in the name of mail.example.com) receiver=mx.example.net; ' +
        'identity=helo; client-ip=192.0.2.1; helo=mail.example.com; mechanism=all',
      { options: { identity: 'helo' }, zone: { 'mail.example.com': { TXT: txt('v=spf1 -all') } } },
    ],
    [
      'the null sender',
      '',
      'softfail (mx.example.net: 192.0.2.1 should not send mail in the name of postmaster@mail.example.com) ' +
        'receiver=mx.example.net; identity=mailfrom; client-ip=192.0.2.1; envelope-from="postmaster@mail.example.com"; ' +
        'helo=mail.example.com; mechanism=all',
      { sender: '<>', zone: { 'mail.example.com': { TXT: txt('v=spf1 ~all') } } },
    ],
    [
      'a problem',
      'v=spf1 moo',
      'permerror (mx.example.net: cannot determine whether 192.0.2.1 may send mail in the name of ann@example.com: ' +
        'unknown mechanism: moo) receiver=mx.example.net; identity=mailfrom; client-ip=192.0.2.1; ' +
        'envelope-from="ann@example.com"; helo=mail.example.com; problem="unknown mechanism: moo"',
    ],
  ];
  for (const [what, record, header, rest] of headers) {
    it(what, async () => expect(unfolded(await bench.check(record, rest))).toBe(header));
  }

  it('is folded between words', async () => {
    const { receivedSpf } = await bench.check('v=spf1 ip4:192.0.2.0/24 -all');
    expect(receivedSpf).toBe(
      'pass (mx.example.net: 192.0.2.1 may send mail in the name of\n' +
        '\tann@example.com) receiver=mx.example.net; identity=mailfrom;\n' +
        '\tclient-ip=192.0.2.1; envelope-from="ann@example.com"; helo=mail.example.com;\n' +
        '\tmechanism="ip4:192.0.2.0/24"',
    );
  });
});

/** `CFWS` and the rest of RFC 7208 9.1, read by its grammar; returns the pairs. */
function pairsOf(header: string): Map<string, string> {
  let rest = header.replace(/\n\t/g, ' ');
  const take = (pattern: RegExp): string => {
    const found = pattern.exec(rest);
    if (found?.index !== 0) throw new Error(`${pattern} is not at the beginning of ${rest}`);
    rest = rest.slice(found[0].length);
    return found[0];
  };
  take(/^(?:pass|fail|softfail|neutral|none|temperror|permerror) /);
  take(/^\((?:[^()\\]|\\.)*\) /);
  const pairs = new Map<string, string>();
  while (rest !== '') {
    const key = take(/^[a-z-]+(?==)/);
    take(/^=/);
    const value = take(/^(?:"(?:[^"\\]|\\.)*"|[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*)/);
    pairs.set(key, value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value);
    if (rest !== '') take(/^; /);
  }
  return pairs;
}

describe('untrusted text', () => {
  const evil = [
    'a"; mechanism="all',
    'a) pass (b',
    '\\',
    'a\\',
    '"',
    '(((',
    ')))',
    'a\r\nSubject: x',
    'a\nb',
    '\0',
    '\u2028',
    'grün \udcff',
    '   ',
    ' a  b ',
    ';',
    'a=b',
    '',
    'x'.repeat(900),
    '"'.repeat(900),
    '\\'.repeat(900),
    ' '.repeat(900),
    `${' x'.repeat(450)}`,
    '('.repeat(1000),
  ];

  for (const text of evil) {
    it(`${JSON.stringify(text.slice(0, 20))} of ${text.length} characters stay where they belong`, async () => {
      const zone = { 'mail.example.com': { TXT: txt('v=spf1 -all') } };
      const cases: Case[] = [
        { helo: text },
        { sender: `${text}@example.com` },
        { sender: `ann@${text}` },
        { sender: text },
        { helo: text, options: { identity: 'helo' } },
        { helo: text, sender: '<>' },
        { options: { receiver: text.replace(/[\r\n\0]/g, '') || 'x' }, zone },
      ];
      const printable = text.slice(0, 317).replace(/[^\x20-\x7e]/g, '?');
      for (const rest of cases) {
        for (const record of [
          'v=spf1 -exists:%{d} -all',
          'v=spf1 moo:cow',
          `v=spf1 a:${'x'.repeat(1000)}.`,
          '',
        ]) {
          const check = await bench.check(record, rest);
          const pairs = pairsOf(check.receivedSpf);
          if (rest.helo !== undefined) expect(pairs.get('helo')?.startsWith(printable)).toBeTruthy();
          for (const line of `Received-SPF: ${check.receivedSpf}`.split('\n')) {
            expectThat(line.length, `a line of ${line.length}`).toBeLessThanOrEqual(998);
            expect(line).toMatch(/^(?:\t|R)[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*$/);
          }
          const { explanation, domain, problem, mechanism } = check;
          for (const word of [explanation, domain, problem ?? '', mechanism ?? '']) {
            expect(word).toMatch(/^[\x20-\x7e]*$/);
          }
          expect(explanation.length).toBeLessThanOrEqual(400);
        }
      }
    });
  }

  it('always gives a result and never throws, in any combination', async () => {
    const words = [
      'v=spf1',
      ' ',
      ' ',
      '+',
      '-',
      '~',
      '?',
      'all',
      'a',
      'mx',
      'ptr',
      'ip4',
      'ip6',
      'include',
      'exists',
      'redirect',
    ];
    const marks = [
      'exp',
      '=',
      '=',
      ':',
      ':',
      '/',
      '//',
      '.',
      '%{d}',
      '%{p}',
      '%{L1r-}',
      '%%',
      '%{',
      '}',
      'test',
      '24',
      '::1',
    ];
    const others = [
      '192.0.2.1',
      'example.com',
      '"',
      '\\',
      '(',
      ')',
      ';',
      '\r\n',
      '\0',
      '\xff',
      'ü',
      '@',
      '<',
      '>',
      '\ud800',
    ];
    const all = [...words, ...marks, ...others];
    const next = randomNumbers(20);
    const text = () => Array.from({ length: next(14) }, () => all[next(all.length)]).join('');
    const terms = [
      '~a:%{d}.x.test',
      'mx/24//64',
      'ptr',
      '-include:b.test',
      '?exists:%{L1r-}.%{p}.test',
      'x=y',
      '',
    ];
    const term = () => (next(4) ? (terms[next(terms.length)] as string) : text());
    const record = () =>
      `v=spf1 ${term()} ${term()} ${term()} ${['-all', '-all exp=%{d}', 'redirect=c.test', ''][next(4)]}`;
    const results = new Set<string>();
    for (let round = 0; round < 5000; round++) {
      const failing = Object.assign(new Error('DNS'), {
        code: ['ENOTFOUND', 'ENODATA', 'ESERVFAIL', 'EBADNAME'][next(4)],
      });
      const answer =
        <T>(make: () => T) =>
        async () => {
          if (next(8) === 0) throw failing;
          return Array.from({ length: next(3) }, make);
        };
      const resolver = {
        resolveTxt: answer(() => [record()]),
        resolve4: answer(() => ['192.0.2.1', '192.0.2.9', text()][next(3)] as string),
        resolve6: answer(() => ['2001:db8::1', text()][next(2)] as string),
        resolveMx: answer(() => ({ exchange: text(), priority: next(9) })),
        reverse: answer(text),
      };
      const ip = ['192.0.2.1', '2001:db8::1'][next(2)] as string;
      const sender = [text(), `${text()}@example.com`][next(2)] as string;
      const check = await checkSpf(
        { ip, helo: text(), sender },
        { resolver, identity: next(4) ? 'mailfrom' : 'helo' },
      );
      results.add(check.result);
      pairsOf(check.receivedSpf);
      expect(check.explanation).toMatch(/^[\x20-\x7e]+$/);
    }
    expectThat(results.size, [...results].join()).toBe(7);
  });

  it('is sanitised if it comes from a record, too', async () => {
    for (const term of ['exists:"\\(%{d}.com', 'exists:a;b=c).com', `exists:${'('.repeat(900)}.%{d}`]) {
      const { result, receivedSpf, mechanism } = await bench.check(`v=spf1 -${term} ?${term} -all`, {
        zone: { 'example.com': { TXT: txt(`v=spf1 -${term} -all`) } },
      });
      expect(result).toBe('fail');
      expect(mechanism).toBe('all');
      expect(pairsOf(receivedSpf).get('mechanism')).toBe('all');
    }
    const term = 'exists:"\\(a).com';
    const check = await bench.check(`v=spf1 +${term} -all`, { zone: { '"\\(a).com': { A: ['127.0.0.2'] } } });
    expect(check.mechanism).toBe(term);
    expect(pairsOf(check.receivedSpf).get('mechanism')).toBe(term);
  });
});
