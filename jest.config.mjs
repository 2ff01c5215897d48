/**
 * Jest runs what tsc has compiled: `npm run build:test` first, or `npx tsc -p tsconfig.json --watch` beside
 * `npx jest --watch`. A source path finds the compiled file: `npx jest unit/reply -t setreply`.
 */
import os from 'node:os';

const folders = ['unit', 'integration', 'cli', 'lifecycle', 'mta', 'fuzz', 'hostile', 'repository', 'stress'];

/** A sanitizer makes everything slower. */
const slowdown = process.env.MILTER_SANITIZER ? 4 : 1;

export default {
  // More than processors, since tests wait more than they compute; Jest itself would take one less.
  maxWorkers: 2 * os.availableParallelism(),
  // A file gets a process of its own: nothing of libmilter stays for the next.
  workerIdleMemoryLimit: '1KB',
  // After the last file too, Jest starts a new one, which cannot end before it is loaded: by default Jest takes that for a leak.
  workerGracefulExitTimeout: 10_000,
  // No test should come near it. The files of test/stress set their own.
  testTimeout: 120_000 * slowdown,
  projects: folders.map((folder) => ({
    displayName: folder,
    rootDir: import.meta.dirname,
    // Beside the compiled tests: a folder in /tmp would be left behind, and another user's would be in the way.
    cacheDirectory: '<rootDir>/.build/jest',
    roots: [`<rootDir>/.build/test/${folder}`],
    testEnvironment: 'node',
    testMatch: ['**/*.test.js'],
    transform: {},
  })),
};
