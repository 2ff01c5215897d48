/** Compiles the contenders that are not TypeScript. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Compiles the filter in C to .build/bench/peers/c-filter, with the libmilter that the addon was built with. */
export function buildPeers(root: string): void {
  const flags = (kind: string) =>
    execFileSync(process.execPath, [join(root, 'scripts/libmilter-flags.js'), kind], { encoding: 'utf8' })
      .split(/\s+/)
      .filter(Boolean);
  const program = join(root, '.build/bench/peers/c-filter');
  mkdirSync(join(root, '.build/bench/peers'), { recursive: true });
  const sources = ['filter.c', 'one_thread.c'].map((name) => join(root, 'bench/peers', name));
  const warnings = ['-Wall', '-Wextra', '-Werror'];
  execFileSync(
    process.env.CC ?? 'cc',
    ['-O2', ...warnings, ...flags('--cflags'), '-o', program, ...sources, ...flags('--libs'), '-pthread'],
    { stdio: 'inherit' },
  );
}
