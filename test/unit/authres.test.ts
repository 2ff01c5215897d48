/** tsmilter/authres: Authentication-Results fields (RFC 8601). */
import { describe, expect, it } from '@jest/globals';
import {
  type AuthRes,
  claimsToBe,
  formatAuthRes,
  MilterError,
  parseAuthRes,
  removeAuthRes,
} from 'tsmilter/authres';
import { randomNumbers } from '../support/random.js';

const property = (ptype: string, name: string, value: string) => ({ ptype, property: name, value });

describe('parseAuthRes', () => {
  it.each<[string, string, AuthRes]>([
    ['no method (B.2)', 'example.org 1; none', { id: 'example.org', version: 1, results: [] }],
    [
      'one method, a fold (B.3)',
      'example.com;\n          spf=pass smtp.mailfrom=example.net',
      {
        id: 'example.com',
        results: [
          { method: 'spf', result: 'pass', properties: [property('smtp', 'mailfrom', 'example.net')] },
        ],
      },
    ],
    [
      'several methods, comments (B.4)',
      'example.com;\n auth=pass (cram-md5) smtp.auth=sender@example.net;\n spf=fail smtp.mailfrom=example.net',
      {
        id: 'example.com',
        results: [
          { method: 'auth', result: 'pass', properties: [property('smtp', 'auth', 'sender@example.net')] },
          { method: 'spf', result: 'fail', properties: [property('smtp', 'mailfrom', 'example.net')] },
        ],
      },
    ],
    [
      'comments in every place (B.7)',
      "foo.example.net (foobar) 1 (baz);\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\n   policy (A dot can go here) . (like that) expired\n   (this surprised me) = (as I wasn't expecting it) 1362471462",
      {
        id: 'foo.example.net',
        version: 1,
        results: [
          {
            method: 'dkim',
            methodVersion: 1,
            result: 'fail',
            properties: [property('policy', 'expired', '1362471462')],
          },
        ],
      },
    ],
    [
      'a reason, quotes, letter case',
      'MX.example; DKIM=Pass reason="good \\"signature\\"; really" Header.D=Example.com header.b="ab/+="',
      {
        id: 'MX.example',
        results: [
          {
            method: 'dkim',
            result: 'pass',
            reason: 'good "signature"; really',
            properties: [property('header', 'd', 'Example.com'), property('header', 'b', 'ab/+=')],
          },
        ],
      },
    ],
    [
      'what others write without quotes',
      'mx.example;dkim=pass header.b=ab/c+d= header.i=@example.com;spf=pass smtp.remote-ip=2001:db8::1 smtp.mailfrom=<>',
      {
        id: 'mx.example',
        results: [
          {
            method: 'dkim',
            result: 'pass',
            properties: [property('header', 'b', 'ab/c+d='), property('header', 'i', '@example.com')],
          },
          {
            method: 'spf',
            result: 'pass',
            properties: [property('smtp', 'remote-ip', '2001:db8::1'), property('smtp', 'mailfrom', '<>')],
          },
        ],
      },
    ],
    [
      'a result that cannot be read is left out',
      'mx.example; spf; =pass; dkim=; dmarc=pass; x y=z',
      { id: 'mx.example', results: [{ method: 'dmarc', result: 'pass' }] },
    ],
    ['a quoted id', '"mx one"; none', { id: 'mx one', results: [] }],
    [
      'a name of the prototype',
      'mx.example; constructor=pass __proto__.x=1 header.constructor=y',
      {
        id: 'mx.example',
        results: [
          { method: 'constructor', result: 'pass', properties: [property('header', 'constructor', 'y')] },
        ],
      },
    ],
  ])('reads %s', (_title, value, expected) => {
    expect(parseAuthRes(value)).toEqual(expected);
  });

  it.each([
    '',
    '   ',
    ';',
    '; dkim=pass',
    '"open; dkim=pass',
    'mx.example (open; dkim=pass',
    `${'('.repeat(40)}`,
    'a\\b; x=y',
  ])('cannot read %j', (value) => {
    expect(parseAuthRes(value)).toBeUndefined();
  });

  it.each([
    ['smtp.mailfrom', 'SRS0=abcd=XY=example.com=ann@fwd.example'],
    ['smtp.mailfrom', 'header.from=victim.example@evil.example'],
    ['smtp.mailfrom', 'reason=x@evil.example'],
    ['header.i', 'header.d=victim.example@evil.example'],
    ['header.b', 'ab.cd=/e.f=='],
  ])('an = in a value begins no other: %s=%s', (name, value) => {
    const [ptype = '', property = ''] = name.split('.');
    const result = { method: 'spf', result: 'pass', properties: [{ ptype, property, value }] };
    const ours = formatAuthRes({ id: 'mx.example', results: [result] });
    for (const text of [
      `mx.example; spf=pass ${name}=${value}`,
      `mx.example; spf=pass(x)${name}=${value}`,
      ours,
    ])
      expect(parseAuthRes(text)?.results).toStrictEqual([result]);
  });

  it('a dot at the end of a value does not join it to the next name', () => {
    const text =
      'mx.example; spf=pass smtp.helo=mail.evil.example. smtp.mailfrom=a@b.example header . from = c.example';
    expect(parseAuthRes(text)?.results[0]?.properties).toStrictEqual([
      property('smtp', 'helo', 'mail.evil.example.'),
      property('smtp', 'mailfrom', 'a@b.example'),
      property('header', 'from', 'c.example'),
    ]);
  });

  const controls = [...Array(32).keys(), 127].map((code) => String.fromCharCode(code));

  it.each(['id', 'reason', 'property', 'comment'])('refuses control characters in quotes: %s', (place) => {
    const write = (text: string) =>
      `${place === 'id' ? `"mx${text}"` : 'mx'}; spf=pass ${place === 'comment' ? `(a${text}b)` : ''}` +
      ` reason="${place === 'reason' ? text : ''}" smtp.helo="${place === 'property' ? text : ''}"`;
    for (const control of controls) {
      for (const text of [control, `\\${control}`]) {
        // Tabs are white space; `\\` and a tab is a quoted pair (RFC 5322 3.2.1).
        if (control === '\t') expect(parseAuthRes(write(text))?.results).toHaveLength(1);
        else expect([text, parseAuthRes(write(text))]).toEqual([text, undefined]);
      }
    }
    for (const fold of ['\n ', '\r\n\t']) expect(parseAuthRes(write(fold))?.results).toHaveLength(1);
    expect(parseAuthRes(write(' ~\u00fc\udcff!'))?.results).toHaveLength(1);
  });

  it('takes a fold in quotes for its white space', () => {
    const read = parseAuthRes('mx; spf=fail reason="a\r\n b\n\tc"');
    expect(read?.results[0]?.reason).toBe('a b\tc');
  });

  it('never throws, and takes linear time', () => {
    const random = randomNumbers(6);
    const pieces = [
      'a',
      '.',
      '=',
      ';',
      '/',
      '"',
      '\\',
      '(',
      ')',
      ' ',
      '\n ',
      'reason=',
      'header.d=',
      '1',
      '@',
      '\u00fc',
      '\0',
    ];
    for (let nth = 0; nth < 50_000; nth++) {
      parseAuthRes(Array.from({ length: random(20) }, () => pieces[random(pieces.length)]).join(''));
    }
    for (const shape of ['a=b ', 'a.b=', '((((', 'x;', '"a" ', 'a.b=c '])
      parseAuthRes(`id;${shape.repeat(10_000)}`);
    expect(parseAuthRes('x'.repeat(65_537))).toBeUndefined();
  });
});

