/** The RSA key in a SubjectPublicKeyInfo, as lib/dkim takes it out, against OpenSSL. */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { bareRsaKey } from '#lib/dkim/rsa-spki.js';
import { randomNumbers } from '../support/random.js';

function imported(key: Buffer | undefined, type: 'spki' | 'pkcs1'): KeyObject | undefined {
  try {
    return key && createPublicKey({ key, format: 'der', type });
  } catch {
    return undefined;
  }
}

describe('bareRsaKey', () => {
  it.each([768, 1024, 2048, 4096])('the RSAPublicKey of a key of %d bits', (modulusLength) => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength });
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    expect(bareRsaKey(spki)).toEqual(publicKey.export({ format: 'der', type: 'pkcs1' }));
  });

  it('of no other key, and of nothing that is no key', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      format: 'der',
      type: 'spki',
    });
    const ed = generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' });
    const pkcs1 = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({
      format: 'der',
      type: 'pkcs1',
    });
    for (const der of [
      ec,
      ed,
      pkcs1,
      Buffer.alloc(0),
      Buffer.of(0x30),
      Buffer.of(0x30, 0x80),
      Buffer.of(0x30, 0x84, 0, 0, 0, 0),
    ]) {
      expect(bareRsaKey(der)).toBeUndefined();
    }
  });

  it('5,000 damaged keys: never another key than OpenSSL reads', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    const random = randomNumbers(4);
    let read = 0;
    for (let nth = 0; nth < 5000; nth++) {
      const damaged = Buffer.from(spki.subarray(0, random(4) === 0 ? random(spki.length) : spki.length));
      // Most of them at the beginning, where the structure is.
      if (damaged.length > 0)
        damaged[random(nth % 2 ? damaged.length : Math.min(40, damaged.length))] = random(256);
      const key = imported(bareRsaKey(damaged), 'pkcs1');
      if (!key) continue;
      read++;
      const expected = imported(damaged, 'spki');
      if (!expected?.equals(key)) expect([damaged.toString('hex'), key]).toEqual([nth, expected]);
    }
    expect(read).toBeGreaterThan(1000);
  });
});
