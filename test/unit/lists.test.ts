/** tsmilter/lists: names, addresses and networks in arrays and files. */
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { AddressList, type AuthLevel, type MilterError, NetworkList } from 'tsmilter/lists';
import { TIMEOUT } from '../../tools/wait';
import { errorWith } from '../support/expect';

const folder = mkdtempSync(join(tmpdir(), 'lists-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function fileWith(text: string): string {
  const file = join(folder, `list-${files++}`);
  writeFileSync(file, text);
  return file;
}

describe('an entry', () => {
  it.each<[entry: string, matching: string[], others: string[]]>([
    [
      'ann@example.com',
      ['ann@example.com', '<ANN@Example.COM>', '"ann"@example.com.', '<@relay.example:ann@example.com>'],
      ['bob@example.com', 'ann@sub.example.com', 'ann', 'example.com', 'xann@example.com'],
    ],
    ['@example.com', ['ann@example.com'], ['example.com', 'ann@sub.example.com', 'ann@xexample.com']],
    [
      'example.com',
      ['example.com', 'EXAMPLE.com.', 'ann@example.com'],
      ['sub.example.com', 'ann@a.example.com'],
    ],
    [
      '.example.com',
      ['a.example.com', 'ann@b.a.example.com'],
      ['example.com', 'ann@example.com', 'xexample.com'],
    ],
    ['*@bulk.example', ['any@bulk.example', '<X@BULK.example>'], ['any@a.bulk.example', 'bulk.example']],
    ['*.example', ['a.example', 'ann@b.a.example'], ['example', 'ann@example']],
    ['mx[0-9].example', ['mx1.example', 'ann@mx1.example'], ['mxa.example']],
    ['ann@münchen.example', ['ann@xn--mnchen-3ya.example', 'ANN@MÜNCHEN.example'], ['ann@munchen.example']],
    ['.xn--mnchen-3ya.example', ['a.münchen.example', 'ann@a.münchen.example'], ['münchen.example']],
    ['*@münchen.example', ['ann@xn--mnchen-3ya.example', 'ann@münchen.example'], ['ann@muenchen.example']],
    ['*@xn--mnchen-3ya.example', ['ann@münchen.example'], []],
    ['ann@[192.0.2.1]', ['ann@[192.0.2.1]'], ['ann@1', 'ann@[192.0.2.2]']],
    ['ann@[IPv6:2001:db8::1]', ['ann@[ipv6:2001:db8::1]'], []],
    ['*@[192.0.2.1]', ['bob@[192.0.2.1]'], ['bob@1']],
    ['<>', ['', '<>'], ['ann@', '.', 'ann@example.com']],
    ['root', ['root', 'x@root'], ['root@example.com']],
    ['__proto__', ['__proto__'], ['constructor', 'toString']],
  ])('%s', async (entry, matching, others) => {
    for (const source of [entry, fileWith(`${entry}\r\n`)]) {
      using list = await AddressList.open([source]);
      expect(matching.filter((name) => !list.has(name))).toStrictEqual([]);
      expect(others.filter((name) => list.has(name))).toStrictEqual([]);
    }
  });

  it('that is most specific is found, and those of the array before those of files', async () => {
    const file = fileWith('# c\n*@a.example\n.example\na.example\n@a.example\nann@a.example # the boss\n');
    using list = await AddressList.open([file, '.b.example']);
    const found = (name: string) => list.find(name)?.entry;
    expect(list.find('ann@a.example')).toStrictEqual({ entry: 'ann@a.example', file, line: 6 });
    expect(found('bob@a.example')).toBe('@a.example');
    expect(found('a.example')).toBe('a.example');
    expect(found('x@z.a.example')).toBe('.example');
    expect(list.find('x.b.example')).toStrictEqual({ entry: '.b.example', file: undefined, line: 2 });
    expect(list.size).toBe(6);
  });
});

it('an entry with levels holds for mail that was authenticated so', async () => {
  using list = await AddressList.open([
    'a.example:!pass',
    'b.example:neutral,none',
    '*.c.example:PASS',
    'd.example',
  ]);
  const levels: AuthLevel[] = ['pass', 'fail', 'neutral', 'none'];
  const holding = (name: string) => levels.filter((level) => list.has(name, level));
  expect(holding('x@a.example')).toStrictEqual(['fail', 'neutral', 'none']);
  expect(holding('x@b.example')).toStrictEqual(['neutral', 'none']);
  expect(holding('x@m.c.example')).toStrictEqual(['pass']);
  expect(holding('x@d.example')).toStrictEqual(levels);
  expect(['a', 'b', 'm.c', 'd'].map((name) => list.has(`${name}.example`))).toStrictEqual([
    false,
    false,
    false,
    true,
  ]);
  expect(() => list.has('x', 'best' as AuthLevel)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
});

it.each([
  'a b',
  'ann@',
  '@',
  '.',
  'a..b',
  'ann@.example.com',
  '@.example.com',
  '@relay.example:ann@example.com',
  'example.com:passed',
  'example.com:',
  'example.com:!pass,fail,softfail,neutral,none,policy,temperror,permerror',
  `${'a'.repeat(256)}`,
])('the entry %s is invalid, and the message has its line', async (entry) => {
  await expect(AddressList.open([entry])).rejects.toThrow(
    errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /AddressList: entry 1: / }),
  );
  const message = /^list .*list-\d+: line 3: /;
  await expect(AddressList.open([fileWith(`\nok.example\n${entry}\n`)])).rejects.toThrow(
    errorWith({ code: 'ERR_MILTER_LIST', message }),
  );
});

