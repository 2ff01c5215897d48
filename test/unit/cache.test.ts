/** `tsmilter/cache`. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AddrCache, type AddrCacheOptions } from '#lib/cache/index.js';
import { until } from '../../tools/wait';
import { asUser } from '../support/as-user';
import { errorWith, expectThat } from '../support/expect';
import { nodeProcess } from '../support/node-process';
import { itUnless } from '../support/skip';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 24, 9, 30, 0);
const now = () => NOW;

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsmilter-cache-'));
  file = join(folder, 'cache.log');
});
afterEach(() => rmSync(folder, { recursive: true }));

const lines = () => readFileSync(file, 'latin1').split('\n').slice(0, -1);
/** A date of so many days ago, as it is in the file. */
function ago(days: number): string {
  const [, , day, month, year, time] = /^(\w+), (\d\d) (\w+) (\d+) (\S+)/.exec(
    new Date(NOW - days * DAY_MS).toUTCString(),
  ) as unknown as string[];
  return `${year}${month}${day} ${time} UTC`;
}
async function loaded(content: string | Buffer, options: AddrCacheOptions = {}): Promise<AddrCache> {
  writeFileSync(file, content);
  const cache = new AddrCache({ now, ...options });
  await cache.load(file);
  return cache;
}

/** @contract 35 */
describe('AddrCache in memory', () => {
  it('is case-insensitive', () => {
    const cache = new AddrCache({ now });
    cache.set('New@A.com', '550 no such user');
    expect(cache.get('nEW@a.COM')).toBe('550 no such user');
    expect(cache.has('new@a.com')).toBe(true);
    expect(cache.hasPrecise('NEW@A.COM')).toBe(true);
    expect(cache.size).toBe(1);
  });

  it('distinguishes an entry without a result from no entry', () => {
    const cache = new AddrCache({ now });
    cache.set('a@b');
    expect(cache.get('a@b')).toBeNull();
    expect(cache.has('a@b')).toBe(true);
    expect(cache.get('c@d')).toBeUndefined();
    expect(cache.has('c@d')).toBe(false);
    expect(cache.has('')).toBe(false);
  });

  it('domain entries apply to addresses without an entry of their own, not to subdomains', () => {
    const cache = new AddrCache({ now });
    cache.set('Bar.com', 'domain');
    cache.set('own@bar.com', 'own');
    expect(cache.get('any@bar.com')).toBe('domain');
    expect(cache.get('own@bar.com')).toBe('own');
    expect(cache.hasPrecise('any@bar.com')).toBe(false);
    expect(cache.has('bar.com')).toBe(true);
    expect(cache.has('any@sub.bar.com')).toBe(false);
    expect(cache.has('any@foo.com')).toBe(false);
  });

  it("expires an entry after renew days and then falls back to the domain's entry", () => {
    let time = NOW;
    const cache = new AddrCache({ renew: 2, now: () => time });
    cache.set('a@bar.com', 'address');
    time += DAY_MS;
    cache.set('bar.com', 'domain');
    time += DAY_MS - 1;
    expect(cache.get('a@bar.com')).toBe('address');
    time += 1;
    expect(cache.get('a@bar.com')).toBe('domain');
    expect(cache.size).toBe(1);
    time += DAY_MS;
    expect(cache.get('a@bar.com')).toBeUndefined();
    expect(cache.size).toBe(0);
  });

  it('stores nothing if renew is 0', () => {
    const cache = new AddrCache({ renew: 0, now });
    cache.set('a@b');
    expect(cache.has('a@b')).toBe(false);
  });

  it('never expires permanent entries, and setting one changes only its result', () => {
    let time = NOW;
    const cache = new AddrCache({ now: () => time });
    cache.set('a@b', 'dated');
    cache.addPermanent('A@b', 'permanent');
    cache.addPermanent('c@d');
    time += 1e6 * DAY_MS;
    expect(cache.get('a@b')).toBe('permanent');
    expect(cache.get('c@d')).toBeNull();
    cache.set('a@b', 'new');
    time += 1e6 * DAY_MS;
    expect(cache.get('a@b')).toBe('new');
    expect(cache.size).toBe(2);
  });

  it('keeps only the newest maxEntries entries', () => {
    const cache = new AddrCache({ maxEntries: 2, now });
    for (const address of ['a@x', 'b@x', 'a@x', 'c@x']) cache.set(address);
    expect(['a@x', 'b@x', 'c@x'].map((address) => cache.has(address))).toStrictEqual([true, false, true]);
    expect(cache.size).toBe(2);
  });

  it('does not store addresses longer than maxAddressLength', () => {
    const cache = new AddrCache({ maxAddressLength: 5, now });
    cache.set('a@bcd');
    cache.set('a@bcde');
    cache.addPermanent('b@bcde');
    expect(['a@bcd', 'a@bcde', 'b@bcde'].map((address) => cache.has(address))).toStrictEqual([
      true,
      false,
      false,
    ]);
    const standard = new AddrCache();
    standard.set(`${'x'.repeat(319)}@`);
    standard.set(`${'x'.repeat(320)}@`);
    expect(standard.size).toBe(1);
  });

  it('rejects invalid options', async () => {
    for (const options of [
      { renew: -1 },
      { renew: Number.NaN },
      { renew: '7' },
      { maxEntries: 0 },
      { maxAddressLength: 0 },
      { maxFileSize: 0.5 },
    ]) {
      expect(() => new AddrCache(options as AddrCacheOptions)).toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
      );
    }
    await expect(new AddrCache().load()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
    await expect(new AddrCache({ file }).load(undefined, -1)).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
    );
  });
});

