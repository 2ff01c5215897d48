/** Messages from files, directories, mailboxes and stdin. */
import { createReadStream } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readSource } from '../../testing/simulator/message-source.js';
import { isMbox, mboxMessages } from './mbox.js';

/** A message that was read. */
export interface StoredMessage {
  /** Its file, and its number in a mailbox. */
  readonly name: string;
  readonly content: Buffer;
  /** How much of all sources has been read after it, from 0 to 1; undefined if that is not known. */
  readonly share: number | undefined;
}

/** The largest message that is read. */
const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;

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
      for await (const content of mboxMessages(createReadStream(file), MAX_MESSAGE_BYTES)) {
        done += content.length;
        yield { name: `${file}:${++number}`, content, share: share(done) };
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
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(16), 0, 16, 0);
  return isMbox(buffer.subarray(0, bytesRead));
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