it('a file is refused beyond a limit, with a duplicate or a path, or if it cannot be read', async () => {
  const refused = async (text: string, options: object, message: RegExp) =>
    expect(AddressList.open([fileWith(text)], options)).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_LIST', message }),
    );
  await refused('a\nb\nc\n', { maxEntries: 2 }, /more than 2 entries/);
  await refused('a*\nb*\n', { maxGlobs: 1 }, /line 2: "b\*" is one pattern more than the limit of 1/);
  await refused('abcdef\n', { maxLineLength: 5 }, /line 1 is longer than 5 bytes/);
  await refused('abc\n', { maxBytes: 3 }, /more than 3 bytes/);
  await refused('a.example\nA.Example.\n', {}, /line 2: "A\.Example\." is a duplicate of a\.example/);
  await refused('/etc/passwd\n', {}, /line 1: .* is the path of a file/);
  await expect(AddressList.open([folder])).rejects.toThrow(
    errorWith({ code: 'ERR_MILTER_LIST', message: /not a regular file/ }),
  );
  await expect(AddressList.open([join(folder, 'none')])).rejects.toThrow(
    errorWith({ code: 'ERR_MILTER_LIST', message: /ENOENT/ }),
  );
});

describe('a changed file', () => {
  const replace = (file: string, text: string) => renameSync(fileWith(text), file);

  it('is read again by itself', async () => {
    const file = fileWith('a.example\n');
    const changes = new EventEmitter();
    const onReload = (path: string) => changes.emit('reload', path);
    using list = await AddressList.open([file], { pollInterval: 5, onReload });
    const reloaded = once(changes, 'reload', { signal: AbortSignal.timeout(TIMEOUT) });
    replace(file, 'b.example\n');
    expect(await reloaded).toStrictEqual([file]);
    expect([list.has('a.example'), list.has('b.example')]).toStrictEqual([false, true]);
  });

  it('that is invalid leaves the old entries in use, and is reported', async () => {
    const file = fileWith('a.example\n');
    const changes = new EventEmitter();
    const onError = (error: MilterError) => changes.emit('failure', error);
    using list = await AddressList.open([file], { pollInterval: 5, onError });
    const failed = once(changes, 'failure', { signal: AbortSignal.timeout(TIMEOUT) });
    replace(file, 'a..b\n');
    expect((await failed)[0]).toMatchObject({
      code: 'ERR_MILTER_LIST',
      message: expect.stringMatching(/line 1/),
    });
    expect(list.has('a.example')).toBe(true);
  });

  it('is read by reload(), and the other files too if one fails', async () => {
    const [bad, good] = [fileWith('a.example\n'), fileWith('b.example\n')];
    using list = await AddressList.open([bad, good], { pollInterval: 0 });
    expect(await list.reload()).toBe(false);
    rmSync(bad);
    replace(good, 'c.example\n');
    await expect(list.reload()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_LIST' }));
    expect(['a', 'b', 'c'].map((name) => list.has(`${name}.example`))).toStrictEqual([true, false, true]);
  });
});

describe('networks', () => {
  it('are found as iniplist finds them, from the array and files', async () => {
    using list = await NetworkList.open([
      '192.0.2.0/24',
      fileWith('# internal\n2001:db8::/32\n198.51.100.*  # lab\n'),
    ]);
    expect(['192.0.2.9', '::ffff:192.0.2.9', '2001:db8::1', '198.51.100.7'].every((ip) => list.has(ip))).toBe(
      true,
    );
    expect(['192.0.3.1', '2001:db9::1'].some((ip) => list.has(ip))).toBe(false);
    expect(list.size).toBe(3);
    expect(() => list.has('example.com')).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
  });

  it.each(['mail.example.com', '192.0.2.0/33', '192.0.2', 'x y'])(
    '%s is refused with its line',
    async (entry) => {
      await expect(NetworkList.open([fileWith(`\n${entry}\n`)])).rejects.toThrow(
        errorWith({ code: 'ERR_MILTER_LIST', message: /line 2: / }),
      );
    },
  );
});

it('options and entries of the wrong type are refused', async () => {
  const refused = errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' });
  for (const entries of ['a.example', [1], null])
    await expect(AddressList.open(entries as never)).rejects.toThrow(refused);
  for (const options of [
    { maxGlobs: -1 },
    { maxEntries: 0 },
    { pollInterval: -1 },
    { onError: 1 },
    { polling: 1 },
  ])
    await expect(AddressList.open([], options as never)).rejects.toThrow(refused);
  await expect(NetworkList.open([], { maxGlobs: 1 } as never)).rejects.toThrow(refused);
});
