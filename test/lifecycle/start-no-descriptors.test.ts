/** Starts in a process that has used up its descriptors: an error with its code, not a guess. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { removeDirectory } from '../../tools/private-directory.js';
import { projectRoot } from '../../tools/project-root.js';
import { leaveStaleSocket } from '../fixtures/lifecycle/refusals.js';
import { itUnless } from '../support/skip.js';
import { openDirectory } from './support/observed-filter.js';

const notLinux = process.platform !== 'linux' && 'prlimit is of Linux';

/** A sanitizer's library is for Node alone. */
const { LD_PRELOAD = '', ...environment } = process.env;

/** Uses up the descriptors, starts a filter on process.argv[1], and prints the error that it gets. */
const START = `
  const fs = require('node:fs');
  const Milter = require(${JSON.stringify(projectRoot)});
  require(${JSON.stringify(join(projectRoot, 'dist/lowlevel.js'))}).version(); // loads the addon
  process.stdout.write(''); // opens what printing needs
  try {
    for (;;) fs.openSync('/dev/null', 'r');
  } catch {}
  Milter.runmilter('none-left', process.argv[1], { factory: Milter.Base }).then(
    () => console.log('started'),
    ({ code, message }) => console.log(code, message),
  );
`;

function start(socket: string): string {
  const node = ['env', `LD_PRELOAD=${LD_PRELOAD}`, process.execPath, '-e', START, socket];
  return spawnSync('prlimit', ['--nofile=100', ...node], {
    encoding: 'utf8',
    env: environment,
  }).stdout.trim();
}

itUnless(notLinux, 'EMFILE: a new socket, a stale one, a port', () => {
  const directory = openDirectory();
  try {
    const path = join(directory, 'sock');
    const advice =
      ': this process has too many open descriptors; raise its limit (ulimit -n, systemd: LimitNOFILE=)';
    expect(start(`unix:${path}`)).toBe(`EMFILE ${path}${advice}`);
    expect(existsSync(path)).toBe(false);
    leaveStaleSocket(path);
    expect(start(`unix:${path}`)).toBe(`EMFILE ${path}${advice}`);
    expect(existsSync(path)).toBe(true);
    for (const socket of ['inet:0@127.0.0.1', 'inet:8899@127.0.0.1']) {
      expect(start(socket)).toBe(`EMFILE ${socket}${advice}`);
    }
  } finally {
    removeDirectory(directory);
  }
});
