/**
 * Stopping an idle filter whose socket cannot be found by its path any more, or whose process has no descriptor left: it
 * stops as promptly as any other, and removes the socket file if that is still its own.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { MtaSession } from 'tsmilter/testing';
import { removeDirectory } from '../../tools/private-directory.js';
import { serves } from '../fixtures/lifecycle/starter.js';
import { expectThat } from '../support/expect.js';
import { CLEAN_END, ObservedFilter, openDirectory } from './support/observed-filter.js';

/** libmilter looks for a stop only every 5 s; a filter that could not wake it would take nearly that long. */
const UNNOTICED = 3_000;

async function stopsPromptly(filter: ObservedFilter): Promise<void> {
  const began = performance.now();
  filter.child.kill('SIGTERM');
  await filter.event('stopped');
  const took = performance.now() - began;
  expectThat(took, `the stop took ${took.toFixed()} ms`).toBeLessThan(UNNOTICED);
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
}

for (const spelling of ['unix:sock', 'local:./sock', 'sock']) {
  test(`${spelling}, and then another working directory: the stop is prompt, the file is removed`, async () => {
    const directory = openDirectory();
    const elsewhere = openDirectory();
    writeFileSync(join(elsewhere, 'sock'), 'not a socket');
    try {
      await using filter = await ObservedFilter.start({ socket: spelling, more: { directory } });
      filter.tell({ do: 'chdir', value: elsewhere });
      await filter.event('chdir');
      await serves(await MtaSession.open(`unix:${directory}/sock`));
      await stopsPromptly(filter);
      expect(existsSync(join(directory, 'sock'))).toBe(false);
      expect(existsSync(join(elsewhere, 'sock'))).toBe(true);
    } finally {
      removeDirectory(directory);
      removeDirectory(elsewhere);
    }
  });
}

test('a relative path in a directory whose own path is too long for a socket', async () => {
  const directory = openDirectory();
  const deep = join(directory, 'd'.repeat(60), 'e'.repeat(60));
  execFileSync('mkdir', ['-p', deep]);
  execFileSync('chmod', ['-R', 'a+rwx', directory]);
  try {
    await using filter = await ObservedFilter.start({ socket: 'unix:sock', more: { directory: deep } });
    filter.tell({ do: 'chdir', value: '/' });
    await filter.event('chdir');
    await stopsPromptly(filter);
    expect(existsSync(join(deep, 'sock'))).toBe(false);
  } finally {
    removeDirectory(directory);
  }
});

for (const socket of [undefined, 'inet:0@127.0.0.1', 'inet6:0@::1']) {
  test(`no descriptor left, ${socket ?? 'a unix socket'}: the stop is prompt`, async () => {
    await using filter = await ObservedFilter.start(socket === undefined ? {} : { socket });
    execFileSync('prlimit', ['--pid', String(filter.pid), '--nofile=100:']);
    filter.tell({ do: 'use up descriptors' });
    expect((await filter.event('used up')).code).toBe('EMFILE');
    await stopsPromptly(filter);
    if (socket === undefined) expect(existsSync(filter.path)).toBe(false);
  });
}

test('the socket file is removed, or renamed and replaced: the stop is prompt, the new file stays', async () => {
  await using removed = await ObservedFilter.start();
  rmSync(removed.path);
  await stopsPromptly(removed);

  await using replaced = await ObservedFilter.start();
  const { ino } = lstatSync(replaced.path);
  renameSync(replaced.path, `${replaced.path}.old`);
  writeFileSync(replaced.path, 'of somebody else');
  await stopsPromptly(replaced);
  expect(existsSync(replaced.path)).toBe(true);
  expect(lstatSync(`${replaced.path}.old`).ino).toBe(ino);
});