describe('formatAuthRes', () => {
  it('writes what parseAuthRes reads', () => {
    const authres: AuthRes = {
      id: 'mx.example',
      version: 1,
      results: [
        { method: 'spf', result: 'pass', properties: [property('smtp', 'mailfrom', 'a@b.example')] },
        {
          method: 'dkim',
          methodVersion: 1,
          result: 'fail',
          reason: 'a "b" \\ ; c',
          properties: [property('header', 'b', 'ab/+=')],
        },
      ],
    };
    expect(formatAuthRes(authres)).toBe(
      'mx.example 1;\n\tspf=pass smtp.mailfrom=a@b.example;\n\tdkim/1=fail reason="a \\"b\\" \\\\ ; c" header.b="ab/+="',
    );
    expect(parseAuthRes(formatAuthRes(authres))).toEqual(authres);
    expect(formatAuthRes({ id: 'mx.example', results: [] })).toBe('mx.example; none');
  });

  it('keeps a value of random characters one value', () => {
    const random = randomNumbers(7);
    const pieces = [
      '"',
      '\\',
      ';',
      '\r\n',
      '\n',
      '\0',
      '=',
      '(',
      ')',
      ' x.y=pass',
      ' dkim=pass',
      '@',
      'a',
      '\u00fc',
      '\u2028',
      '\udcff',
    ];
    const wrong: string[] = [];
    for (let nth = 0; nth < 20_000; nth++) {
      const value = Array.from({ length: random(10) }, () => pieces[random(pieces.length)]).join('');
      const text = formatAuthRes(
        {
          id: 'mx.example',
          results: [
            { method: 'spf', result: 'none', reason: value, properties: [property('smtp', 'helo', value)] },
          ],
        },
        { utf8: nth % 2 === 0 },
      );
      const isOneLine = /^mx\.example;\n\tspf=none [^\r\n\0\u2028]*$/.test(text);
      const [first, ...others] = parseAuthRes(text)?.results ?? [];
      const isOneResult = first?.method === 'spf' && first.result === 'none' && others.length === 0;
      const isOneProperty = first?.properties?.length === 1;
      if (!isOneLine || !claimsToBe(text, 'mx.example') || !isOneResult || !isOneProperty) wrong.push(text);
    }
    expect(wrong).toStrictEqual([]);
  });

  it('leaves text beyond ASCII for SMTPUTF8 only', () => {
    const result = {
      method: 'spf',
      result: 'pass',
      properties: [property('smtp', 'mailfrom', 'j\u00fcrgen@b.example')],
    };
    expect(formatAuthRes({ id: 'mx', results: [result] })).toContain('"j?rgen@b.example"');
    expect(formatAuthRes({ id: 'mx', results: [result] }, { utf8: true })).toContain(
      '"j\u00fcrgen@b.example"',
    );
  });

  it.each<[string, Partial<AuthRes>]>([
    ['an empty id', { id: '' }],
    ['a method with a space', { results: [{ method: 'a b', result: 'pass' }] }],
    ['a result with a semicolon', { results: [{ method: 'spf', result: 'pass; dkim=pass' }] }],
    [
      'a ptype that is empty',
      { results: [{ method: 'spf', result: 'pass', properties: [property('', 'x', 'y')] }] },
    ],
  ])('refuses %s', (_title, authres) => {
    expect(() => formatAuthRes({ id: 'mx', results: [], ...authres })).toThrow(MilterError);
  });
});

