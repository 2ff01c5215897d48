/**
 * The readings of a ZIP directory (APPNOTE 4.3). Programs differ in which of an entry's names they use (the raw one, the
 * Unicode Path of an extra field, the part before a NUL), in whether they believe the number of entries, and in whether they
 * read the directory at the end or the header before each file.
 */

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const LOCAL_SIZE = 30;
const CENTRAL_SIZE = 46;
const END_SIZE = 22;
const UNICODE_PATH = 0x7075;
const ZIP64 = 0x0001;
const IN_ZIP64 = 0xffffffff;
const MAX_COMMENT = 0xffff;
const ZIP64_LOCATOR = 0x07064b50;
const ZIP64_LOCATOR_SIZE = 20;
const ZIP64_END = 0x06064b50;
const ZIP64_END_SIZE = 56;

/** An entry of the directory. */
interface Entry {
  readonly name: Buffer;
  readonly extra: Buffer;
  readonly localOffset: number;
  readonly compressedSize: number;
}

export interface ZipReadings {
  /** The names of all entries, in every reading. */
  readonly names: readonly string[];
  /** Why the directory and the files do not match; null if they do. */
  readonly mismatch: string | null;
}

/** The offset of the last end record, or -1. */
function findEnd(bytes: Buffer): number {
  const first = Math.max(0, bytes.length - END_SIZE - MAX_COMMENT);
  for (let at = bytes.lastIndexOf('PK\x05\x06', bytes.length - END_SIZE, 'latin1'); at >= first; ) {
    if (bytes.readUInt32LE(at) === END) return at;
    at = at > 0 ? bytes.lastIndexOf('PK\x05\x06', at - 1, 'latin1') : -1;
  }
  return -1;
}

/** Whether bytes end with the end record of a ZIP file. */
export function hasZipDirectory(bytes: Buffer): boolean {
  if (bytes.length < END_SIZE) return false;
  const end = findEnd(bytes);
  return end >= 0 && end + END_SIZE + bytes.readUInt16LE(end + 20) === bytes.length;
}

/** The fields of an extra field: identifiers and contents. */
function* extraFields(extra: Buffer): Generator<[id: number, data: Buffer]> {
  for (let at = 0; at + 4 <= extra.length; ) {
    const size = extra.readUInt16LE(at + 2);
    yield [extra.readUInt16LE(at), extra.subarray(at + 4, at + 4 + size)];
    at += 4 + size;
  }
}

function readEntry(bytes: Buffer, at: number): { entry: Entry; next: number } | null {
  if (at < 0 || at + CENTRAL_SIZE > bytes.length || bytes.readUInt32LE(at) !== CENTRAL) return null;
  const nameEnd = at + CENTRAL_SIZE + bytes.readUInt16LE(at + 28);
  const extraEnd = nameEnd + bytes.readUInt16LE(at + 30);
  const extra = bytes.subarray(nameEnd, extraEnd);
  const [compressedSize, localOffset] = zip64(extra, [
    bytes.readUInt32LE(at + 24),
    bytes.readUInt32LE(at + 20),
    bytes.readUInt32LE(at + 42),
  ]);
  return {
    entry: { name: bytes.subarray(at + CENTRAL_SIZE, nameEnd), extra, localOffset, compressedSize },
    next: extraEnd + bytes.readUInt16LE(at + 32),
  };
}

/** Size and offset, from the ZIP64 field for those that do not fit (4.5.3). */
function zip64(
  extra: Buffer,
  [size, compressed, offset]: readonly [number, number, number],
): [compressedSize: number, localOffset: number] {
  const [, data = Buffer.alloc(0)] = [...extraFields(extra)].find(([id]) => id === ZIP64) ?? [];
  let at = 0;
  const value = (given: number): number => {
    if (given !== IN_ZIP64 || at + 8 > data.length) return given;
    at += 8;
    return Number(data.readBigUInt64LE(at - 8));
  };
  value(size);
  return [value(compressed), value(offset)];
}

/** All names that an entry may have. */
function* namesOf({ name, extra }: Entry): Generator<string> {
  const texts = [name.toString('latin1'), name.toString()];
  for (const [id, data] of extraFields(extra))
    if (id === UNICODE_PATH) texts.push(data.subarray(5).toString());
  for (const text of texts) {
    yield text;
    const nul = text.indexOf('\0');
    if (nul >= 0) {
      yield text.slice(0, nul);
      yield text.replaceAll('\0', '');
    }
  }
}

