/** tsmilter/lists: bans that end. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from '@jest/globals';
import { BanList, type BanListOptions } from 'tsmilter/lists';
import { errorWith } from '../support/expect';

const DAY = 86_400_000;
const START = Date.parse('2026-11-28T12:00:00Z');
const folder = mkdtempSync(join(tmpdir(), 'bans-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
let file: string;
let now: number;
beforeEach(() => {
  file = join(folder, `bans-${files++}`);
  now = START;
});
const open = (options: Partial<BanListOptions> = {}) => BanList.open({ file, now: () => now, ...options });

it('a ban holds for its days, at its levels, and over a restart', async () => {
  const first = await open();
  first.add('@spam.example:!pass', 2);
  first.add('Eve@Example.com', 1);
  first.add('.münchen.example', 1);
  for (const list of [first, await open()]) {
    expect(list.has('<x@spam.example>', 'none')).toBe(true);
    expect(list.has('<x@spam.example>', 'pass')).toBe(false);
    expect(list.has('<x@spam.example>')).toBe(false);
    expect(list.has('eve@EXAMPLE.com')).toBe(true);
    expect(list.has('bob@example.com')).toBe(false);
    expect(list.has('x@a.xn--mnchen-3ya.example')).toBe(true);
  }
  now += DAY;
  for (const list of [first, await open()]) {
    expect(list.has('eve@example.com')).toBe(false);
    expect(list.has('x@spam.example', 'fail')).toBe(true);
  }
  now += DAY;
  expect(first.has('x@spam.example', 'fail')).toBe(false);
  expect((await open()).size).toBe(0);
});

it('a second ban prolongs the first and does not shorten it, for each level by itself', async () => {
  const list = await open();
  list.add('a.example:fail', 10);
  list.add('a.example', 1);
  now += 5 * DAY;
  for (const each of [list, await open()]) {
    expect(each.has('a.example', 'fail')).toBe(true);
    expect(each.has('a.example', 'none')).toBe(false);
  }
});

it('the file is private, readable for people, and rid of what has ended', async () => {
  const list = await open();
  expect(statSync(file).mode & 0o777).toBe(0o600);
  list.add('old.example', 1);
  list.add('@spam.example:none,neutral', 30);
  now += 2 * DAY;
  await open();
  expect(readFileSync(file, 'utf8')).toBe('@spam.example:neutral,none 2026Dec28 12:00:00 UTC\n');
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

it('lines that a person or a crash has left are read or ignored', async () => {
  writeFileSync(file, 'ever.example\nbad..example\n*.pattern.example\n__proto__ 2027Jan01 00:00:00 UTC\n');
  appendFileSync(file, ' cut.exam');
  const list = await open();
  now += 20 * DAY;
  expect(['ever.example', '__proto__'].every((name) => list.has(name))).toBe(true);
  expect(['bad..example', 'a.pattern.example', 'cut.exam'].some((name) => list.has(name))).toBe(false);
  expect(list.size).toBe(2);
});

it('a user that looks like a comment or a path is banned over a restart', async () => {
  const names = ['#ann@a.example', '/ann@a.example'];
  const list = await open();
  for (const name of names) list.add(`"${name.replace('@', '"@')}`, 1);
  for (const each of [list, await open()]) expect(names.every((name) => each.has(name))).toBe(true);
});

it('the number of bans is limited: the first one is removed', async () => {
  const list = await open({ maxEntries: 3 });
  for (const name of ['a', 'b', 'c', 'a', 'd']) list.add(`${name}.example`, 1);
  expect(['a', 'b', 'c', 'd'].map((name) => list.has(`${name}.example`))).toStrictEqual([
    true,
    false,
    true,
    true,
  ]);
  expect(list.size).toBe(3);
});

it('what cannot be banned is refused, and not written', async () => {
  const list = await open();
  const refused = errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /^BanList: / });
  for (const entry of ['', '*.example', 'a b', 'a\nb', '/etc/x', 'x:y', '#x'])
    expect(() => list.add(entry, 1)).toThrow(refused);
  for (const days of [0, -1, Number.NaN, 36_501, '1' as unknown as number])
    expect(() => list.add('a.example', days)).toThrow(refused);
  expect(readFileSync(file, 'utf8')).toBe('');
  await expect(BanList.open({ file: '' })).rejects.toThrow(refused);
  await expect(BanList.open({ file, maxEntries: 0 })).rejects.toThrow(refused);
});
