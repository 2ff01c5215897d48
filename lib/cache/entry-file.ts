/**
 * A file of entries that several processes append to and rewrite.
 *
 * Each append is a single write to a file opened for appending, so lines of different processes never mix. A rewrite creates a
 * new file and renames it to the old one, so a crash leaves one of them complete. Lines that are appended meanwhile are not
 * lost: the rewriting process copies what was appended after it had read the old file, and an appending process checks
 * afterwards whether the file is still the one it has written to.
 */

import { randomUUID } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { encodeBytes } from '../internal/bytes.js';
import { MilterError } from '../internal/errors.js';
import { appendedLine, type Contents, type Entry, readEntries, wholeLine } from './entry-line.js';

/** The mode of a new file, before the umask. */
const MODE = 0o660;
/** A rewrite takes about a second; a lock of this age was left behind by a crash. */
const STALE_LOCK_MS = 600_000;
const LINE_END = 0x0a;

/** Limits for reading a file. */
export interface ReadLimits {
  readonly maxFileSize: number;
  readonly maxAddressLength: number;
  /** Maximum number of entries with a date; the newest are used. */
  readonly maxEntries: number;
}

/** Reads the file. @returns undefined if there is none */
export function readEntryFile(file: string, oldest: number, limits: ReadLimits): Contents | undefined {
  const fd = openIfThere(file);
  if (fd === undefined) return undefined;
  try {
    return keepNewest(readEntries(readWhole(file, fd, limits), oldest, limits.maxAddressLength), limits);
  } finally {
    closeSync(fd);
  }
}

/** Appends an entry. */
export function appendEntry(file: string, entry: Entry): void {
  appendBytes(file, appendedLine(entry));
}

/**
 * Rewrites the file without waste.
 *
 * @returns false if another process is rewriting it, or there is no file
 */
export function compactEntryFile(file: string, oldest: number, limits: ReadLimits): boolean {
  const old = openIfThere(file);
  if (old === undefined) return false;
  // Resolved, so that a symbolic link is not replaced by the new file.
  const path = realpathSync(file);
  const lock = `${path}.lock`;
  const token = randomUUID();
  let locked = false;
  try {
    locked = takeLock(lock, token);
    return locked && rewrite(path, old, () => readFileSync(lock, 'utf8') === token, oldest, limits);
  } finally {
    closeSync(old);
    if (locked) rmSync(lock, { force: true });
  }
}

function rewrite(
  path: string,
  old: number,
  holdsLock: () => boolean,
  oldest: number,
  limits: ReadLimits,
): boolean {
  // Another process may have rewritten the file after it was opened here and before the lock was taken.
  if (!isFileAt(path, old)) return false;
  const bytes = readWhole(path, old, limits);
  const { entries } = keepNewest(readEntries(bytes, oldest, limits.maxAddressLength), limits);
  const fresh = `${path}.new`;
  writeLike(fresh, encodeBytes(entries.map(wholeLine).join('')), old);
  if (!holdsLock()) return false;
  renameSync(fresh, path);
  const late = readFrom(old, bytes.length);
  if (late.length > 0) appendBytes(path, late);
  return true;
}

/** Removes the oldest entries beyond `maxEntries`. Entries without a date stay, because an administrator has added them. */
function keepNewest({ entries, hasWaste }: Contents, { maxEntries }: ReadLimits): Contents {
  const dated = entries.filter(({ stamp }) => stamp !== null);
  const surplus = new Set(dated.slice(0, Math.max(0, dated.length - maxEntries)));
  return surplus.size === 0
    ? { entries, hasWaste }
    : { entries: entries.filter((entry) => !surplus.has(entry)), hasWaste: true };
}

function appendBytes(file: string, bytes: Buffer): void {
  for (;;) {
    const fd = openSync(file, 'a+', MODE);
    try {
      writeLines(file, fd, bytes);
      if (isFileAt(file, fd)) return;
    } finally {
      closeSync(fd);
    }
  }
}

/** Appends lines. If the last line is incomplete, a line break is added first, so that the new line is not joined to it. */
function writeLines(file: string, fd: number, bytes: Buffer): void {
  const { size } = fstatSync(fd);
  const last = Buffer.alloc(1, LINE_END);
  if (size > 0) readSync(fd, last, 0, 1, size - 1);
  const whole = last[0] === LINE_END ? bytes : Buffer.concat([Buffer.of(LINE_END), bytes]);
  if (writeSync(fd, whole) < whole.length) {
    throw new MilterError('ERR_MILTER_STORE', `${file}: an entry was written only partly; is the disk full?`);
  }
}

function isFileAt(path: string, fd: number): boolean {
  const ours = fstatSync(fd);
  const there = statSync(path, { throwIfNoEntry: false });
  return there?.ino === ours.ino && there.dev === ours.dev;
}

/** Writes a file and flushes it to disk, with the mode of an open file and, if this user is allowed to set it, its owner. */
function writeLike(path: string, bytes: Buffer, model: number): void {
  const { mode, uid, gid } = fstatSync(model);
  const fd = openSync(path, 'w', mode & 0o777);
  try {
    fchmodSync(fd, mode & 0o777);
    try {
      fchownSync(fd, uid, gid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    }
    writeFileSync(fd, bytes);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function takeLock(lock: string, token: string): boolean {
  const old = statSync(lock, { throwIfNoEntry: false });
  if (old && Date.now() - old.mtimeMs > STALE_LOCK_MS) rmSync(lock, { force: true });
  try {
    writeFileSync(lock, token, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function openIfThere(file: string): number | undefined {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function readWhole(file: string, fd: number, { maxFileSize }: ReadLimits): Buffer {
  const stats = fstatSync(fd);
  if (!stats.isFile()) throw new MilterError('ERR_MILTER_STORE', `${file}: not a regular file`);
  if (stats.size > maxFileSize) {
    throw new MilterError(
      'ERR_MILTER_STORE',
      `${file}: ${stats.size} bytes; the limit is ${maxFileSize} (option maxFileSize)`,
    );
  }
  return readFrom(fd, 0);
}

function readFrom(fd: number, position: number): Buffer {
  const bytes = Buffer.alloc(Math.max(0, fstatSync(fd).size - position));
  let length = 0;
  while (length < bytes.length) {
    const count = readSync(fd, bytes, length, bytes.length - length, position + length);
    if (count === 0) break;
    length += count;
  }
  return bytes.subarray(0, length);
}
