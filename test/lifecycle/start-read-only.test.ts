/** Starts on a file system that is read-only for the filter, as systemd's ProtectSystem=strict makes it. */
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';
import { leaveStaleSocket } from '../fixtures/lifecycle/refusals.js';
import { itUnless } from '../support/skip';
import { openDirectory } from './support/observed-filter.js';

const notPermitted =
  spawnSync('unshare', ['--mount', 'true']).status !== 0 && 'mount namespaces are not permitted here';

/** Makes the directory $0 read-only in a mount namespace of its own, and runs the other arguments there. */
const READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';

/** A sanitizer's library is for Node alone: unshare, sh and mount do not run with it. */
const { LD_PRELOAD = '', ...environment } = process.env;
const NODE = ['env', `LD_PRELOAD=${LD_PRELOAD}`, process.execPath];

/** Starts a filter on process.argv[1], and prints the error that it gets. */
const START = `
  const Milter = require(${JSON.stringify(projectRoot)});
  Milter.runmilter('read-only', process.argv[1], { factory: Milter.Base }).then(
    () => console.log('started'),
    ({ code, message }) => console.log(JSON.stringify({ code, message })),
  );
`;

for (const [title, prepare] of [
  ['a new socket', () => {}],
  ['a stale socket', leaveStaleSocket],
] as const) {
  itUnless(notPermitted, `EROFS: ${title} on a read-only file system`, () => {
    const directory = openDirectory();
    try {
      const path = join(directory, 'sock');
      prepare(path);
      const before = readdirSync(directory);
      const command = ['sh', '-c', READ_ONLY, directory, ...NODE, '-e', START, `unix:${path}`];
      const { stdout, stderr } = spawnSync('unshare', ['--mount', ...command], {
        encoding: 'utf8',
        env: environment,
      });
      expect(stderr).toBe('');
      expect(JSON.parse(stdout)).toStrictEqual({
        code: 'EROFS',
        message:
          `${path}: the file system is read-only; choose another directory, or make this one writable ` +
          '(systemd: ReadWritePaths= or RuntimeDirectory=)',
      });
      expect(readdirSync(directory)).toStrictEqual(before);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}
