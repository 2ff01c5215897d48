/** Key records that have been read before. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { formatKeyRecord } from 'tsmilter/dkim';
import { keyRecordOf } from '#lib/dkim/key-cache.js';

const { privateKey } = generateKeyPairSync('ed25519');
const RECORD = formatKeyRecord(privateKey);
/** As many different texts with this key as the cache has room for. */
const OTHERS = Array.from({ length: 256 }, (_, nth) => `${RECORD}; n=${nth}`);

describe('keyRecordOf', () => {
  it('reads a text once, and another one of the same key for itself', () => {
    const record = keyRecordOf(RECORD);
    expect(record).toMatchObject({ keyType: 'ed25519', testing: false });
    expect(keyRecordOf(RECORD)).toBe(record);
    expect(keyRecordOf(`${RECORD}; t=y`)).toMatchObject({ testing: true });
  });

  it('keeps the 256 that were used last', () => {
    const record = keyRecordOf(RECORD);
    for (const text of OTHERS.slice(1)) keyRecordOf(text);
    expect(keyRecordOf(RECORD)).toBe(record);
    for (const text of OTHERS) keyRecordOf(text);
    const again = keyRecordOf(RECORD);
    expect(again).not.toBe(record);
    expect(again).toMatchObject({ keyType: 'ed25519' });
  });

  it('says each time why a text is no record', () => {
    for (let time = 0; time < 2; time++) expect(keyRecordOf('v=DKIM1; p=')).toMatch(/revoked/);
  });
});
