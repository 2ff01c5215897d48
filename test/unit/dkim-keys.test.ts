/** Keys in files, DNS records of keys, and the command `tsmilter key`. */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { readPrivateFile } from 'tsmilter/config';
import {
  checkKey,
  DkimSigner,
  formatKeyRecord,
  formatZoneLine,
  generateKey,
  KeyFile,
  type MilterError,
  readKeyFile,
} from 'tsmilter/dkim';
import { runProgram } from '#lib/cli/program.js';
import { DnsServer } from '../../tools/dns-server.js';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { dnsError, ED25519_KEY, publicEd25519, publicRsa, RSA_KEY, zoneResolver } from '../support/dkim.js';
import { errorWith } from '../support/expect.js';
import { itUnless } from '../support/skip.js';

const isRoot = process.getuid?.() === 0;

let directory: string;
let files = 0;
beforeAll(() => {
  directory = privateDirectory('keys');
});
afterAll(() => removeDirectory(directory));

/** A new file, with this mode whatever the umask is. */
function fileWith(content: string | Buffer, mode = 0o600): string {
  const file = join(directory, `key${++files}`);
  fs.writeFileSync(file, content);
  fs.chmodSync(file, mode);
  return file;
}

/** Puts a file in the place of another, as a tool that renews keys does. */
function replace(file: string, content: string): void {
  fs.renameSync(fileWith(content), file);
}

const pem = (key = RSA_KEY, type: 'pkcs8' | 'pkcs1' = 'pkcs8') => String(key.export({ format: 'pem', type }));
const der = (key = RSA_KEY, type: 'pkcs8' | 'pkcs1' = 'pkcs8') => key.export({ format: 'der', type });
/** base64 in lines, as `openssl base64` writes it. */
const base64 = (bytes: Buffer) => `${(bytes.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n`;
const badKey = (message: RegExp) => errorWith({ code: 'ERR_MILTER_BAD_KEY', message });

describe('readKeyFile', () => {
  it.each([
    ['PEM, PKCS#8, RSA', () => pem()],
    ['PEM, PKCS#1, RSA', () => pem(RSA_KEY, 'pkcs1')],
    ['base64 in lines, PKCS#8, RSA', () => base64(der())],
    ['base64 in lines, PKCS#1, RSA', () => base64(der(RSA_KEY, 'pkcs1'))],
    ['text before the PEM', () => `friendlyName: x\n${pem()}`],
  ])('%s', async (_title, content) => {
    expect((await readKeyFile(fileWith(content()))).equals(RSA_KEY)).toBe(true);
  });

  it.each([
    ['PEM, PKCS#8, Ed25519', () => pem(ED25519_KEY)],
    ['base64, PKCS#8, Ed25519', () => base64(der(ED25519_KEY))],
    ['base64 of the seed alone, as dkimpy writes it', () => base64(der(ED25519_KEY).subarray(-32))],
  ])('%s', async (_title, content) => {
    expect((await readKeyFile(fileWith(content()))).equals(ED25519_KEY)).toBe(true);
  });

  it.each([
    ['an empty file', ''],
    ['something else', 'hello\n'],
    ['a public key', String(createPublicKey(RSA_KEY).export({ format: 'pem', type: 'spki' }))],
    ['half of a key', pem().slice(0, 500)],
    [
      'an elliptic curve that does not sign mail',
      String(
        generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
          format: 'pem',
          type: 'pkcs8',
        }),
      ),
    ],
    [
      'an encrypted key',
      String(RSA_KEY.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'secret' })),
    ],
    ['an RSA key of 512 bits', pem(createPrivateKey(shortKey()))],
  ])('%s is an error that names the file and quotes nothing', async (_title, content) => {
    const file = fileWith(content);
    const error = (await readKeyFile(file).catch((thrown: unknown) => thrown)) as MilterError;
    expect(error).toMatchObject({ code: 'ERR_MILTER_BAD_KEY' });
    expect(error.message.startsWith(`${file}: `)).toBe(true);
    expect(error.message).not.toContain(content.slice(0, 40) || 'no content');
  });

  it.each(['640', '604', '660', '602', '644', '777'])('mode %s is refused', async (octal) => {
    const mode = Number.parseInt(octal, 8);
    await expect(readKeyFile(fileWith(pem(), mode))).rejects.toThrow(
      badKey(new RegExp(`its mode is 0${mode.toString(8)}.*chmod 0[4-6]00`)),
    );
  });

  it('maxMode 0640 lets the group read, and nobody else', async () => {
    await readKeyFile(fileWith(pem(), 0o640), { maxMode: 0o640 });
    await readKeyFile(fileWith(pem(), 0o400), { maxMode: 0o640 });
    await expect(readKeyFile(fileWith(pem(), 0o644), { maxMode: 0o640 })).rejects.toThrow(
      badKey(/chmod 0640/),
    );
    await expect(readKeyFile(fileWith(pem(), 0o660), { maxMode: 0o640 })).rejects.toThrow(
      badKey(/chmod 0640/),
    );
  });

  it.each([0o620, 0o602, 0o1600, -1, 1.5])('maxMode %p is not a mode for a secret', async (maxMode) => {
    await expect(readKeyFile(fileWith(pem()), { maxMode })).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /maxMode/ }),
    );
  });

  itUnless(
    !isRoot && 'only root can give files away',
    "another user's file is refused, also behind a link",
    async () => {
      const file = fileWith(pem());
      fs.chownSync(file, 65534, 65534);
      const link = `${file}.link`;
      fs.symlinkSync(file, link);
      await expect(readKeyFile(file)).rejects.toThrow(badKey(/belongs to user 65534/));
      await expect(readKeyFile(link)).rejects.toThrow(badKey(/belongs to user 65534/));
    },
  );

  it('a link counts as what it leads to', async () => {
    const link = join(directory, 'link');
    fs.symlinkSync(fileWith(pem()), link);
    expect((await readKeyFile(link)).equals(RSA_KEY)).toBe(true);
    fs.rmSync(link);
    fs.symlinkSync(fileWith(pem(), 0o644), link);
    await expect(readKeyFile(link)).rejects.toThrow(badKey(/its mode is 0644/));
  });

  it('no file, a directory, a named pipe, a device, a large file', async () => {
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', ['-m', '600', pipe]);
    await expect(readKeyFile(join(directory, 'none'))).rejects.toThrow(
      badKey(/none: cannot be read: ENOENT/),
    );
    await expect(readKeyFile(directory)).rejects.toThrow(badKey(/not a regular file/));
    await expect(readKeyFile(pipe)).rejects.toThrow(badKey(/not a regular file/));
    await expect(readKeyFile('/dev/zero')).rejects.toThrow(badKey(/not a regular file/));
    await expect(readKeyFile(fileWith('x'.repeat(65_537)))).rejects.toThrow(
      badKey(/larger than 65536 bytes/),
    );
  });

  it('readPrivateFile reads secrets of any kind, up to maxBytes', async () => {
    const file = fileWith('abc');
    expect(String(await readPrivateFile(file, { maxBytes: 3 }))).toBe('abc');
    await expect(readPrivateFile(file, { maxBytes: 2 })).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_CONFIG', message: /larger than 2 bytes/ }),
    );
  });
});