describe('removeAuthRes', () => {
  it('deletes the fields of our ids, from the last index down', () => {
    const deleted: unknown[] = [];
    const filter = { chgheader: (...args: unknown[]) => deleted.push(args) };
    const values = [
      'mx.example; spf=pass',
      'other.example; spf=pass',
      ' MX.EXAMPLE ; none',
      'mx2.example; x=y',
      '"mx.example"; x=y',
    ];
    expect(removeAuthRes(filter, ['mx.example', 'mx2.example'], values)).toBe(4);
    expect(deleted).toEqual([5, 4, 3, 1].map((index) => ['Authentication-Results', index, null]));
  });

  it.each([
    ['mx.example; none', true],
    ['mx.example. ; none', true],
    ['(comment) mx.example 1; none', true],
    ['"mx.example; unreadable', true],
    ['"mx.exam\x01ple"; spf=pass', true],
    ['mx(\x01).example; spf=pass', true],
    ['mx . exa(a (b) \\) \x7f)mple; spf=pass', true],
    ['"mx\\.example" \0; spf=pass', true],
    ['mx.example x; dmarc=pass', true],
    ['mx.example/1; dmarc=pass', true],
    ['mx.example, x; dmarc=pass', true],
    ['mx.example=; dmarc=pass', true],
    ['mx.example 1 2; dmarc=pass', true],
    ['mx.example@; dmarc=pass', true],
    ['mx.example\u00a0; dmarc=pass', true],
    ['mx.example dmarc=pass header.from=a.example', true],
    ['other.example \x01; x=y', false],
    ['other.example; x=y header.d=mx.example', false],
    ['sub.mx.example; none', false],
    ['', false],
  ])('%j claims to be mx.example: %s', (value, expected) => {
    expect(claimsToBe(value, 'mx.example')).toBe(expected);
  });

  it('deletes fields of a later version, whoever they are of', () => {
    const deleted: unknown[] = [];
    const filter = { chgheader: (...args: unknown[]) => deleted.push(args) };
    const values = ['other.example 1; none', 'other.example 2; dmarc=pass', 'other.example; none'];
    expect(removeAuthRes(filter, 'mx.example', values)).toBe(1);
    expect(deleted).toStrictEqual([['Authentication-Results', 2, null]]);
  });

  it('compares internationalised names in one form', () => {
    expect(claimsToBe('xn--bcher-kva.example; none', 'b\u00fccher.example')).toBe(true);
    expect(claimsToBe('b\u00fccher.example; none', 'xn--bcher-kva.example')).toBe(true);
  });
});

it('a long result is folded between its properties, so that no line reaches what Sendmail cuts off', () => {
  const value = '"'.repeat(2000);
  const properties = ['d', 'i', 's', 'b'].map((property) => ({ ptype: 'header', property, value }));
  const field = formatAuthRes({
    id: 'mx.example',
    results: [{ method: 'dkim', result: 'fail', reason: value, properties }],
  });
  expect(Math.max(...field.split('\n').map(({ length }) => length))).toBeLessThan(2300);
  const [result] = parseAuthRes(field)?.results ?? [];
  expect(result?.reason).toBe('"'.repeat(998));
  expect(result?.properties?.map(({ property }) => property)).toStrictEqual(['d', 'i', 's', 'b']);
});