/** @contract 35 */
describe('AddrCache with a file', () => {
  it('appends entries without a result and reads them back', async () => {
    const cache = new AddrCache({ file, now });
    await cache.load();
    cache.set('New@A.com');
    cache.set('bad@a.com', '550 no');
    cache.addPermanent('perm@a.com');
    cache.addPermanent('perm2@a.com', '550 no');
    expect(lines()).toStrictEqual([
      ' new@a.com 2026Nov24 09:30:00 UTC',
      ' perm@a.com 9999Dec31 23:59:59 UTC',
    ]);
    const again = new AddrCache({ file, now: () => NOW + 6 * DAY_MS });
    await again.load();
    expect(again.has('new@a.com')).toBe(true);
    expect(again.has('bad@a.com')).toBe(false);
    const later = new AddrCache({ now: () => NOW + 600 * DAY_MS });
    await later.load(file);
    expect([later.has('new@a.com'), later.has('perm@a.com')]).toStrictEqual([false, true]);
    expect(lines()).toStrictEqual(['perm@a.com']);
  });

  it("reads pymilter's file; keeps entries without a date, drops garbage and expired entries", async () => {
    const good = [
      'Perm@x.com',
      `Fresh@x.com ${ago(1)}`,
      `bar.com ${ago(2)}`,
      'baz.com',
      `future@x ${ago(-5)}`,
    ];
    const garbage = [
      `old@x.com ${ago(7)}`,
      'some words here',
      'g1@x word',
      'g2@x 2026Nov10',
      'g3@x 2026Nov10 10:00:00 EST',
      'g4@x 2026Nov31 10:00:00 UTC',
      'g5@x 2026Foo10 10:00:00 UTC',
      'g6@x 2026Nov10 25:00:00 UTC',
      'g7@x 2026Nov10 10:00 UTC',
      'g8@x 2026Nov23 10:00:00 UTC more',
      `${ago(1)}`,
      '# comment',
      '#comment',
      '',
      '   ',
      'nul\0@x',
      `${'x'.repeat(320)}@`,
    ];
    const cache = await loaded([...good, ...garbage].map((line) => `${line}\n`).join(''));
    for (const address of ['perm@x.com', 'fresh@x.com', 'q@bar.com', 'q@baz.com', 'future@x']) {
      expectThat(cache.has(address), address).toBe(true);
    }
    expect(cache.size).toBe(good.length);
    expect(lines().sort()).toStrictEqual(
      good.map((line) => line.replace(/^\S+/, (word) => word.toLowerCase())).sort(),
    );
  });

  it('does not rewrite a file without garbage', async () => {
    const before = `perm@x.com\nfresh@x.com ${ago(1)}\n`;
    await loaded(before);
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(readdirSync(folder)).toStrictEqual(['cache.log']);
  });

  it('prefers the newest of several lines for an address, or the undated one', async () => {
    const cache = await loaded(
      `a@x ${ago(1)}\na@x ${ago(6)}\nb@x\nb@x ${ago(1)}\nc@x ${ago(1)}\nc@x\nd@x ${ago(6)}\nd@x ${ago(1)}\n`,
    );
    expect(cache.size).toBe(4);
    expect(lines().sort()).toStrictEqual([`a@x ${ago(1)}`, 'b@x', 'c@x', `d@x ${ago(1)}`]);
  });

  it('keeps entries younger than `keep` days in the file, even after `renew`', async () => {
    writeFileSync(file, `a@x ${ago(20)}\nb@x ${ago(40)}\n`);
    const cache = new AddrCache({ now });
    await cache.load(file, 30);
    expect(cache.has('a@x')).toBe(false);
    expect(lines()).toStrictEqual([`a@x ${ago(20)}`]);
    const longer = new AddrCache({ renew: 30, now });
    await longer.load(file);
    expect(longer.has('a@x')).toBe(true);
  });

  it('a second load adds new entries, and keeps results', async () => {
    const cache = await loaded(`a@x ${ago(2)}\nc@x ${ago(2)}\n`);
    cache.set('b@x', 'result');
    cache.set('c@x');
    cache.addPermanent('p@x', 'permanent');
    appendFileSync(file, `d@x ${ago(1)}\nb@x ${ago(1)}\np@x ${ago(1)}\np@x\na@x\n`);
    await cache.load();
    expect(cache.get('d@x')).toBeNull();
    expect(cache.get('b@x')).toBe('result');
    expect(cache.get('p@x')).toBe('permanent');
    expect(cache.size).toBe(5);
  });

  it('keeps the newest maxEntries entries of a file, and all undated ones', async () => {
    const cache = await loaded(`p@x\nq@x\na@x ${ago(3)}\nb@x ${ago(1)}\nc@x ${ago(2)}\n`, { maxEntries: 2 });
    expect(['p@x', 'q@x', 'a@x', 'b@x', 'c@x'].map((address) => cache.has(address))).toStrictEqual([
      true,
      true,
      false,
      true,
      true,
    ]);
    expect(lines()).toHaveLength(4);
  });

  it('does not read a file larger than maxFileSize, or anything but a file', async () => {
    writeFileSync(file, 'a@x\n');
    await new AddrCache({ maxFileSize: 4 }).load(file);
    await expect(new AddrCache({ maxFileSize: 3 }).load(file)).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_STORE' }),
    );
    await expect(new AddrCache().load(folder)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_STORE' }));
    await expect(new AddrCache().load(join(file, 'x'))).rejects.toThrow(errorWith({ code: 'ENOTDIR' }));
  });

  it('ignores a line of any length, and reads those after it', async () => {
    for (const length of [65_535, 65_536, 131_072, 200_001]) {
      const cache = await loaded(`a@x\n${'x'.repeat(length)}@y\nb@x\n`);
      expectThat([cache.size, cache.has('a@x'), cache.has('b@x')], `${length}`).toStrictEqual([
        2,
        true,
        true,
      ]);
    }
  });

  it('reads lines across the borders of what is read at once', async () => {
    const addresses = Array.from({ length: 9000 }, (_, at) => `${'x'.repeat(at % 60)}${at}@example.com`);
    const cache = await loaded(addresses.map((address) => `${address} ${ago(1)}\n`).join(''));
    for (const address of addresses) expectThat(cache.hasPrecise(address), address).toBe(true);
    expect(cache.size).toBe(9000);
  });

  it('does not let an address inject lines into the file', () => {
    const cache = new AddrCache({ file, now });
    const hostile = ['a@x\nroot@y', '"a b"@x', 'a@x\tb', 'a@x\0', '#a@x', 'a\u0085b@x', ''];
    for (const address of hostile) cache.set(address);
    cache.addPermanent('p@x\nroot@z');
    expect(existsSync(file)).toBe(false);
    for (const address of hostile) expect(cache.has(address)).toBe(true);
  });

  it('preserves bytes that are not valid UTF-8', async () => {
    new AddrCache({ file, now }).set('j\udcf6rg@x');
    expect(lines()).toStrictEqual([' j\u00f6rg@x 2026Nov24 09:30:00 UTC']);
    const cache = new AddrCache({ file, now });
    await cache.load();
    expect(cache.has('j\udcf6rg@x')).toBe(true);
  });
});

