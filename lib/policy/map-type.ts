/** Detects the type of a map. */
import { open } from 'node:fs/promises';
import { mapError } from './map-error.js';

/** `text` is the source text; the others are databases compiled by `makemap` or `postmap`. */
export type MapType = 'text' | 'hash' | 'btree' | 'lmdb';

const HEAD_BYTES = 512;

/** The magic number of each database type and its offset. It is stored in the byte order of the machine that wrote it. */
const MAGIC: readonly (readonly [type: MapType, offset: number, magic: number])[] = [
  ['hash', 12, 0x00061561], // Berkeley DB
  ['btree', 12, 0x00053162], // Berkeley DB
  ['lmdb', 16, 0xbeefc0de],
];

/** Detects the type of `file` from its first bytes. */
export async function detectType(file: string): Promise<MapType> {
  const head = await headOf(file);
  for (const [type, offset, magic] of MAGIC) {
    if (head.length < offset + 4) continue;
    if (head.readUInt32LE(offset) === magic || head.readUInt32BE(offset) === magic) return type;
  }
  if (head.includes(0)) {
    throw mapError(
      file,
      'is neither text nor a hash, btree or lmdb database; name the source text, or compile it again',
    );
  }
  return 'text';
}

async function headOf(file: string): Promise<Buffer> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
