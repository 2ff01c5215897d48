/** Reads the messages of a mailbox. */
import { constants, createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { checkInteger, checkOptions, checkWord, type OptionNames } from '../internal/validate.js';
import { archiveError, NO_MAILBOX } from './archive-error.js';
import { fromLines } from './from-lines.js';
import { parseSeparator } from './separator.js';

/** A message of a mailbox. */
export interface MboxMessage {
  /** The envelope sender; empty for a bounce. */
  readonly sender: string;
  /** When the message arrived; null if the file does not say it as other programs do. */
  readonly date: Date | null;
  /** The message, its lines ended by LF. */
  readonly bytes: Buffer;
}

/** Options of {@link readMbox}. */
export interface ReadMboxOptions {
  /** The largest message in bytes. Default: 256 MiB. */
  readonly maxMessageSize?: number;
}

const OPTIONS: OptionNames<ReadMboxOptions> = { maxMessageSize: true };
const LF = 0x0a;
/** Bytes of a separator line, which others may have written. */
const MAX_SEPARATOR = 8192;

/**
 * The messages of a file in the mboxrd format, one by one; those that another program appends meanwhile may be among them. A message
 * whose writer was killed is what there is of it.
 *
 * @throws MilterError ERR_MILTER_ARCHIVE if the file is no mailbox, or a message is too large; errors of the file system
 */
export async function* readMbox(path: string, options: ReadMboxOptions = {}): AsyncGenerator<MboxMessage> {
  checkWord('readMbox: path', path);
  checkOptions('readMbox', options, OPTIONS);
  const { maxMessageSize = 256 * 2 ** 20 } = options;
  checkInteger('readMbox: maxMessageSize', maxMessageSize, 1, Number.MAX_SAFE_INTEGER);

  const limit = maxMessageSize + MAX_SEPARATOR;
  let pieces: Buffer[] = [];
  let length = 0;
  const take = (piece: Buffer) => {
    length += piece.length;
    if (length > limit)
      throw archiveError(path, `a message has more than ${maxMessageSize} bytes (maxMessageSize)`);
    pieces.push(piece);
  };
  // O_NONBLOCK: opening a named pipe would otherwise wait until something writes to it.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  for await (const segments of fromLines(createReadStream(path, { fd: handle }))) {
    for (const { text, next } of segments) {
      take(next === 'quoted' ? text.subarray(0, -1) : text);
      if (next !== 'from') continue;
      if (length > 0) yield messageOf(path, Buffer.concat(pieces, length));
      pieces = [];
      length = 0;
    }
  }
  if (length > 0) yield messageOf(path, Buffer.concat(pieces, length));
}

/** A message from its separator line to the empty line after it. */
function messageOf(path: string, bytes: Buffer): MboxMessage {
  if (bytes.toString('latin1', 0, 5) !== 'From ') throw archiveError(path, NO_MAILBOX);
  const found = bytes.indexOf(LF);
  const end = found < 0 ? bytes.length : found;
  if (end > MAX_SEPARATOR) throw archiveError(path, `a line "From ..." has more than ${MAX_SEPARATOR} bytes`);
  const last = bytes.at(-1) === LF && bytes.length > end + 1 ? bytes.length - 1 : bytes.length;
  return { ...parseSeparator(bytes.subarray(0, end)), bytes: bytes.subarray(end + 1, last) };
}
