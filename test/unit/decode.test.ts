/** Contract 17: the policies of @decode, on text as the native side decoded it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DECODE_POLICIES, type DecodePolicy, decodeAs } from '#lib/filter/decode.js';
import { decodeBytes } from '#lib/internal/bytes.js';

const LATIN1 = Buffer.from('na\xefve \xa9', 'latin1');
const UTF8 = Buffer.from('naïve ©😀');
const MIXED = Buffer.concat([UTF8, Buffer.of(0xff), UTF8, Buffer.of(0xe2, 0x82)]);

const EXPECTED: Readonly<Record<DecodePolicy, readonly [latin1: unknown, utf8: unknown, mixed: unknown]>> = {
  surrogateescape: ['na\udcefve \udca9', 'naïve ©😀', 'naïve ©😀\udcffnaïve ©😀\udce2\udc82'],
  bytes: [LATIN1, UTF8, MIXED],
  strict: [LATIN1, 'naïve ©😀', MIXED],
  ignore: ['nave ', 'naïve ©😀', 'naïve ©😀naïve ©😀'],
  replace: ['na\ufffdve \ufffd', 'naïve ©😀', 'naïve ©😀\ufffdnaïve ©😀\ufffd\ufffd'],
};

describe('contract 17: decodeAs', () => {
  it('every policy is in the table', () => {
    assert.deepEqual([...DECODE_POLICIES].sort(), Object.keys(EXPECTED).sort());
  });

  for (const policy of DECODE_POLICIES) {
    it(policy, () => {
      const [latin1, utf8, mixed] = EXPECTED[policy];
      assert.deepEqual(decodeAs(policy, decodeBytes(LATIN1)), latin1);
      assert.deepEqual(decodeAs(policy, decodeBytes(UTF8)), utf8);
      assert.deepEqual(decodeAs(policy, decodeBytes(MIXED)), mixed);
      assert.deepEqual(decodeAs(policy, ''), policy === 'bytes' ? Buffer.alloc(0) : '');
    });
  }

  it('characters beyond U+FFFF are never taken for escaped bytes', () => {
    // Their second half is a number in the range of the escapes.
    const text = '\u{1f480}\u{1f4ff}\u{10fc80}';
    for (const policy of ['surrogateescape', 'strict', 'ignore', 'replace'] as const) {
      assert.equal(decodeAs(policy, text), text);
    }
    assert.deepEqual(decodeAs('bytes', text), Buffer.from(text));
  });
});
