/** Contract 18: ESMTP parameters as handlers want them. */
import { describe, expect, it } from '@jest/globals';
import { dictfromlist, envcallback, param2dict } from 'tsmilter';

/** @contract 18 */
describe('param2dict', () => {
  const cases: readonly (readonly [params: string[], expected: Record<string, string | null>])[] = [
    [[], {}],
    [['SIZE=1000'], { SIZE: '1000' }],
    [['size=1000', 'Body=8BITMIME'], { SIZE: '1000', BODY: '8BITMIME' }],
    [['SMTPUTF8'], { SMTPUTF8: null }],
    [['smtputf8', 'RET=HDRS'], { SMTPUTF8: null, RET: 'HDRS' }],
    [['AUTH='], { AUTH: '' }],
    [['AUTH=<a=b>'], { AUTH: '<a=b>' }],
    [['ORCPT=rfc822;Bob+20=@Example.COM'], { ORCPT: 'rfc822;Bob+20=@Example.COM' }],
    [['SIZE=1', 'SIZE=2'], { SIZE: '2' }],
    [['=x'], { '': 'x' }],
  ];
  for (const [params, expected] of cases) {
    it(JSON.stringify(params), () => expect({ ...param2dict(params) }).toStrictEqual(expected));
  }

  it("treats names of Object.prototype's properties as ordinary names", () => {
    const found = param2dict(['__proto__=1', 'constructor', 'TOSTRING=2']);
    expect(Object.keys(found).sort()).toStrictEqual(['CONSTRUCTOR', 'TOSTRING', '__PROTO__'].sort());
    expect(found.CONSTRUCTOR).toBeNull();
    expect(found.__PROTO__).toBe('1');
  });
});

/** @contract 18 */
describe('dictfromlist', () => {
  it('drops parameters without a value', () => {
    expect({ ...dictfromlist(['SMTPUTF8', 'size=1000', 'AUTH=']) }).toStrictEqual({ SIZE: '1000', AUTH: '' });
    expect({ ...dictfromlist(['SMTPUTF8']) }).toStrictEqual({});
    expect({ ...dictfromlist([]) }).toStrictEqual({});
  });
});

/** @contract 18 */
describe('envcallback', () => {
  it('keeps parameters without a value by position, the others by name', () => {
    const calls: unknown[][] = [];
    const result = envcallback(
      (...args) => calls.push(args),
      ['<a@b>', 'SMTPUTF8', 'size=9', 'X', 'RET=HDRS'],
    );
    expect(calls).toStrictEqual([['<a@b>', 'SMTPUTF8', 'X', { SIZE: '9', RET: 'HDRS' }]]);
    expect(result).toBe(1);
  });

  it('accepts an address without parameters', () => {
    expect(envcallback((...args) => args, ['<>'])).toStrictEqual(['<>', {}]);
  });

  it('does not mistake an address with = in it for a parameter', () => {
    expect(envcallback((...args) => args, ['<bounce=x@b>', 'SIZE=1'])).toStrictEqual([
      '<bounce=x@b>',
      { SIZE: '1' },
    ]);
  });

  it('returns a promise if the callback does', async () => {
    expect(await envcallback(async () => 7, ['<>'])).toBe(7);
  });
});