/** @contract 35 */
describe('appends survive a crash', () => {
  it('a truncated line is never taken for another address', async () => {
    new AddrCache({ file, now }).set('joe@example.com');
    new AddrCache({ file, now }).addPermanent('ann@example.com');
    const whole = readFileSync(file);
    const first = whole.indexOf('\n') + 1;
    for (let end = 1; end < whole.length; end++) {
      const cache = await loaded(whole.subarray(0, end));
      const complete = Number(end >= first - 1) + Number(end >= whole.length - 1);
      expectThat(cache.size, `${end} bytes`).toBe(complete);
      if (complete > 0) expect(cache.has('joe@example.com')).toBe(true);
    }
  });

  it('an entry after a truncated line is a line of its own', async () => {
    writeFileSync(file, `a@x ${ago(1)}\n joe@exam`);
    new AddrCache({ file, now }).set('b@x');
    const cache = new AddrCache({ file, now });
    await cache.load();
    expect([cache.size, cache.has('a@x'), cache.has('b@x')]).toStrictEqual([2, true, true]);
    expect(lines()).toStrictEqual([`a@x ${ago(1)}`, `b@x ${ago(0)}`]);
  });

  it('a hand-written last line without a line break is kept', async () => {
    const cache = await loaded('a@x\nhand@x');
    cache.set('b@x');
    expect(cache.has('hand@x')).toBe(true);
    expect(lines()).toStrictEqual(['a@x', 'hand@x', ` b@x ${ago(0)}`]);
  });

  it('an incomplete file left by a crashed rewrite is ignored', async () => {
    writeFileSync(`${file}.new`, 'half@');
    const cache = await loaded(`a@x ${ago(1)}\ngarbage here\n`);
    expect(cache.size).toBe(1);
    expect(readdirSync(folder)).toStrictEqual(['cache.log']);
  });

  it('an entry that cannot be written is kept in memory, and the error is reported', () => {
    const cache = new AddrCache({ file: join(folder, 'none', 'cache.log'), now });
    expect(() => cache.set('a@x')).toThrow(errorWith({ code: 'ENOENT' }));
    expect(cache.has('a@x')).toBe(true);
  });

  it('an entry that was written in part is reported, and ignored', async () => {
    const program = `
      const { AddrCache } = require(${JSON.stringify(require.resolve('#lib/cache/index.js'))});
      try {
        new AddrCache({ file: process.argv[1] }).set('joe@example.com');
      } catch (error) {
        console.log(error.code);
      }`;
    // The shell's limit is in blocks of 512 or 1024 bytes, as the shell pleases: the file ends 9 bytes below either.
    for (const blockSize of [512, 1024]) {
      const size = 4096 * blockSize;
      writeFileSync(file, `perm@example.com\n${'x'.repeat(size - 17 - 1 - 9)}\n`);
      const command = 'ulimit -f 4096; exec "$0" -e "$1" "$2"';
      const { stdout } = spawnSync('sh', ['-c', command, process.execPath, program, file], {
        encoding: 'utf8',
      });
      if (statSync(file).size !== size) continue;
      expect(stdout).toBe('ERR_MILTER_STORE\n');
      const cache = new AddrCache();
      await cache.load(file);
      expect([cache.size, cache.has('perm@example.com')]).toStrictEqual([1, true]);
      return;
    }
    throw new Error('no limit took hold');
  });

  itUnless(!existsSync('/dev/full') && 'no /dev/full here', 'a full disk is reported', () => {
    const cache = new AddrCache({ file: '/dev/full', now });
    expect(() => cache.set('a@x')).toThrow(errorWith({ code: 'ENOSPC' }));
  });
});

