/**
 * The lock that mail programs share: a file beside the mailbox, its name with `.lock`, which only one of them can create (procmail,
 * mutt, Sendmail's mail.local, liblockfile). The packages on npm make a directory instead, which those programs can neither read nor
 * remove, and Node has no fcntl or flock.
 *
 * The file has the number of the process on its first line, as liblockfile writes it, and on the second one the machine and when the
 * process began. A lock is stale if that process of this machine is gone, or if its file has not been touched for `staleAfter`.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  futimesSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { archiveError } from './archive-error.js';

/** Times in milliseconds. */
export interface DotLockOptions {
  /** How long to wait for another holder. */
  readonly timeout: number;
  /** A lock whose file is older was left behind; a holder touches it three times as often. */
  readonly staleAfter: number;
}

/** The age at which a temporary file counts as left behind, in milliseconds. */
const ABANDONED = 300_000;
const FIRST_PAUSE = 5;
const LONGEST_PAUSE = 250;

/** A lock that is held. */
export class DotLock {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #touch: NodeJS.Timeout;

  private constructor(path: string, descriptor: number, staleAfter: number) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#touch = setInterval(() => touch(descriptor), staleAfter / 3).unref();
  }

  /**
   * Waits for the lock.
   * @throws MilterError ERR_MILTER_ARCHIVE if another program holds it for longer than `timeout`; errors of the file system
   */
  static async acquire(path: string, { timeout, staleAfter }: DotLockOptions): Promise<DotLock> {
    const end = performance.now() + timeout;
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      const descriptor = create(path);
      if (descriptor !== undefined) return new DotLock(path, descriptor, staleAfter);
      if (removeStale(path, staleAfter)) continue;
      if (performance.now() > end)
        throw archiveError(path, `another program has held this lock for ${timeout} ms`);
      // Not at the same moments as the others that wait.
      await sleep(pause * (0.5 + Math.random()));
    }
  }

  /** Gives the lock back. It stays if it has been taken over as a stale one. */
  release(): void {
    clearInterval(this.#touch);
    const own = fstatSync(this.#descriptor);
    closeSync(this.#descriptor);
    if (statsOf(this.#path)?.ino === own.ino) unlinkSync(this.#path);
  }
}

function touch(descriptor: number): void {
  const now = Date.now() / 1000;
  try {
    futimesSync(descriptor, now, now);
  } catch {
    // The disk fails. So will the append, which then says so.
  }
}

/**
 * Creates the lock's file; undefined if there is one. The file gets its content first, under another name, so that a lock says whose it
 * is at any moment at which its process may be killed. This is also how a lock is made over NFS (open(2), O_EXCL).
 */
function create(path: string): number | undefined {
  removeAbandoned(path);
  const temporary = `${path}-${process.pid}-${randomBytes(6).toString('hex')}`;
  const descriptor = openSync(temporary, 'wx', 0o644);
  let isHeld = false;
  try {
    writeSync(descriptor, `${process.pid}\n${thisMachine()} ${startOf(process.pid)}\n`);
    isHeld = isLinked(temporary, path, descriptor);
  } finally {
    unlinkSync(temporary);
    if (!isHeld) closeSync(descriptor);
  }
  return isHeld ? descriptor : undefined;
}

/** Gives a file another name, unless there is one of that name. */
function isLinked(file: string, name: string, descriptor: number): boolean {
  try {
    linkSync(file, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return fstatSync(descriptor).nlink === 2; // the answer of an NFS server may have been lost
  }
}

/** Locks whose directories this process has looked through. */
const lookedThrough = new Set<string>();

/** Removes the files of {@link create} that killed processes have left, once. */
function removeAbandoned(path: string): void {
  if (lookedThrough.has(path)) return;
  lookedThrough.add(path);
  const begin = `${basename(path)}-`;
  for (const name of readdirSync(dirname(path))) {
    const file = join(dirname(path), name);
    if (name.startsWith(begin) && isStale(file, ABANDONED)) rmSync(file, { force: true });
  }
}

/**
 * Removes a lock that was left behind. Returns whether it is worth trying again at once. Two processes may find the same one, and the slower
 * must not remove the lock that the faster has made since: so it is judged again and removed under a second lock, which is never held
 * while anything is awaited.
 */
function removeStale(path: string, staleAfter: number): boolean {
  if (!statsOf(path)) return true;
  if (!isStale(path, staleAfter)) return false;
  const guard = `${path}.stale`;
  const descriptor = create(guard);
  if (descriptor === undefined) {
    if (isStale(guard, staleAfter)) unlinkSync(guard);
    return false;
  }
  try {
    if (isStale(path, staleAfter)) unlinkSync(path);
    return true;
  } finally {
    closeSync(descriptor);
    unlinkSync(guard);
  }
}

function isStale(path: string, staleAfter: number): boolean {
  const stats = statsOf(path);
  // What is no file was made by a program with other rules.
  if (!stats?.isFile()) return false;
  return Date.now() - stats.mtimeMs > staleAfter || holderIsGone(path);
}

const OWNER = /^(\d{1,10})\n(\S+) (\S*)\n$/;

/** Whether the lock says that a process of this machine holds it that is not there any more. */
function holderIsGone(path: string): boolean {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return false; // just removed, or private
  }
  const [, pid, machine, start] = OWNER.exec(text) ?? [];
  if (machine !== thisMachine()) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'; // else it is another user's
  }
  return startOf(Number(pid)) !== start;
}

/**
 * What gives processes their numbers: this run of the kernel, and the namespace of a container, which may share the mailbox and the
 * host's name with others. Without /proc, the host's name.
 */
function thisMachine(): string {
  try {
    const kernel = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${kernel}/${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/** When a process began: a later one may have its number, always so in a container that is started again. Empty without /proc. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program, in parentheses, may contain blanks and parentheses (proc(5)).
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function statsOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
