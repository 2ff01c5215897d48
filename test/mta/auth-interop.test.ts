// What tsmilter/dkim signs is verified by OpenDKIM's and dkimpy's programs, and the other way round; tsmilter/srs and Debian's
// postsrsd restore each other's addresses.
import { type ChildProcess, spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DkimSigner, type DkimSignerOptions, DkimVerifier, formatKeyRecord } from 'tsmilter/dkim';
import { DnsSession } from 'tsmilter/dns';
import { Srs } from 'tsmilter/srs';
import { DnsServer } from '../../tools/dns-server';
import { freePorts } from '../../tools/free-ports';
import { installation } from '../../tools/mta/installation';
import { privateDirectory, removeDirectory } from '../../tools/private-directory';
import { until } from '../../tools/wait';
import { ODD_MESSAGES, splitForFilter } from '../support/odd-messages';
import { dkimpySign, dkimpyVerify, OpenDkim, opendkimTestmsg, type Signing } from './support/dkim-programs';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ed25519 = generateKeyPairSync('ed25519').privateKey;
const KEYS = { 'rsa-sha256': rsa, 'ed25519-sha256': ed25519 } as const;
const ALGORITHMS = ['rsa-sha256', 'ed25519-sha256'] as const;
const CANONICALIZATIONS = ['relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple'] as const;

/** Each algorithm has a zone of its own, because the programs sign with one selector. */
let zones: Record<(typeof ALGORITHMS)[number], DnsServer>;
let directory: string;
let opendkim: OpenDkim;

beforeAll(async () => {
  directory = privateDirectory('interop');
  opendkim = new OpenDkim(directory);
  const zoneOf = (key: typeof rsa) =>
    DnsServer.start({ 's._domainkey.example.com': { TXT: [formatKeyRecord(key).match(/.{1,255}/g) ?? []] } });
  zones = { 'rsa-sha256': await zoneOf(rsa), 'ed25519-sha256': await zoneOf(ed25519) };
});
afterAll(async () => {
  await Promise.all(Object.values(zones ?? {}).map((zone) => zone.close()));
  removeDirectory(directory);
});

async function sign(
  message: Buffer,
  key: typeof rsa,
  options: Partial<DkimSignerOptions> = {},
): Promise<Buffer> {
  const keys = [{ domain: 'example.com', selector: 's', key }];
  const signer = new DkimSigner({ keys, leadingSpace: true, ...options });
  const { headers, body } = splitForFilter(message);
  for (const [name, value] of headers) signer.header(name, value);
  signer.eoh();
  signer.body(body);
  const fields = (await signer.eom()).map(([name, value]) => `${name}:${value.replaceAll('\n', '\r\n')}\r\n`);
  return Buffer.concat([Buffer.from(fields.join(''), 'latin1'), message]);
}

async function verify(message: Buffer, dns: DnsServer): Promise<string[]> {
  const verifier = new DkimVerifier({
    resolver: new DnsSession({ servers: [dns.address] }),
    leadingSpace: true,
  });
  const { headers, body } = splitForFilter(message);
  for (const [name, value] of headers) verifier.header(name, value);
  verifier.eoh();
  verifier.body(body);
  return (await verifier.eom()).map(({ result, reason }) =>
    reason === undefined ? result : `${result}: ${reason}`,
  );
}

const keyFiles = new Map<string, string>();

/** A file with the key in the form that a program reads. */
function keyFile(algorithm: Signing['algorithm'], forDkimpy = false): string {
  const name = `${algorithm}${forDkimpy ? '.dkimpy' : ''}.key`;
  const known = keyFiles.get(name);
  if (known !== undefined) return known;
  const key = KEYS[algorithm];
  const seed = () => key.export({ format: 'der', type: 'pkcs8' }).subarray(-32).toString('base64');
  const pem = () => key.export({ format: 'pem', type: forDkimpy ? 'pkcs1' : 'pkcs8' });
  const file = path.join(directory, name);
  fs.writeFileSync(file, forDkimpy && algorithm === 'ed25519-sha256' ? seed() : pem(), { mode: 0o600 });
  keyFiles.set(name, file);
  return file;
}

function signing(algorithm: Signing['algorithm'], canonicalization: string, file: string): Signing {
  const [header, body] = canonicalization.split('/') as [Signing['header'], Signing['body']];
  return { algorithm, header, body, keyFile: file };
}

const messageOf = (title: string): Buffer => (ODD_MESSAGES[title] as { message: Buffer }).message;