describe('KeyFile', () => {
  /** What has been reported, and a promise of the next report. */
  class Reports {
    readonly #events = new EventTarget();
    readonly list: string[] = [];
    readonly #add = (text: string): void => {
      this.list.push(text);
      this.#events.dispatchEvent(new Event('report'));
    };
    readonly options = {
      pollInterval: 20,
      onReload: () => this.#add('reload'),
      onError: (error: MilterError) => this.#add(`${error.code} ${error.message}`),
    };
    async next(): Promise<string> {
      if (this.list.length === 0) await once(this.#events, 'report');
      return this.list.shift() as string;
    }
  }

  it('a new key is read, a bad one is reported once and the old one kept, until a good one comes', async () => {
    const reports = new Reports();
    const file = fileWith(pem());
    using keyFile = await KeyFile.open(file, reports.options);
    expect(keyFile.key.equals(RSA_KEY)).toBe(true);

    replace(file, pem(ED25519_KEY));
    expect(await reports.next()).toBe('reload');
    expect(keyFile.key.equals(ED25519_KEY)).toBe(true);

    replace(file, 'no key');
    expect(await reports.next()).toMatch(/^ERR_MILTER_BAD_KEY .*key\d+: the private key cannot be used/);
    expect(keyFile.key.equals(ED25519_KEY)).toBe(true);

    fs.rmSync(file);
    expect(await reports.next()).toMatch(/^ERR_MILTER_BAD_KEY .*ENOENT/);
    expect(keyFile.key.equals(ED25519_KEY)).toBe(true);

    fs.writeFileSync(file, pem(), { mode: 0o644 });
    fs.chmodSync(file, 0o644);
    expect(await reports.next()).toMatch(/^ERR_MILTER_BAD_KEY .*its mode is 0644/);

    fs.chmodSync(file, 0o600);
    let last: string;
    do last = await reports.next();
    while (last !== 'reload');
    expect(keyFile.key.equals(RSA_KEY)).toBe(true);
  });

  it('a link that is turned to another file', async () => {
    const reports = new Reports();
    const link = join(directory, 'current');
    fs.symlinkSync(fileWith(pem()), link);
    using keyFile = await KeyFile.open(link, reports.options);
    fs.symlinkSync(fileWith(pem(ED25519_KEY)), `${link}.new`);
    fs.renameSync(`${link}.new`, link);
    expect(await reports.next()).toBe('reload');
    expect(keyFile.key.equals(ED25519_KEY)).toBe(true);
  });

  it('without polling, reload() reads it, and rejects where that fails', async () => {
    const file = fileWith(pem());
    using keyFile = await KeyFile.open(file, { pollInterval: 0 });
    replace(file, pem(ED25519_KEY));
    await keyFile.reload();
    expect(keyFile.key.equals(ED25519_KEY)).toBe(true);
    replace(file, 'no key');
    await expect(keyFile.reload()).rejects.toThrow(badKey(/cannot be used/));
    expect(keyFile.key.equals(ED25519_KEY)).toBe(true);
    replace(file, pem());
    await keyFile.reload();
    expect(keyFile.key.equals(RSA_KEY)).toBe(true);
  });

  it('a bad file at the start, a bad option', async () => {
    await expect(KeyFile.open(join(directory, 'none'))).rejects.toThrow(badKey(/ENOENT/));
    await expect(KeyFile.open('', {})).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /file/ }),
    );
    await expect(KeyFile.open('x', { pollInterval: -1 })).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /pollInterval/ }),
    );
    await expect(KeyFile.open('x', { poll: 1 } as object)).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /has no option poll/ }),
    );
  });

  it('signs', async () => {
    using keyFile = await KeyFile.open(fileWith(pem()));
    const signer = new DkimSigner({ keys: [{ domain: 'example.com', selector: 'r', key: keyFile.key }] });
    signer.header('From', 'ann@example.com');
    expect(await signer.eom()).toHaveLength(1);
  });
});