/** The entries from `at` on, whatever their number is said to be. */
function readEntries(bytes: Buffer, at: number, maxEntries: number): { entries: Entry[]; end: number } {
  const entries: Entry[] = [];
  let next = at;
  for (
    let read = readEntry(bytes, next);
    read && entries.length <= maxEntries;
    read = readEntry(bytes, next)
  ) {
    entries.push(read.entry);
    next = read.next;
  }
  return { entries, end: next };
}

/** Whether a file without an entry, or under another name than in its entry, stands before the directory. */
function localMismatch(bytes: Buffer, entries: readonly Entry[], directory: number): string | null {
  let end = 0;
  for (const entry of [...entries].sort((a, b) => a.localOffset - b.localOffset)) {
    const at = entry.localOffset;
    if (at + LOCAL_SIZE > bytes.length || bytes.readUInt32LE(at) !== LOCAL)
      return 'an entry of the directory has no file';
    const nameEnd = at + LOCAL_SIZE + bytes.readUInt16LE(at + 26);
    if (!bytes.subarray(at + LOCAL_SIZE, nameEnd).equals(entry.name))
      return 'a file has another name than in the directory';
    if (at > end && bytes.subarray(end, at).includes('PK\x03\x04', 0, 'latin1'))
      return 'a file is missing in the directory';
    end = Math.max(end, nameEnd + bytes.readUInt16LE(at + 28) + entry.compressedSize);
  }
  return directory > end && bytes.subarray(end, directory).includes('PK\x03\x04', 0, 'latin1')
    ? 'a file is missing in the directory'
    : null;
}

/** What an end record says. */
interface EndRecord {
  readonly count: number;
  readonly offset: number;
  readonly size: number;
}

/** The greatest values of the fields, which mean that a ZIP64 record has the real ones. */
const IN_ZIP64_RECORD: EndRecord = { count: 0xffff, size: IN_ZIP64, offset: IN_ZIP64 };

/** Whether the two records say the same, so that it does not matter which one a program reads. */
const agree = (plain: EndRecord, zip64Record: EndRecord): boolean =>
  (['count', 'size', 'offset'] as const).every(
    (field) => plain[field] === zip64Record[field] || plain[field] === IN_ZIP64_RECORD[field],
  );

/** The end record, or the ZIP64 record before it; null if these contradict each other. */
function readEnd(bytes: Buffer, end: number): EndRecord | null {
  const plain: EndRecord = {
    count: bytes.readUInt16LE(end + 10),
    size: bytes.readUInt32LE(end + 12),
    offset: bytes.readUInt32LE(end + 16),
  };
  const locator = end - ZIP64_LOCATOR_SIZE;
  if (locator < 0 || bytes.readUInt32LE(locator) !== ZIP64_LOCATOR) return plain;
  const at = Number(bytes.readBigUInt64LE(locator + 8));
  if (at + ZIP64_END_SIZE > locator || bytes.readUInt32LE(at) !== ZIP64_END) return plain;
  const zip64Record: EndRecord = {
    count: Number(bytes.readBigUInt64LE(at + 32)),
    size: Number(bytes.readBigUInt64LE(at + 40)),
    offset: Number(bytes.readBigUInt64LE(at + 48)),
  };
  return agree(plain, zip64Record) ? zip64Record : null;
}

/**
 * Every reading of the directory of a ZIP file. Without an end record there is none.
 *
 * @param maxEntries of more, the rest is not read
 */
export function zipReadings(bytes: Buffer, maxEntries: number): ZipReadings {
  const end = findEnd(bytes);
  if (end < 0) return { names: [], mismatch: null };
  const record = readEnd(bytes, end);
  if (!record) return { names: [], mismatch: 'its two end records contradict each other' };
  const { count, offset, size } = record;
  const main = readEntries(bytes, offset, maxEntries);
  // Where the directory must be if its size is right: elsewhere, if something precedes the file.
  const other = end - size === offset ? [] : readEntries(bytes, end - size, maxEntries).entries;
  const names = new Set([...main.entries, ...other].flatMap((entry) => [...namesOf(entry)]));
  return { names: [...names], mismatch: mismatchOf(bytes, end, count, Math.min(offset, end), main) };
}

function mismatchOf(
  bytes: Buffer,
  end: number,
  count: number,
  directory: number,
  read: { readonly entries: readonly Entry[]; readonly end: number },
): string | null {
  if (read.entries.length !== count) return 'the directory has not as many entries as it says';
  const behind = bytes.subarray(Math.max(read.end, directory));
  const first = behind.indexOf('PK\x05\x06', 0, 'latin1');
  if (first + bytes.length - behind.length !== end || behind.includes('PK\x05\x06', first + 1, 'latin1'))
    return 'there is more than one directory';
  return localMismatch(bytes, read.entries, directory);
}