describe('rewriting the file', () => {
  it("keeps the file's mode and symbolic links", async () => {
    const link = join(folder, 'link.log');
    writeFileSync(file, `a@x ${ago(1)}\ngarbage here\n`);
    chmodSync(file, 0o604);
    symlinkSync(file, link);
    await new AddrCache({ now }).load(link);
    expect(readlinkSync(link)).toBe(file);
    expect(lines()).toStrictEqual([`a@x ${ago(1)}`]);
    expect(statSync(file).mode & 0o777).toBe(0o604);
  });

  it('leaves rewriting to the process that holds the lock, until the lock is ten minutes old', async () => {
    const before = `a@x ${ago(1)}\ngarbage here\n`;
    writeFileSync(`${file}.lock`, 'another');
    const cache = await loaded(before);
    expect(cache.has('a@x')).toBe(true);
    expect(await cache.compact()).toBe(false);
    expect(readFileSync(file, 'utf8')).toBe(before);
    utimesSync(`${file}.lock`, new Date(), new Date(Date.now() - 601_000));
    expect(await cache.compact()).toBe(true);
    expect(lines()).toStrictEqual([`a@x ${ago(1)}`]);
    expect(readdirSync(folder)).toStrictEqual(['cache.log']);
  });

  itUnless(
    process.getuid?.() !== 0 && 'only root can make a file of another user',
    "by a user who may not give files away, the file becomes that user's",
    () => {
      const nobody = 65_534;
      writeFileSync(file, `a@x\ngarbage here\n`);
      chmodSync(file, 0o666);
      chmodSync(folder, 0o777);
      const program = `new (require(${JSON.stringify(require.resolve('#lib/cache/index.js'))}).AddrCache)().load(${JSON.stringify(file)})`;
      const { execPath, execArgv } = asUser(nobody);
      // That user may not write where the coverage of this run goes, and Node would say so.
      const env = { ...process.env, NODE_V8_COVERAGE: undefined };
      const { status, stderr } = spawnSync(execPath, [...execArgv, '-e', program], { encoding: 'utf8', env });
      expect([status, stderr]).toStrictEqual([0, '']);
      expect(lines()).toStrictEqual(['a@x']);
      expect(statSync(file).uid).toBe(nobody);
      expect(statSync(file).mode & 0o777).toBe(0o666);
    },
  );

  it('does nothing without a file', async () => {
    expect(await new AddrCache().compact()).toBe(false);
    expect(await new AddrCache({ file }).compact()).toBe(false);
  });

  it('needs a writable directory', async () => {
    const cache = await loaded('a@x\n');
    rmSync(file);
    symlinkSync('/proc/version', file);
    await expect(cache.compact()).rejects.toThrow(errorWith({ code: /^E(NOENT|ACCES|PERM|ROFS)$/ }));
    rmSync(file);
  });

  it('rewrites the file now and then, so that it does not grow with every repetition', async () => {
    let time = NOW;
    const cache = new AddrCache({ file, now: () => time });
    for (let at = 0; at < 2500; at++) {
      time += 1000;
      cache.set(`sender${at % 5}@example.com`);
    }
    await until('the file is rewritten', () => lines().length < 1100);
    const again = new AddrCache({ file, now: () => time });
    await again.load();
    expect(again.size).toBe(5);
  });

  it('loses no entry if a rewrite fails, and only warns', async () => {
    const cache = new AddrCache({ file, maxFileSize: 1, now });
    const warned = once(nodeProcess, 'warning');
    for (let at = 0; at < 1000; at++) cache.set('a@x');
    const [warning] = await warned;
    expect(warning.message).toMatch(/cache file could not be rewritten/);
    expect(lines()).toHaveLength(1000);
  });

  it('loses no entry while several processes append and rewrite at once', async () => {
    const program = `
      const { AddrCache } = require(${JSON.stringify(require.resolve('#lib/cache/index.js'))});
      const cache = new AddrCache({ file: process.argv[1] });
      (async () => {
      for (let at = 0; at < 300; at++) {
        cache.set(process.argv[2] + '-' + at + '@example.com');
        if (at % 10 === 0) await cache.compact();
      }
      })();`;
    const writers = ['one', 'two', 'three'].map((name) =>
      spawn(process.execPath, ['-e', program, file, name], { stdio: ['ignore', 'inherit', 'inherit'] }),
    );
    const codes = await Promise.all(writers.map(async (writer) => (await once(writer, 'exit'))[0]));
    expect(codes).toStrictEqual([0, 0, 0]);
    const cache = new AddrCache();
    await cache.load(file);
    expect(cache.size).toBe(900);
    expect(readdirSync(folder)).toStrictEqual(['cache.log']);
  });
});