describe.each(Object.keys(ODD_MESSAGES))('%s', (title) => {
  const message = messageOf(title);

  test.each(ALGORITHMS)(
    'signed here with %s, verified by OpenDKIM and dkimpy, in each canonicalization',
    async (algorithm) => {
      const dns = zones[algorithm];
      const signed = await Promise.all(
        CANONICALIZATIONS.map((canonicalization) => sign(message, KEYS[algorithm], { canonicalization })),
      );
      const ours = Promise.all(signed.map((one) => verify(one, dns)));
      const theirs = Promise.all(signed.map((one) => opendkim.verify(one, dns)));
      expect({
        ours: await ours,
        opendkim: await theirs,
        dkimpy: await dkimpyVerify(signed, dns),
      }).toStrictEqual({
        ours: [['pass'], ['pass'], ['pass'], ['pass']],
        opendkim: [['pass'], ['pass'], ['pass'], ['pass']],
        dkimpy: ['pass', 'pass', 'pass', 'pass'],
      });
    },
  );

  test.each(ALGORITHMS)(
    'signed by dkimpy with %s, verified here, in each canonicalization',
    async (algorithm) => {
      const signed = await Promise.all(
        CANONICALIZATIONS.map((how) =>
          dkimpySign(message, signing(algorithm, how, keyFile(algorithm, true))),
        ),
      );
      const results = await Promise.all(signed.map((one) => verify(one, zones[algorithm])));
      expect(results).toStrictEqual([['pass'], ['pass'], ['pass'], ['pass']]);
    },
  );

  test.each(ALGORITHMS)(
    'signed by OpenDKIM with %s, verified here, in each canonicalization',
    async (algorithm) => {
      const signed = await Promise.all(
        CANONICALIZATIONS.map((how) =>
          opendkim.sign(message, signing(algorithm, how, keyFile(algorithm)), ['OversignHeaders From']),
        ),
      );
      const results = await Promise.all(signed.map((one) => verify(one, zones[algorithm])));
      // OpenDKIM 2.11 cannot verify its own signatures of Ed25519 and a simple header either.
      const own = await Promise.all(signed.map((one) => opendkim.verify(one, zones[algorithm])));
      expect(results.map(([result]) => result === 'pass')).toStrictEqual(
        own.map(([result]) => result === 'pass'),
      );
      const good = CANONICALIZATIONS.map((how) => algorithm === 'rsa-sha256' || how.startsWith('relaxed'));
      expect(results.map(([result]) => result === 'pass')).toStrictEqual(good);
    },
  );
});

describe('options of the signer', () => {
  const message = messageOf('7-bit');
  const dns = () => zones['rsa-sha256'];
  const extended = (signed: Buffer) => Buffer.concat([signed, Buffer.from('more\r\n')]);

  test('l=: text may be added below', async () => {
    for (const canonicalization of CANONICALIZATIONS) {
      const signed = extended(await sign(message, rsa, { bodyLength: true, canonicalization }));
      expect(await verify(signed, dns())).toStrictEqual(['pass']);
      expect(await dkimpyVerify([signed], dns())).toStrictEqual(['pass']);
      expect(await opendkim.verify(signed, dns())).toStrictEqual(['pass']);
    }
  });

  test('without l= it may not', async () => {
    const signed = extended(await sign(message, rsa));
    expect(await verify(signed, dns())).toStrictEqual(['fail: the body is not what was signed']);
    expect(await dkimpyVerify([signed], dns())).toStrictEqual(['fail']);
    expect(await opendkim.verify(signed, dns())).not.toStrictEqual(['pass']);
  });

  test('oversigning: a field that is added breaks the signature', async () => {
    const signed = await sign(message, rsa, {
      oversign: ['from', 'subject', 'reply-to'],
      expiresIn: 3600,
      identity: '@mail.example.com',
    });
    expect([
      ...(await verify(signed, dns())),
      ...(await opendkim.verify(signed, dns())),
      ...(await dkimpyVerify([signed], dns())),
    ]).toStrictEqual(['pass', 'pass', 'pass']);
    const forged = Buffer.concat([Buffer.from('Reply-To: eve@example.net\r\n'), signed]);
    expect(await verify(forged, dns())).toStrictEqual([expect.stringMatching(/^fail/)]);
    expect(await dkimpyVerify([forged], dns())).toStrictEqual(['fail']);
    expect(await opendkim.verify(forged, dns())).not.toStrictEqual(['pass']);
  });

  test('both algorithms together', async () => {
    const keys = [
      { domain: 'example.com', selector: 'r', key: rsa },
      { domain: 'example.com', selector: 'e', key: ed25519 },
    ];
    await using both = await DnsServer.start(
      Object.fromEntries(
        keys.map(({ selector, key }) => [
          `${selector}._domainkey.example.com`,
          { TXT: [formatKeyRecord(key).match(/.{1,255}/g) ?? []] },
        ]),
      ),
    );
    const signed = await sign(message, rsa, { keys });
    expect(await verify(signed, both)).toStrictEqual(['pass', 'pass']);
    expect(await opendkim.verify(signed, both)).toStrictEqual(['pass', 'pass']);
    expect([
      ...(await dkimpyVerify([signed], both, 0)),
      ...(await dkimpyVerify([signed], both, 1)),
    ]).toStrictEqual(['pass', 'pass']);
  });

  test('opendkim-testmsg signs with SHA-1, which must not be trusted any more (RFC 8301)', async () => {
    const signed = await opendkimTestmsg(message, keyFile('rsa-sha256'));
    expect(await verify(signed, dns())).toStrictEqual([
      expect.stringMatching(/^permerror: a=rsa-sha1 must not be used/),
    ]);
  });

  test('keys in the forms of the others are read', () => {
    for (const algorithm of ALGORITHMS) {
      for (const forDkimpy of [false, true]) {
        const text = fs.readFileSync(keyFile(algorithm, forDkimpy), 'utf8');
        expect(formatKeyRecord(text)).toBe(formatKeyRecord(KEYS[algorithm]));
      }
    }
    expect(createPrivateKey(fs.readFileSync(keyFile('rsa-sha256', true))).equals(rsa)).toBe(true);
  });
});

