/** What the kernel reports about a process, from /proc (Linux only). */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

let ticks: number | undefined;

/** Clock ticks in a second, the unit of /proc/PID/stat. */
function ticksPerSecond(): number {
  ticks ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticks;
}

/** The CPU seconds, user and system, of a process, its ended children, and its living ones. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name in the second field may contain blanks and parentheses; utime is the 14th field, three more follow.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) / ticksPerSecond();
  return childrenOf(pid).reduce((sum, child) => sum + unlessEnded(() => cpuSeconds(child), 0), own);
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    unlessEnded(() => readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1'), '')
      .split(' ')
      .filter(Boolean)
      .map(Number),
  );
}

/** Reads about a thread or child; returns `gone` if it has ended since it was listed. */
function unlessEnded<T>(read: () => T, gone: T): T {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return gone;
    throw error;
  }
}

/** Resident memory in bytes: now, and the most since the process began or {@link forgetPeak}. */
export function resident(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
  return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/** Resets the peak if the kernel allows it: the start of a process may take more memory than all that follows. */
export function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // the peak is then too high, never too low
  }
}

/** The file names of the libmilter that a process has loaded; there should be one. */
export function libmilterOf(pid: number): string[] {
  const maps = readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n');
  const paths = maps
    .map((line) => line.slice(line.indexOf('/')))
    .filter((path) => /\/libmilter\.so/.test(path));
  return [...new Set(paths)].map((path) => basename(path));
}
