/** Messages from files, directories, mailboxes and stdin. */
import { createReadStream } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readMbox } from '../../archive/index.js';
import { readSource } from '../../testing/simulator/message-source.js';

/** A message that was read. */
export interface StoredMessage {
  /** Its file, and its number in a mailbox. */
  readonly name: string;
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

interface Source {
  readonly file: string;
  readonly size: number;
}

/**
 * The messages of all paths, in order. A directory stands for the files in it and below, without hidden ones; a file that begins
 * with `From ` is a mailbox; `-` is stdin.
 * @throws the system's error for a path that cannot be read; MilterError ERR_MILTER_BAD_ARGUMENT for a message that is too large
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
      const stream = file === '-' ? process.stdin : createReadStream(file);
      yield { name: file, content: await readSource(stream, MAX_MESSAGE_BYTES), share: share(after) };
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
  const names = (await readdir(path)).filter((name) => !name.startsWith('.')).sort();
  const nested: Source[] = [];
  for (const name of names) nested.push(...(await sourcesOf(join(path, name))));
  return nested;
}

async function beginsLikeMbox(file: string): Promise<boolean> {
  await using handle = await open(file);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(FROM.length), 0, FROM.length, 0);
  return buffer.toString('latin1', 0, Math.min(bytesRead, FROM.length)) === FROM;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
