/** tsmilter/arc: a chain of as many sets as there may be, of the greatest length, with keys that cost as much as they may. */
import { createPublicKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { addSet, verifyArc } from '../support/arc';
import { MAIL, publicRsa, ZONE } from '../support/dkim';
import { longestTurn, slowness } from '../support/event-loop';

const SETS = 50;
/** Characters of a set: all together are almost as many as a header may have. */
const FILLER = 3600;
const MOST_MILLISECONDS = 50;

/** The record of an RSA key whose use takes long: 8,192 bits, and a large exponent. */
function slowKey(): string[] {
  const modulus = randomBytes(1024);
  modulus[0] = 0xff;
  modulus[1023] = 0xff;
  const jwk = {
    kty: 'RSA',
    n: modulus.toString('base64url'),
    e: Buffer.from('01ffffffff', 'hex').toString('base64url'),
  };
  return ['v=DKIM1; p=', publicRsa(createPublicKey({ key: jwk, format: 'jwk' }))];
}

describe('a long chain', () => {
  it('takes many turns of the event loop, none of which is long', async () => {
    let mail = MAIL;
    const filler = 'b '.repeat(FILLER / 2);
    for (let instance = 1; instance <= SETS; instance++)
      mail = addSet(mail, instance, { results: `i=${instance}; lists.example.org; ${filler}=pass` });
    const name = 'r._domainkey.example.com';
    const records = [slowKey(), slowKey(), slowKey(), ...(ZONE[name] as string[][])];
    const check = async () => {
      expect(await verifyArc(mail, { [name]: records })).toMatchObject({ result: 'pass', oldestPass: 0 });
    };
    await check(); // compiled
    expect(await longestTurn(check)).toBeLessThan(MOST_MILLISECONDS * slowness());
  });
});
