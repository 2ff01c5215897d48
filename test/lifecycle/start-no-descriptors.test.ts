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

/**
 * Uses up the descriptors, starts a filter on process.argv[1] with options in place of OPTIONS, and prints the error that it gets. The
 * filter's class is called Filter.
 */
const START = `
  const fs = require('node:fs');
  const Milter = require(${JSON.stringify(projectRoot)});
  require(${JSON.stringify(join(projectRoot, 'dist/lowlevel.js'))}).version(); // loads the addon
  class Filter extends Milter.Base {}
  process.stdout.write(''); // opens what printing needs
  try {
    for (;;) fs.openSync('/dev/null', 'r');
  } catch {}
  Milter.runmilter('none-left', process.argv[1], OPTIONS).then(
    () => console.log('started'),
    ({ code, message }) => console.log(code, message),
  );
`;

function start(socket: string, options: string): string {
  const program = START.replace('OPTIONS', options);
  const node = ['env', `LD_PRELOAD=${LD_PRELOAD}`, process.execPath, '-e', program, socket];
  return spawnSync('prlimit', ['--nofile=100', ...node], {
    encoding: 'utf8',
    env: environment,
  }).stdout.trim();
}

const ADVICE =
  ': this process has too many open descriptors; raise its limit (ulimit -n, systemd: LimitNOFILE=)';

itUnless(notLinux, 'EMFILE: a new socket, a stale one, a port', () => {
  const directory = openDirectory();
  const options = '{ factory: Filter, logger: false }';
  try {
    const path = join(directory, 'sock');
    expect(start(`unix:${path}`, options)).toBe(`EMFILE ${path}${ADVICE}`);
    expect(existsSync(path)).toBe(false);
    leaveStaleSocket(path);
    expect(start(`unix:${path}`, options)).toBe(`EMFILE ${path}${ADVICE}`);
    expect(existsSync(path)).toBe(true);
    for (const socket of ['inet:0@127.0.0.1', 'inet:8899@127.0.0.1']) {
      expect(start(socket, options)).toBe(`EMFILE ${socket}${ADVICE}`);
    }
  } finally {
    removeDirectory(directory);
  }
});

/** What only some filters load, and the options that make a start load it. */
const PARTS = [
  ['log/log-stream.js', '{ factory: Filter }'],
  ['workers/create-pool.js', '{ module: "/filter.js", logger: false }'],
  ['metrics/metrics-server.js', '{ factory: Filter, metrics: "inet:0", logger: false }'],
] as const;

for (const [file, options] of PARTS) {
  itUnless(notLinux, `EMFILE: a start that has to load ${file}`, () => {
    const path = join(projectRoot, 'dist', file);
    expect(start('unix:/nonexistent/sock', options)).toBe(`EMFILE ${path}${ADVICE}`);
  });
}