describe('a pair and its record', () => {
  it('RSA of 2,048 bits unless something else is asked for', async () => {
    const key = createPrivateKey(await generateKey());
    expect(key.asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(createPrivateKey(await generateKey({ bits: 1024 })).asymmetricKeyDetails?.modulusLength).toBe(
      1024,
    );
    expect(createPrivateKey(await generateKey({ type: 'ed25519' })).asymmetricKeyType).toBe('ed25519');
  });

  it.each([[{ bits: 1023 }], [{ bits: 4097 }], [{ type: 'dsa' }], [{ size: 1 }]])(
    'not %j',
    async (options) => {
      await expect(generateKey(options as never)).rejects.toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /generateKey/ }),
      );
    },
  );

  it('the record', () => {
    expect(formatKeyRecord(RSA_KEY)).toBe(`v=DKIM1; k=rsa; p=${publicRsa()}`);
    expect(formatKeyRecord(ED25519_KEY)).toBe(`v=DKIM1; k=ed25519; p=${publicEd25519()}`);
    expect(formatKeyRecord(ED25519_KEY, { testing: true, strict: true })).toMatch(/; t=y:s; p=/);
    expect(formatKeyRecord(ED25519_KEY, { strict: true })).toMatch(/; t=s; p=/);
  });

  it('a zone file line: strings of at most 255 octets, which together are the text', () => {
    for (const length of [0, 1, 254, 255, 256, 510, 511, 700]) {
      const text = Array.from({ length }, (_, at) => String.fromCharCode(97 + (at % 26))).join('');
      const line = formatZoneLine('s._domainkey.example.com', text);
      const strings = [...line.matchAll(/"([^"]*)"/g)].map(([, found]) => found as string);
      expect(strings.join('')).toBe(text);
      for (const string of strings) expect(string.length).toBeLessThanOrEqual(255);
      expect(line.startsWith('s._domainkey.example.com. IN TXT ')).toBe(true);
      expect(line.includes('(')).toBe(length > 255);
    }
  });
});

describe('checkKey', () => {
  const zone = {
    'r._domainkey.example.com': [['v=DKIM1; p=', publicRsa()]],
    'e._domainkey.example.com': [[`v=DKIM1; k=ed25519; t=y; p=${publicEd25519()}`]],
    'two._domainkey.example.com': [[`k=ed25519; p=${publicEd25519()}`], [`p=${publicRsa()}`]],
    'revoked._domainkey.example.com': [['v=DKIM1; p=']],
    'down._domainkey.example.com': dnsError('ESERVFAIL'),
  };
  const check = (selector: string, key?: typeof RSA_KEY) =>
    checkKey({ domain: 'Example.com', selector, resolver: zoneResolver(zone), ...(key && { key }) });

  it('the record of the key', async () => {
    expect(await check('r', RSA_KEY)).toStrictEqual({
      result: 'ok',
      name: 'r._domainkey.example.com',
      type: 'rsa',
      bits: 2048,
      warnings: [],
    });
    expect(await check('e', ED25519_KEY)).toMatchObject({
      result: 'ok',
      warnings: [expect.stringMatching(/t=y/)],
    });
    expect(await check('r')).toMatchObject({ result: 'ok', type: 'rsa' });
    expect(await check('two', RSA_KEY)).toMatchObject({
      result: 'ok',
      warnings: [expect.stringMatching(/several/)],
    });
  });

  it('another key, none, a revoked one, no answer', async () => {
    expect(await check('r', ED25519_KEY)).toMatchObject({ result: 'different', type: 'rsa' });
    expect(await check('none', RSA_KEY)).toMatchObject({
      result: 'missing',
      reason: 'DNS has no key record',
    });
    expect(await check('revoked')).toMatchObject({
      result: 'missing',
      reason: expect.stringMatching(/revoked/),
    });
    expect(await check('down')).toMatchObject({ result: 'temperror' });
  });

  it('a name that is none', async () => {
    await expect(check('a b')).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /"a b" is not a selector/ }),
    );
  });
});

