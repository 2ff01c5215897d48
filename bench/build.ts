/** Compiles the contenders that are not TypeScript. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Compiles the filter in C to .build/bench/peers/c-filter, and to an addon c-filter.node beside it, with the libmilter that the addon was built with. */
export function buildPeers(root: string): void {
  const flags = (kind: string) =>
    execFileSync(process.execPath, [join(root, 'scripts/libmilter-flags.js'), kind], { encoding: 'utf8' })
      .split(/\s+/)
      .filter(Boolean);
  const folder = join(root, '.build/bench/peers');
  mkdirSync(folder, { recursive: true });
  const compile = (output: string, names: readonly string[], ...options: string[]) => {
    const sources = names.map((name) => join(root, 'bench/peers', name));
    const common = ['-O2', '-Wall', '-Wextra', '-Werror', ...flags('--cflags')];
    execFileSync(
      process.env.CC ?? 'cc',
      [...common, ...options, '-o', join(folder, output), ...sources, ...flags('--libs'), '-pthread'],
      { stdio: 'inherit' },
    );
  };
  compile('c-filter', ['main.c', 'filter.c', 'one_thread.c']);
  const addon = ['-shared', '-fPIC', '-isystem', nodeHeaders(root)];
  compile('c-filter.node', ['node.c', 'javascript.c', 'filter.c', 'one_thread.c'], ...addon);
}

/** The directory of Node's headers that node-gyp has built the addon with. */
function nodeHeaders(root: string): string {
  const configuration = readFileSync(join(root, 'build/config.gypi'), 'utf8');
  const [, directory] = /"nodedir": "([^"]+)"/.exec(configuration) ?? [];
  if (directory === undefined) throw new Error('build/config.gypi has no nodedir: run npm run build:native');
  return join(directory, 'include/node');
}