describe('SRS and postsrsd', () => {
  const SECRET = 'a secret of both';
  const OLD = 'an older secret';
  let postsrsd: ChildProcess;
  let ports: number[];
  let errors = '';

  beforeAll(async () => {
    ports = await freePorts(2);
    const secrets = path.join(directory, 'postsrsd.secret');
    fs.writeFileSync(secrets, `${SECRET}\n${OLD}\n`);
    const program = path.join(installation().root, 'usr/sbin/postsrsd');
    const args = [
      `-s${secrets}`,
      '-dforwarder.example',
      '-4',
      '-l127.0.0.1',
      `-f${ports[0]}`,
      `-r${ports[1]}`,
    ];
    postsrsd = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: {} });
    postsrsd.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    await until('postsrsd listens', () => {
      if (postsrsd.exitCode !== null) throw new Error(`postsrsd ended with ${postsrsd.exitCode}: ${errors}`);
      return ask(1, 'x@forwarder.example').then(
        () => true,
        () => false,
      );
    });
  });
  afterAll(async () => {
    if (postsrsd?.exitCode === null) {
      postsrsd.kill('SIGKILL');
      await once(postsrsd, 'close');
    }
  });

  /** The answer of one of its two tables, with its code. */
  async function ask(table: 0 | 1, address: string): Promise<string> {
    const socket = net.connect({ host: '127.0.0.1', port: ports[table] as number });
    try {
      await once(socket, 'connect');
      socket.write(`get ${address}\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      return decodeURIComponent(answer.toString().trim());
    } finally {
      socket.destroy();
    }
  }

  const ours = new Srs({ secrets: [SECRET, OLD], domain: 'forwarder.example' });
  const ADDRESSES = [
    'ann@example.com',
    'Ann.Author@Example.COM',
    'a=b+c-d@example.com',
    'x@sub.domain.example.org',
    "o'neil&sons@example.com",
  ];

  test.each(ADDRESSES)(
    '%s: the same address is written, and each restores that of the other',
    async (address) => {
      const theirs = (await ask(0, address)).replace(/^200 /, '');
      expect(ours.forward(address)).toBe(theirs);
      expect(ours.reverse(theirs)).toStrictEqual({ result: 'ok', address });
      expect(await ask(1, ours.forward(address))).toBe(`200 ${address}`);
      // Letter case is lost on the way.
      expect(ours.reverse(theirs.toLowerCase())).toStrictEqual({
        result: 'ok',
        address: address.toLowerCase(),
      });
      expect(await ask(1, ours.forward(address).toLowerCase())).toBe(`200 ${address.toLowerCase()}`);
    },
  );

  test('an address that was forwarded already, once and twice', async () => {
    const first = new Srs({ secrets: ['theirs'], domain: 'first.example' }).forward('ann@example.com');
    const second = new Srs({ secrets: ['others'], domain: 'second.example' }).forward(first);
    for (const address of [first, second]) {
      const theirs = (await ask(0, address)).replace(/^200 /, '');
      expect(theirs).toMatch(/^SRS1=/);
      expect(ours.forward(address)).toBe(theirs);
      expect(await ask(1, ours.forward(address))).toBe(`200 ${first}`);
      expect(ours.reverse(theirs)).toStrictEqual({ result: 'ok', address: first });
    }
  });

  test('an older secret is accepted by both, a forged address by none', async () => {
    const old = new Srs({ secrets: [OLD], domain: 'forwarder.example' }).forward('ann@example.com');
    expect(await ask(1, old)).toBe('200 ann@example.com');
    expect(ours.reverse(old)).toStrictEqual({ result: 'ok', address: 'ann@example.com' });
    const forged = new Srs({ secrets: ['guess'], domain: 'forwarder.example' }).forward('ann@example.com');
    expect(await ask(1, forged)).toMatch(/^500 /);
    expect(ours.reverse(forged)).toStrictEqual({ result: 'forged' });
  });

  test('an address of its own domain is left alone by both', async () => {
    expect(await ask(0, 'me@forwarder.example')).toBe('200 me@forwarder.example');
    expect(ours.forward('me@forwarder.example')).toBe('me@forwarder.example');
  });
});
