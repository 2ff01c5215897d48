/** Two copies of the package in one process, as two dependencies may bring them: libmilter belongs to one of them. */
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { removeDirectory } from '../../tools/private-directory.js';
import { projectRoot } from '../../tools/project-root.js';
import { attempt, attempts, endsWell, finishes, starter } from '../fixtures/lifecycle/starter.js';
import { expectThat } from '../support/expect.js';
import { servesWell } from './support/messages.js';
import { type ObservedFilter, openDirectory } from './support/observed-filter.js';

let root: string;
/** The main module of the copy. */
let copy: string;
beforeAll(() => {
  root = openDirectory();
  mkdirSync(join(root, 'build/Release'), { recursive: true });
  // The addon too: a link would be the same addon.
  for (const part of ['package.json', 'dist', 'build/Release/tsmilter.node'])
    cpSync(join(projectRoot, part), join(root, part), { recursive: true });
  symlinkSync(join(projectRoot, 'node_modules'), join(root, 'node_modules'));
  copy = join(root, 'dist/index.js');
});
afterAll(() => removeDirectory(root));

const second = (filter: ObservedFilter) => ({ socket: `unix:${join(dirname(filter.path), 'second')}`, copy });

/** @contract 7 */
test('while one copy serves, the other is refused, and the sessions of the first go on', async () => {
  await using filter = await starter();
  expect((await attempt(filter)).listening).toBe(true);
  const { code, message } = await attempt(filter, second(filter));
  expectThat(code, String(message)).toBe('ERR_MILTER_IN_USE');
  await servesWell(filter);
  await endsWell(filter);
});

test('of two copies that start at the same time, the second is refused', async () => {
  await using filter = await starter();
  const [first, refused] = await attempts(filter, { socket: filter.socket }, second(filter));
  expect(refused?.code).toBe('ERR_MILTER_IN_USE');
  expect(first?.listening).toBe(true);
  await servesWell(filter);
  await endsWell(filter);
});

test('when the filter of one copy has ended, the other is told to start a new process', async () => {
  await using filter = await starter();
  expect((await attempt(filter)).listening).toBe(true);
  filter.tell({ do: 'stop' });
  await filter.event('stop resolved');
  expect((await attempt(filter, second(filter))).code).toBe('ERR_MILTER_ALREADY_RUN');
  await finishes(filter);
});

test('a start that has failed leaves libmilter to the other copy', async () => {
  await using filter = await starter();
  expect((await attempt(filter, { socket: 'unix:/none/sock' })).code).toBe('ENOENT');
  expect((await attempt(filter, { socket: filter.socket, copy })).listening).toBe(true);
  await servesWell(filter);
  expect((await attempt(filter, { socket: `${filter.socket}2` })).code).toBe('ERR_MILTER_IN_USE');
  filter.tell({ do: 'finish' });
  filter.child.kill('SIGTERM');
  expect(await filter.ended()).toStrictEqual({ code: 0, signal: null });
});
