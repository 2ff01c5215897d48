/** Contract 18: ESMTP parameters as handlers want them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dictfromlist, envcallback, param2dict } from 'tsmilter';

describe('contract 18: param2dict', () => {
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
    it(JSON.stringify(params), () => assert.deepEqual({ ...param2dict(params) }, expected));
  }

  it('a name like a property of every object is a name like others', () => {
    const found = param2dict(['__proto__=1', 'constructor', 'TOSTRING=2']);
    assert.deepEqual(Object.keys(found).sort(), ['CONSTRUCTOR', 'TOSTRING', '__PROTO__'].sort());
    assert.equal(found.CONSTRUCTOR, null);
    assert.equal(found.__PROTO__, '1');
  });
});

describe('contract 18: dictfromlist', () => {
  it('drops what has no value', () => {
    assert.deepEqual({ ...dictfromlist(['SMTPUTF8', 'size=1000', 'AUTH=']) }, { SIZE: '1000', AUTH: '' });
    assert.deepEqual({ ...dictfromlist(['SMTPUTF8']) }, {});
    assert.deepEqual({ ...dictfromlist([]) }, {});
  });
});

describe('contract 18: envcallback', () => {
  it('keeps what has no value by position, the rest by name', () => {
    const calls: unknown[][] = [];
    const result = envcallback(
      (...args) => calls.push(args),
      ['<a@b>', 'SMTPUTF8', 'size=9', 'X', 'RET=HDRS'],
    );
    assert.deepEqual(calls, [['<a@b>', 'SMTPUTF8', 'X', { SIZE: '9', RET: 'HDRS' }]]);
    assert.equal(result, 1);
  });

  it('an address alone', () => {
    assert.deepEqual(
      envcallback((...args) => args, ['<>']),
      ['<>', {}],
    );
  });

  it('an address with = in it is an address', () => {
    assert.deepEqual(
      envcallback((...args) => args, ['<bounce=x@b>', 'SIZE=1']),
      ['<bounce=x@b>', { SIZE: '1' }],
    );
  });

  it('returns a promise where the callback does', async () => {
    assert.equal(await envcallback(async () => 7, ['<>']), 7);
  });
});
