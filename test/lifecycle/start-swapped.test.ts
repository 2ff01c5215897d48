/**
 * A unix socket in a directory that another user may write to, who replaces it by a link to a file of root's while the filter
 * sets the socket's permissions: that file keeps its own.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, lstatSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { removeDirectory } from '../../tools/private-directory.js';
import { until, within } from '../../tools/wait.js';
import { attempt, starter } from '../fixtures/lifecycle/starter.js';
import { asUser } from '../support/as-user.js';
import { expectThat } from '../support/expect.js';
import { itUnless } from '../support/skip.js';
import { CLEAN_END, openDirectory } from './support/observed-filter.js';

const STRANGER = 54_321;
const STARTS = 10;
const notRoot = process.getuid?.() !== 0 && 'only root can give a file away';

/** A filter that starts while `kind` of link takes the socket's place; returns the outcomes of all starts. */
async function startsRacing(kind: 'symbolic' | 'second name'): Promise<unknown[]> {
  const directory = openDirectory();
  const victim = join(directory, 'victim');
  writeFileSync(victim, 'a secret', { mode: 0o600 });
  const path = join(directory, 'sock');
  // Another user cannot make second names of root's files (fs.protected_hardlinks).
  const user = kind === 'symbolic' ? asUser(STRANGER) : {};
  const swapper = fork(join(__dirname, '../fixtures/lifecycle/swapper.js'), [path, victim, kind], user);
  const outcomes: unknown[] = [];
  try {
    await within('the swapper to begin', once(swapper, 'message'));
    for (let i = 0; i < STARTS; i++) {
      await using filter = await starter({ socket: `unix:${path}` });
      const told = await attempt(filter, { run: { owner: 65_534, group: 65_534, mode: 0o666 } });
      outcomes.push(told.code ?? 'listening');
      const { uid, gid, mode } = lstatSync(victim);
      expectThat([uid, gid, (mode & 0o777).toString(8)], `start ${i}: ${told.message}`).toStrictEqual([
        0,
        0,
        '600',
      ]);
      await until('the swapper to have been there', () => !lstatSync(path).isSocket());
      filter.tell({ do: 'finish' });
      const end = told.listening ? filter.stop() : filter.ended();
      expectThat(await end, filter.state()).toStrictEqual(CLEAN_END);
      rmSync(path);
    }
  } finally {
    swapper.kill('SIGKILL');
    await within('the end of the swapper', once(swapper, 'exit'));
    removeDirectory(directory);
  }
  return outcomes;
}

for (const kind of ['symbolic', 'second name'] as const) {
  itUnless(
    notRoot,
    `the socket is replaced by a link (${kind}): the file it leads to keeps owner and mode`,
    async () => {
      for (const outcome of await startsRacing(kind)) {
        expect(['listening', 'ERR_MILTER_SOCKET_REPLACED']).toContain(outcome);
      }
    },
  );
}

test('a link that is there before: refused, and neither it nor what it leads to is touched', async () => {
  await using filter = await starter();
  const victim = join(filter.directory, 'victim');
  writeFileSync(victim, 'a secret', { mode: 0o600 });
  for (const link of [symlinkSync, linkSync]) {
    link(victim, filter.path);
    expect((await attempt(filter, { run: { mode: 0o666 } })).code).toBe('ENOTSOCK');
    expect(lstatSync(victim).mode & 0o777).toBe(0o600);
    expect(lstatSync(filter.path).isSocket()).toBe(false);
    rmSync(filter.path);
  }
  filter.tell({ do: 'finish' });
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
});
