/** Messages from files, directories, mailboxes and stdin. */
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readMbox } from '../../archive/index.js';
import { readSource } from '../../testing/simulator/message-source.js';
import { UsageError } from '../command.js';

/** A message that was read. */
export interface StoredMessage {
  /** Its file, and its number in a mailbox. */
  readonly name: string;
  /** The file of which it is the whole content; undefined for one in a mailbox or on stdin. */
  readonly file?: string;
  readonly content: Buffer;
  /** The envelope sender that a mailbox has for it. */
  readonly sender?: string;
  /** How much of all sources has been read after it, from 0 to 1; undefined if that is not known. */
  readonly share: number | undefined;
}

/** The largest message that is read. */
const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;
/** A message cannot begin so, because a header's name has no space. */
const FROM = 'From ';
/** Opening a named pipe would otherwise wait until something writes to it. */
const WITHOUT_WAITING = constants.O_RDONLY | constants.O_NONBLOCK;

interface Source {
  readonly file: string;
  readonly size: number;
}

/**
 * The messages of all paths, in order. A directory stands for the regular files in it and below, without hidden ones; symbolic links
 * in it are not followed, since they may lead back to it. A file that begins with `From ` is a mailbox; `-` is stdin.
 * @throws the system's error for a path that cannot be read; UsageError for one that is neither a file nor a directory;
 *   MilterError ERR_MILTER_BAD_ARGUMENT for a message that is too large
 */
export async function* readMessages(paths: readonly string[]): AsyncGenerator<StoredMessage> {
  const sources: Source[] = [];
  for (const path of paths) sources.push(...(await sourcesOf(path)));
  const total = sources.some(({ file }) => file === '-') ? Number.NaN : sum(sources.map(({ size }) => size));
  let before = 0;
  for (const { file, size } of sources) {
    const after = before + size;
    const share = (done: number) => (total > 0 ? Math.min(done, after) / total : undefined);
    if (file !== '-' && (await beginsLikeMbox(file))) {
      let done = before;
      let number = 0;
      for await (const { bytes, sender } of readMbox(file, { maxMessageSize: MAX_MESSAGE_BYTES })) {
        done += bytes.length;
        yield { name: `${file}:${++number}`, content: bytes, sender: `<${sender}>`, share: share(done) };
      }
    } else {
      const content = await (file === '-' ? readSource(process.stdin, MAX_MESSAGE_BYTES) : readFile(file));
      yield { name: file, content, share: share(after), ...(file !== '-' && { file }) };
    }
    before = after;
  }
}

/** Whether several messages are to be expected. */
export async function areSeveral(paths: readonly string[]): Promise<boolean> {
  const [path] = paths;
  if (paths.length !== 1 || path === undefined) return true;
  if (path === '-') return false;
  return (await stat(path)).isDirectory() || (await beginsLikeMbox(path));
}

async function sourcesOf(path: string): Promise<Source[]> {
  if (path === '-') return [{ file: '-', size: 0 }];
  const found = await stat(path);
  if (!found.isDirectory()) return [{ file: path, size: found.size }];
  const entries = await readdir(path, { withFileTypes: true });
  const names = entries
    .filter((entry) => (entry.isFile() || entry.isDirectory()) && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
  const nested: Source[] = [];
  for (const name of names) nested.push(...(await sourcesOf(join(path, name))));
  return nested;
}

async function openFile(file: string): Promise<FileHandle> {
  // Checked before, because a socket cannot be opened at all, and afterwards, because the file may have been replaced.
  if (!(await stat(file)).isFile()) throw notRegular(file);
  const handle = await open(file, WITHOUT_WAITING);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw notRegular(file);
}

const notRegular = (file: string) =>
  new UsageError(`${file} is neither a file nor a directory; - reads a message from stdin`);

async function readFile(file: string): Promise<Buffer> {
  await using handle = await openFile(file);
  return await readSource(handle.createReadStream({ autoClose: false }), MAX_MESSAGE_BYTES);
}

async function beginsLikeMbox(file: string): Promise<boolean> {
  await using handle = await openFile(file);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(FROM.length), 0, FROM.length, 0);
  return buffer.toString('latin1', 0, Math.min(bytesRead, FROM.length)) === FROM;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
