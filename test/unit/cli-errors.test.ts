/** Errors of the system, as the command tells them. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { expect, it } from '@jest/globals';
import { plainMessage } from '#lib/cli/system-error.js';

const errorOf = async (act: () => unknown): Promise<Error> => {
  try {
    await act();
  } catch (error) {
    return error as Error;
  }
  throw new Error('there was no error');
};

it('of a file: its path, and what is wrong with it', async () => {
  expect(plainMessage(await errorOf(() => readFileSync('/absent/file')))).toBe(
    '/absent/file: there is no such file or directory',
  );
  expect(plainMessage(await errorOf(() => readFileSync('/dev/null/below')))).toBe(
    '/dev/null/below: a part of its path is not a directory',
  );
});

it('of a connection: the address, and what to do', async () => {
  const to = (target: { path: string } | { port: number; host: string }) =>
    errorOf(() => once(connect(target), 'connect')).then(plainMessage);
  expect(await to({ path: '/absent/socket' })).toMatch(
    /^\/absent\/socket: there is no such socket; start the filter/,
  );
  expect(await to({ port: 1, host: '127.0.0.1' })).toMatch(
    /^127\.0\.0\.1:1: nothing listens there; start the/,
  );
});

it('of a server: the address, and what to do', async () => {
  const server = createServer().listen('/absent/socket');
  const error = await errorOf(() => once(server, 'listening'));
  expect(plainMessage(error)).toMatch(/^\/absent\/socket: this user may not listen there, or its directory/);
});

it('of which nothing more is known is left as it is', () => {
  expect(plainMessage(new Error('odd'))).toBe('odd');
  const read = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' });
  expect(plainMessage(read)).toBe('EIO: i/o error, read');
});