describe('tsmilter key', () => {
  let printed: string[];
  let errors: string[];
  beforeEach(() => {
    printed = [];
    errors = [];
  });
  const run = (...args: string[]) =>
    runProgram(args, {
      print: (...parts) => void printed.push(parts.join('')),
      printText: (text) => void printed.push(text),
      error: (...parts) => void errors.push(parts.join('')),
      errorText: (text) => void errors.push(text),
      progress: () => {},
    });
  const names = ['--domain', 'example.com', '--selector', 's1'];

  it.each(['rsa', 'ed25519'])('generate, record and check, %s', async (type) => {
    const out = join(directory, `made.${type}`);
    expect(await run('key', 'generate', ...names, '--type', type, '--out', out)).toBe(0);
    const [line = ''] = printed;
    expect(line).toMatch(/^s1\._domainkey\.example\.com\. IN TXT /);
    expect(fs.statSync(out).mode & 0o777).toBe(0o600);

    expect(await run('key', 'record', ...names, '--key', out)).toBe(0);
    expect(printed[1]).toBe(line);

    const strings = [...line.matchAll(/"([^"]*)"/g)].map(([, text]) => text as string);
    await using dns = await DnsServer.start({ 's1._domainkey.example.com': { TXT: [strings] } });
    const at = ['--nameserver', dns.address];
    expect(await run('key', 'check', ...names, '--key', out, ...at)).toBe(0);
    expect(printed[2]).toMatch(/^s1\._domainkey\.example\.com: ok \((rsa, 2048|ed25519, 256) bits\)$/);

    const other = fileWith(await generateKey({ type: 'ed25519' }));
    expect(await run('key', 'check', ...names, '--key', other, ...at)).toBe(1);
    expect(printed[3]).toMatch(/different/);
    dns.zone['s1._domainkey.example.com'] = { fault: 'SERVFAIL' };
    expect(await run('key', 'check', ...names, ...at)).toBe(75);

    // A key that is in use is not overwritten.
    const before = fs.readFileSync(out, 'utf8');
    expect(await run('key', 'generate', ...names, '--out', out)).toBe(1);
    expect(errors.at(-1)).toMatch(/: it exists already$/);
    expect(fs.readFileSync(out, 'utf8')).toBe(before);
  });

  it.each([
    [['key'], /^Usage: tsmilter key/],
    [['key', 'generate', 'now'], /required option '--domain <domain>'/],
    [['key', 'generate', '--domain', 'example.com'], /required option '--selector <selector>'/],
    [['key', 'generate', ...names, 'now'], /too many arguments/],
    [['key', 'generate', ...names, '--key', 'x'], /unknown option '--key'/],
    [['key', 'generate', ...names, '--bits', 'many'], /'--bits <n>' argument 'many' is invalid/],
    [['key', 'generate', ...names, '--type', 'dsa'], /Write one of rsa, ed25519/],
    [['key', 'check', ...names, '--wrong'], /--wrong/],
    [['key', 'record', ...names], /required option '--key <file>'/],
    [['kye'], /unknown command 'kye' \(Did you mean key\?\)/],
    [[], /^Usage: tsmilter/],
  ])('%j is an error of usage', async (args, message) => {
    expect(await run(...args)).toBe(2);
    expect(errors.join('\n')).toMatch(message);
    expect(printed).toStrictEqual([]);
  });

  it.each([
    [['generate', '--domain', 'exam ple', '--selector', 's'], /"exam ple" is not a domain name/],
    [['check', ...names, '--nameserver', 'dns.example'], /not an IP address/],
    [['record', ...names, '--key', '/nowhere/key'], /ENOENT/],
  ])('key %j: one line, exit code 1', async (args, message) => {
    expect(await run('key', ...args)).toBe(1);
    expect(errors.join('\n')).toMatch(message);
    expect(errors.join('\n')).not.toContain('\n');
  });
});

/** An RSA key of 512 bits, made by `openssl genrsa`: Node's own refuses to make one in some builds. */
function shortKey(): string {
  return execFileSync('openssl', ['genrsa', '512'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}
