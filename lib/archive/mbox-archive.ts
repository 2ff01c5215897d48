/** Messages appended to a mailbox file, by any number of processes. */
import { constants, type Stats } from 'node:fs';
import { access, type FileHandle, lstat, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { types } from 'node:util';
import { badArgument } from '../internal/errors.js';
import { syncDirectory } from '../internal/sync-directory.js';
import { checkInteger, checkOptions, checkText, checkWord, type OptionNames } from '../internal/validate.js';
import { archiveError, NO_MAILBOX } from './archive-error.js';
import { DotLock } from './dot-lock.js';
import { type Chunks, fromLines, withUnixLineEnds } from './from-lines.js';
import { separatorLine } from './separator.js';

/** Options of a {@link MboxArchive}. Sizes are in bytes, times in milliseconds. */
export interface MboxArchiveOptions {
  /** A file of this size is put aside before the next message, so files are larger by one message at most. Default: 1 GiB. */
  readonly maxBytes?: number;
  /** Whether a file of an earlier day (UTC) is put aside before the next message. Default: true. */
  readonly daily?: boolean;
  /** Mode of new files. A file that gives more rights than this is refused. Default: 0o600. */
  readonly mode?: number;
  /** Whether a message is on the disk when {@link MboxArchive.append} resolves, so that it outlives a power failure. Default: true. */
  readonly fsync?: boolean;
  /** How long to wait for the lock. Default: 30,000. */
  readonly lockTimeout?: number;
  /** The age at which a lock that is not touched counts as left behind by a program that has ended. Default: 300,000. */
  readonly staleAfter?: number;
}

/** What the separator line of a message says. */
export interface MboxEnvelope {
  /** The envelope sender, with or without angle brackets; empty for a bounce. */
  readonly sender: string;
  /** When the message arrived. Default: now. */
  readonly date?: Date;
}

const OPTIONS: OptionNames<MboxArchiveOptions> = {
  maxBytes: true,
  daily: true,
  mode: true,
  fsync: true,
  lockTimeout: true,
  staleAfter: true,
};
const WRITE_SIZE = 64 * 1024;
const LF = 0x0a;
const QUOTE = Buffer.from('>');
const PERMISSIONS = 0o777;
const FOR_OTHERS = 0o022;
// A symbolic link is refused, and opening a named pipe would wait until another process reads it.
const FLAGS =
  constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The file, open, and what it was like then. */
interface Mailbox {
  readonly file: FileHandle;
  readonly stats: Stats;
}

/**
 * An archive of messages in the mboxrd format, which mutt, procmail and most mail programs read: lines end in LF, and lines that begin
 * with `From ` after any number of `>` get one `>` more, so that {@link readMbox} gives back each message byte for byte, but for CRLF.
 *
 * The file is opened, locked (`<file>.lock`) and closed for each message; there is nothing to close in the end.
 */
export class MboxArchive {
  readonly #path: string;
  readonly #options: Required<MboxArchiveOptions>;
  /** The append that was called last: those of one object wait for each other here, without looking at the lock. */
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param path the file; its directory must exist
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT
   */
  constructor(path: string, options: MboxArchiveOptions = {}) {
    checkWord('MboxArchive: path', path);
    checkOptions('MboxArchive', options, OPTIONS);
    const {
      maxBytes = 2 ** 30,
      daily = true,
      mode = 0o600,
      fsync = true,
      lockTimeout = 30_000,
      staleAfter = 300_000,
    } = options;
    checkInteger('MboxArchive: maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER);
    checkInteger('MboxArchive: mode', mode, 0o600, PERMISSIONS);
    if (mode & FOR_OTHERS) throw badArgument('MboxArchive: mode must not let the group or others write');
    checkInteger('MboxArchive: lockTimeout', lockTimeout, 0);
    checkInteger('MboxArchive: staleAfter', staleAfter, 1000);
    this.#path = path;
    this.#options = { maxBytes, daily, mode, fsync, lockTimeout, staleAfter };
  }

  /**
   * Appends a message: its bytes, or a stream of them, such as `transaction.source()` of `tsmilter/message`. What has been written of
   * a message that fails is removed again. The lock is held while a stream is read.
   *
   * @throws MilterError ERR_MILTER_ARCHIVE if the file must not be used or the lock is held too long; ERR_MILTER_BAD_ARGUMENT; errors of
   *   the file system (ENOSPC, EDQUOT, EACCES, EROFS, EIO, ...), and of the stream
   */
  append(message: Uint8Array | Chunks, envelope: MboxEnvelope): Promise<void> {
    const { sender, date = new Date() } = envelope;
    checkText('append: sender', sender);
    if (!types.isDate(date) || Number.isNaN(date.getTime())) throw badArgument('append: date must be a Date');
    const lines = mboxLines(separatorLine(sender, date), types.isUint8Array(message) ? [message] : message);
    const appended = this.#last.then(() => this.#append(lines));
    this.#last = appended.catch(() => {});
    return appended;
  }

  /**
   * Finds out at the start of a program whether {@link append} can use the file, or create it. It writes nothing.
   *
   * @throws MilterError ERR_MILTER_ARCHIVE if the file must not be used; errors of the file system
   */
  async check(): Promise<void> {
    // The lock is a file beside it.
    await access(dirname(this.#path), constants.W_OK | constants.X_OK);
    if (!(await statsOf(this.#path))) return;
    const { file } = await this.#open(FLAGS & ~constants.O_CREAT);
    await file.close();
  }

  async #append(lines: AsyncIterable<Buffer>): Promise<void> {
    const { lockTimeout, staleAfter } = this.#options;
    const lock = await DotLock.acquire(`${this.#path}.lock`, { timeout: lockTimeout, staleAfter });
    try {
      const { file, stats } = await this.#current();
      try {
        await this.#write(file, lines);
      } finally {
        await file.close();
      }
      if (stats.size === 0 && this.#options.fsync) await syncDirectory(dirname(this.#path));
    } finally {
      lock.release();
    }
  }

  /** Opens the file for the next message. One that is full or of an earlier day is put aside, after it was checked like any other. */
  async #current(): Promise<Mailbox> {
    const mailbox = await this.#open();
    if (!this.#isOver(mailbox.stats)) return mailbox;
    await mailbox.file.close();
    await this.#putAside(mailbox.stats);
    return this.#open();
  }

  /** Whether a file gets no more messages. */
  #isOver({ size, mtime }: Stats): boolean {
    const { daily, maxBytes } = this.#options;
    return size > 0 && (size >= maxBytes || (daily && dayOf(mtime) < dayOf(new Date())));
  }

  async #putAside({ mtime }: Stats): Promise<void> {
    const aside = `${this.#path}-${dayOf(mtime)}`;
    // Whoever rotates holds the lock, so that no other process takes the name between the two calls.
    let name = aside;
    for (let count = 1; await statsOf(name); count++) name = `${aside}.${count}`;
    await rename(this.#path, name);
  }

  /** Opens the file, or makes it. @throws MilterError ERR_MILTER_ARCHIVE if it is no mailbox that may be used */
  async #open(flags = FLAGS): Promise<Mailbox> {
    const { mode } = this.#options;
    const file = await open(this.#path, flags, mode).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ELOOP' || error.code === 'EMLINK')
        throw archiveError(this.#path, 'is a symbolic link', error);
      throw error;
    });
    try {
      const stats = await file.stat();
      checkFile(this.#path, stats, mode);
      // Less of it is what a killed process has left.
      if (!'From '.startsWith(await textAt(file, 0, 5))) throw archiveError(this.#path, NO_MAILBOX);
      return { file, stats };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Writes a message after what is there, or leaves the file as it was. */
  async #write(file: FileHandle, lines: AsyncIterable<Buffer>): Promise<void> {
    const { size } = await file.stat();
    const gap = await this.#gap(file, size);
    let end = size + gap.length;
    try {
      if (gap) await file.appendFile(gap);
      for await (const piece of gathered(lines)) {
        end += piece.length;
        await file.appendFile(piece);
      }
      if (this.#options.fsync) await file.datasync();
    } catch (error) {
      // Never more than what was written here: another program may ignore the lock.
      if ((await file.stat()).size <= end) await file.truncate(size);
      throw error;
    }
  }

  /** What is missing of the empty line before a message, after one that a killed process has not finished. */
  async #gap(file: FileHandle, size: number): Promise<string> {
    if (size === 0) return '';
    const end = await textAt(file, Math.max(0, size - 2), 2);
    if (end === '\n\n') return '';
    return end.endsWith('\n') ? '\n' : '\n\n';
  }
}

async function textAt(file: FileHandle, position: number, length: number): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.toString('latin1', 0, bytesRead);
}

/** The message as it is in the file. */
async function* mboxLines(separator: Buffer, message: Chunks): AsyncGenerator<Buffer> {
  yield separator;
  let last: number = LF; // an empty message ends where the separator does
  for await (const segments of fromLines(withUnixLineEnds(message))) {
    const piece = Buffer.concat(segments.flatMap(({ text, next }) => (next === null ? text : [text, QUOTE])));
    last = piece.at(-1) ?? last;
    yield piece;
  }
  yield Buffer.from(last === LF ? '\n' : '\n\n');
}

/** Larger pieces, each of which is one write. */
async function* gathered(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    waiting.push(piece);
    length += piece.length;
    if (length < WRITE_SIZE) continue;
    yield Buffer.concat(waiting, length);
    waiting = [];
    length = 0;
  }
  if (length > 0) yield Buffer.concat(waiting, length);
}

function checkFile(path: string, stats: Stats, mode: number): void {
  if (!stats.isFile()) throw archiveError(path, 'is not a regular file');
  if (stats.nlink > 1)
    throw archiveError(path, 'has another name (a hard link), under which others may reach it');
  if (process.geteuid && stats.uid !== process.geteuid()) {
    throw archiveError(
      path,
      `belongs to user ${stats.uid}, not to the user of this process, ${process.geteuid()}`,
    );
  }
  const open = stats.mode & PERMISSIONS & ~mode;
  if (open !== 0) {
    const octal = (value: number) => value.toString(8).padStart(4, '0');
    throw archiveError(
      path,
      `its mode is ${octal(stats.mode & PERMISSIONS)}, more than the option mode allows: chmod ${octal(mode)} ${path}`,
    );
  }
}

/** As `2026-11-29`. */
const dayOf = (date: Date): string => date.toISOString().slice(0, 10);

async function statsOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
