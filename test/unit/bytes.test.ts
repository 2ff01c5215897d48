/** Text that keeps every byte: lib/internal/bytes.ts against Python's surrogateescape. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { decodeBytes, encodeBytes } from '#lib/internal/bytes.js';

/** A random generator that Python repeats in one line: s = (s * 1103515245 + 12345) & 0x7fffffff. */
function generator(): () => number {
  let seed = 1;
  return () => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return seed >> 16;
  };
}

/**
 * One digest for the decoded texts of many inputs. In Python:
 * `h.update(b.decode('utf-8', 'surrogateescape').encode('utf-16-le', 'surrogatepass') + b'\n\0')`
 */
class Digest {
  readonly #hash = createHash('sha256');
  #pending: string[] = [];

  add(bytes: Uint8Array): void {
    this.#pending.push(decodeBytes(bytes), '\n');
    if (this.#pending.length > 10_000) this.#flush();
  }

  toString(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  #flush(): void {
    this.#hash.update(Buffer.from(this.#pending.join(''), 'utf16le'));
    this.#pending = [];
  }
}

/** The edges of table 3-7 of the Unicode standard, and a little of what lies between. */
const EDGES = Buffer.from('00417f808f909fa0bfc0c1c2dfe0e1ecedeeeff0f1f3f4f5ff', 'hex');

describe('decodeBytes equals Python 3.11 (surrogateescape)', () => {
  it('for every sequence of up to four bytes at the limits of well-formed UTF-8', () => {
    const digest = new Digest();
    let count = 0;
    for (let length = 1; length <= 4; length++) {
      const bytes = new Uint8Array(length);
      for (let number = 0; number < EDGES.length ** length; number++) {
        for (let i = 0, rest = number; i < length; i++, rest = Math.floor(rest / EDGES.length)) {
          bytes[length - 1 - i] = EDGES[rest % EDGES.length] as number;
        }
        digest.add(bytes);
        count++;
      }
    }
    expect(count).toBe(406900);
    expect(digest.toString()).toBe('0f988189d3c2d2a2248e88b4060c71fa8e6ff7eb386fe3e90b250ada05c8e079');
  });

  it('for every pair of bytes', () => {
    const digest = new Digest();
    for (let pair = 0; pair < 65536; pair++) digest.add(Uint8Array.of(pair >> 8, pair & 0xff));
    expect(digest.toString()).toBe('fe306e4d746a67ffeccadc6ab0ccfe3bc5e7c148c5e95494b2cce2601b1d4d0e');
  });

  it('for 2,000 random mixtures of letters and any bytes', () => {
    const digest = new Digest();
    const next = generator();
    for (let i = 0; i < 2000; i++) {
      const length = next() % 64;
      digest.add(Uint8Array.from({ length }, () => (next() % 3 ? next() & 0xff : 0x61 + (next() % 26))));
    }
    expect(digest.toString()).toBe('99ae517eefb9d4ae271e04f9300f8be43b87b6b82c764fa5d2ce509ec4cec0ce');
  });

  const cases: readonly (readonly [what: string, hex: string, text: string])[] = [
    ['nothing', '', ''],
    ['ASCII', '48656c6c6f', 'Hello'],
    ['two, three and four bytes', 'c3a9e282acf09f9880', 'é€😀'],
    ['a lone continuation byte', '80', '\udc80'],
    ['Latin-1', '636166e9', 'caf\udce9'],
    ['an overlong slash', 'c0af', '\udcc0\udcaf'],
    ['an overlong NUL', 'e08080', '\udce0\udc80\udc80'],
    ['an overlong euro sign', 'f08282ac', '\udcf0\udc82\udc82\udcac'],
    ['a surrogate in UTF-8', 'eda080', '\udced\udca0\udc80'],
    ['a surrogate that would stand for a byte', 'edb2a9', '\udced\udcb2\udca9'],
    ['a surrogate pair in UTF-8 (CESU-8)', 'eda0bdedb880', '\udced\udca0\udcbd\udced\udcb8\udc80'],
    ['beyond U+10FFFF', 'f4908080', '\udcf4\udc90\udc80\udc80'],
    ['five bytes of long ago', 'f888808080', '\udcf8\udc88\udc80\udc80\udc80'],
    ['a sequence cut short at the end', 'e282', '\udce2\udc82'],
    ['a sequence cut short by a letter', 'e28241', '\udce2\udc82A'],
    ['a sequence cut short by another', 'e2c3a9', '\udce2é'],
    ['a byte order mark', 'efbbbf41', '\ufeffA'],
    ['the replacement character itself', 'efbfbd', '\ufffd'],
    ['NUL', '610062', 'a\0b'],
    ['the last code point', 'f48fbfbf', '\u{10ffff}'],
  ];
  for (const [what, hex, text] of cases) {
    it(what, () => expect(decodeBytes(Buffer.from(hex, 'hex'))).toBe(text));
  }
});

describe('encodeBytes', () => {
  it('turns every decoded byte back into itself', () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(encodeBytes(decodeBytes(all))).toStrictEqual(Buffer.from(all));
    for (let byte = 0; byte < 256; byte++) {
      expect([...encodeBytes(decodeBytes(Uint8Array.of(byte)))]).toStrictEqual([byte]);
    }
  });

  it('encodes any bytes back to themselves', () => {
    const next = generator();
    for (let i = 0; i < 5000; i++) {
      const bytes = Buffer.from(Array.from({ length: next() % 80 }, () => next() & 0xff));
      expect(encodeBytes(decodeBytes(bytes)).toString('hex')).toBe(bytes.toString('hex'));
    }
  });

  it('a text that is split anywhere decodes to the same bytes', () => {
    const bytes = Buffer.from('é€😀ü', 'utf8');
    for (let at = 0; at <= bytes.length; at++) {
      const text = decodeBytes(bytes.subarray(0, at)) + decodeBytes(bytes.subarray(at));
      expect(encodeBytes(text)).toStrictEqual(bytes);
    }
  });

  it('encodes other lone surrogates as U+FFFD, and pairs as characters', () => {
    for (const lone of ['\ud800', '\udbff', '\udc00', '\udc7f', '\udd00', '\udfff']) {
      expect(encodeBytes(`a${lone}b`).toString()).toBe('a\ufffdb');
    }
    expect(encodeBytes('\ud83d\ude00').toString('hex')).toBe('f09f9880');
    // A high surrogate takes the escape that follows it: together they are a character.
    expect(encodeBytes('\ud83d\udc80').toString('hex')).toBe('f09f9280');
    expect(encodeBytes('\udc80\ud83d\ude00').toString('hex')).toBe('80f09f9880');
  });

  it('does not change its argument and returns a new Buffer', () => {
    const bytes = Buffer.from('abc');
    const encoded = encodeBytes(decodeBytes(bytes));
    encoded[0] = 0;
    expect(bytes.toString()).toBe('abc');
  });
});
