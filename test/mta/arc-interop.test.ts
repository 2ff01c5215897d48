// Chains that tsmilter/arc seals are verified by dkimpy, and the other way round, also with the sets of both in one chain.
import { generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ArcResult, ArcSealer, ArcVerifier } from 'tsmilter/arc';
import { DkimVerifier, formatKeyRecord } from 'tsmilter/dkim';
import { DnsSession } from 'tsmilter/dns';
import { DnsServer } from '../../tools/dns-server';
import { privateDirectory, removeDirectory } from '../../tools/private-directory';
import { ODD_MESSAGES, splitForFilter } from '../support/odd-messages';
import { dkimpySealArc, dkimpyVerifyArc } from './support/dkim-programs';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ID = 'lists.example.org';

let zone: DnsServer;
let directory: string;
let keyFile: string;

beforeAll(async () => {
  directory = privateDirectory('arc-interop');
  keyFile = path.join(directory, 'rsa.key');
  fs.writeFileSync(keyFile, rsa.export({ format: 'pem', type: 'pkcs1' }), { mode: 0o600 });
  zone = await DnsServer.start({
    's._domainkey.example.com': { TXT: [formatKeyRecord(rsa).match(/.{1,255}/g) ?? []] },
  });
});
afterAll(async () => {
  await zone?.close();
  removeDirectory(directory);
});

async function verify(message: Buffer): Promise<ArcResult> {
  const verifier = new DkimVerifier({
    resolver: new DnsSession({ servers: [zone.address] }),
    leadingSpace: true,
  });
  const arc = new ArcVerifier(verifier);
  const { headers, body } = splitForFilter(message);
  for (const [name, value] of headers) verifier.header(name, value);
  verifier.eoh();
  verifier.body(body);
  return await arc.eom();
}

/** The message with a set at the top. */
async function seal(message: Buffer): Promise<Buffer> {
  const sealer = new ArcSealer({
    key: { domain: 'example.com', selector: 's', key: rsa },
    leadingSpace: true,
  });
  const { headers, body } = splitForFilter(message);
  for (const [name, value] of headers) sealer.header(name, value);
  sealer.eoh();
  sealer.body(body);
  const authRes = { id: ID, results: [{ method: 'spf', result: 'pass' }] };
  const { fields } = await sealer.eom({ arc: await verify(message), authRes });
  return withFields(message, fields);
}

/** dkimpy takes the status of the chain from an Authentication-Results field. */
async function dkimpySeal(message: Buffer): Promise<Buffer> {
  const { result } = await verify(message);
  const field = [
    'Authentication-Results',
    ` ${ID}; spf=pass smtp.mailfrom=a@example.net; arc=${result}`,
  ] as const;
  return await dkimpySealArc(withFields(message, [field]), keyFile, ID);
}

function withFields(message: Buffer, fields: readonly (readonly [string, string])[]): Buffer {
  const lines = fields.map(([name, value]) => `${name}:${value.replaceAll('\n', '\r\n')}\r\n`).reverse();
  return Buffer.concat([Buffer.from(lines.join(''), 'latin1'), message]);
}

const changed = (message: Buffer) => Buffer.concat([message, Buffer.from('-- \r\nfooter\r\n')]);
const messages = Object.values(ODD_MESSAGES).map(({ message }) => message);

test('dkimpy verifies chains of one and of three sets', async () => {
  const once = await Promise.all(messages.map(seal));
  const thrice = await Promise.all(once.map(async (message) => seal(await seal(message))));
  expect(await dkimpyVerifyArc([...once, ...thrice], zone)).toEqual([...once, ...thrice].map(() => 'pass'));
});

test('dkimpy finds changed messages out', async () => {
  const sealed = await Promise.all(messages.map(async (message) => changed(await seal(message))));
  expect(await dkimpyVerifyArc(sealed, zone)).toEqual(sealed.map(() => 'fail'));
});

test('both verify chains that both have sealed, in turn', async () => {
  const [message = Buffer.alloc(0)] = messages;
  const first = await seal(await dkimpySeal(message));
  const second = await dkimpySeal(await seal(message));
  const changedBetween = await dkimpySeal(changed(await seal(message)));
  for (const sealed of [first, second]) {
    expect(await verify(sealed)).toMatchObject({ result: 'pass', oldestPass: 0, sets: [{}, {}] });
  }
  expect(await dkimpyVerifyArc([first, second], zone)).toEqual(['pass', 'pass']);
  // A chain that had failed is sealed as failed by each, and stays so for both.
  const failed = await seal(changed(await seal(message)));
  expect((await verify(changedBetween)).result).toBe('fail');
  expect((await verify(failed)).result).toBe('fail');
  expect(await dkimpyVerifyArc([changedBetween, failed], zone)).not.toContain('pass');
});
