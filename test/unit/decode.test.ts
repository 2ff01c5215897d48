/** Contract 17: the policies of @decode, on text as the native side decoded it. */
import { describe, expect, it } from '@jest/globals';
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

/** @contract 17 */
describe('decodeAs', () => {
  it('the table covers every policy', () => {
    expect([...DECODE_POLICIES].sort()).toStrictEqual(Object.keys(EXPECTED).sort());
  });

  for (const policy of DECODE_POLICIES) {
    it(policy, () => {
      const [latin1, utf8, mixed] = EXPECTED[policy];
      expect(decodeAs(policy, decodeBytes(LATIN1))).toStrictEqual(latin1);
      expect(decodeAs(policy, decodeBytes(UTF8))).toStrictEqual(utf8);
      expect(decodeAs(policy, decodeBytes(MIXED))).toStrictEqual(mixed);
      expect(decodeAs(policy, '')).toStrictEqual(policy === 'bytes' ? Buffer.alloc(0) : '');
    });
  }

  it('never mistakes characters beyond U+FFFF for escaped bytes', () => {
    // Their second half is a number in the range of the escapes.
    const text = '\u{1f480}\u{1f4ff}\u{10fc80}';
    for (const policy of ['surrogateescape', 'strict', 'ignore', 'replace'] as const) {
      expect(decodeAs(policy, text)).toBe(text);
    }
    expect(decodeAs('bytes', text)).toStrictEqual(Buffer.from(text));
  });
});
