/**
 * A file of entries that several processes append to and rewrite.
 *
 * Each append is a single write to a file opened for appending, so lines of different processes never mix. A rewrite creates a
 * new file and renames it to the old one, so a crash leaves one of them complete. Lines that are appended meanwhile are not
 * lost: the rewriting process copies what was appended after it had read the old file, and an appending process checks
 * afterwards whether the file is still the one it has written to.
 */

import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { type FileHandle, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { decodeBytes, encodeBytes } from '../internal/bytes.js';
import { MilterError } from '../internal/errors.js';
import { appendedLine, type Entry, readLine, wholeLine } from './entry-line.js';
import { NewestEntries } from './newest-entries.js';

/** The mode of a new file, before the umask. */
const MODE = 0o660;
/** A rewrite takes some seconds at most; a lock of this age was left behind by a crash. */
const STALE_LOCK_MS = 600_000;
const LINE_END = 0x0a;
/** What is read, parsed or written in one turn of the event loop: some milliseconds at most. */
const CHUNK_BYTES = 32_768;
const ENTRIES_PER_TURN = 500;
/** A longer line is cut, and malformed: an address has 65,535 characters at most (option maxAddressLength). */
const MAX_LINE_BYTES = 65_536 * 3;

/** Limits for reading a file. */
export interface ReadLimits {
  readonly maxFileSize: number;
  readonly maxAddressLength: number;
  /** Maximum number of entries with a date; the newest are used. */
  readonly maxEntries: number;
}

/** The contents of a file. */
export interface Contents {
  readonly entries: NewestEntries;
  /** Whether the file has other lines: malformed ones, expired entries, surplus ones, and entries replaced by newer lines. */
  readonly hasWaste: boolean;
  /** The number of bytes that were read. */
  readonly length: number;
}

/** Reads the file. Entries with a date up to `oldest` have expired. @returns undefined if there is none */
export async function readEntryFile(
  file: string,
  oldest: number,
  limits: ReadLimits,
): Promise<Contents | undefined> {
  await using handle = await openIfThere(file);
  return handle && (await readEntries(file, handle, oldest, limits));
}

async function readEntries(
  file: string,
  handle: FileHandle,
  oldest: number,
  { maxFileSize, maxAddressLength, maxEntries }: ReadLimits,
): Promise<Contents> {
  const stats = await handle.stat();
  if (!stats.isFile()) throw new MilterError('ERR_MILTER_STORE', `${file}: not a regular file`);
  const entries = new NewestEntries(maxEntries);
  let lines = 0;
  let length = 0;
  for await (const [bytes, position] of chunksOfLines(handle)) {
    length = position;
    const size = Math.max(length, stats.size);
    if (size > maxFileSize) {
      throw new MilterError(
        'ERR_MILTER_STORE',
        `${file}: ${size} bytes; the limit is ${maxFileSize} (option maxFileSize)`,
      );
    }
    const texts = decodeBytes(bytes).split('\n');
    if (texts.at(-1) === '') texts.pop();
    lines += texts.length;
    for (const text of texts) {
      const entry = readLine(text, maxAddressLength);
      if (entry && (entry.stamp === null || entry.stamp > oldest)) entries.add(entry);
    }
  }
  return { entries, hasWaste: entries.size < lines, length };
}

/**
 * The bytes of a file in chunks that end with a line break, except perhaps the last one, and how much has been read.
 */
async function* chunksOfLines(handle: FileHandle): AsyncGenerator<[bytes: Buffer, position: number]> {
  let rest: Buffer = Buffer.alloc(0);
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await handle.read(
      Buffer.allocUnsafe(CHUNK_BYTES),
      0,
      CHUNK_BYTES,
      position,
    );
    if (bytesRead === 0) {
      yield [rest, position];
      return;
    }
    position += bytesRead;
    const read = buffer.subarray(0, bytesRead);
    const end = read.lastIndexOf(LINE_END) + 1;
    if (end > 0) {
      yield [Buffer.concat([rest, read.subarray(0, end)]), position];
      rest = read.subarray(end);
    } else if (rest.length < MAX_LINE_BYTES) rest = Buffer.concat([rest, read]);
  }
}

/** Calls `take` for each entry, in slices between which the event loop has its turn. */
export async function takeEntries(entries: NewestEntries, take: (entry: Entry) => void): Promise<void> {
  let count = 0;
  for (const entry of entries.drain()) {
    take(entry);
    if (++count % ENTRIES_PER_TURN === 0) await nextTurn();
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
export async function compactEntryFile(file: string, oldest: number, limits: ReadLimits): Promise<boolean> {
  await using old = await openIfThere(file);
  if (old === undefined) return false;
  // Resolved, so that a symbolic link is not replaced by the new file.
  const path = await realpath(file);
  const lock = `${path}.lock`;
  const token = randomUUID();
  if (!(await takeLock(lock, token))) return false;
  try {
    return await rewrite(path, old, async () => (await readFile(lock, 'utf8')) === token, oldest, limits);
  } finally {
    await rm(lock, { force: true });
  }
}

async function rewrite(
  path: string,
  old: FileHandle,
  holdsLock: () => Promise<boolean>,
  oldest: number,
  limits: ReadLimits,
): Promise<boolean> {
  // Another process may have rewritten the file after it was opened here and before the lock was taken.
  if (!isFileAt(path, old.fd)) return false;
  const { entries, length } = await readEntries(path, old, oldest, limits);
  const fresh = `${path}.new`;
  await writeLike(fresh, entries, old);
  if (!(await holdsLock())) return false;
  await rename(fresh, path);
  // Lines that were appended meanwhile. Whoever appends to the old file from now on notices that it has been replaced.
  const late = await readFrom(old, length);
  if (late.length > 0) appendBytes(path, late);
  return true;
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
async function writeLike(path: string, entries: NewestEntries, model: FileHandle): Promise<void> {
  const { mode, uid, gid } = await model.stat();
  await using handle = await open(path, 'w', mode & 0o777);
  await handle.chmod(mode & 0o777);
  await handle.chown(uid, gid).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPERM') throw error;
  });
  let lines: string[] = [];
  for (const entry of entries.drain()) {
    lines.push(wholeLine(entry));
    if (lines.length < ENTRIES_PER_TURN) continue;
    await handle.writeFile(encodeBytes(lines.join('')));
    lines = [];
  }
  await handle.writeFile(encodeBytes(lines.join('')));
  await handle.sync();
}

async function takeLock(lock: string, token: string): Promise<boolean> {
  const old = await stat(lock).catch(() => undefined);
  if (old && Date.now() - old.mtimeMs > STALE_LOCK_MS) await rm(lock, { force: true });
  try {
    await writeFile(lock, token, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function openIfThere(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function readFrom(handle: FileHandle, position: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.max(0, (await handle.stat()).size - position));
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, position + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
}
