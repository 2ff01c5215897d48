/** The names of the entries in a ZIP file, and in ZIP files in it. */
import { types } from 'node:util';
import { type Entry, fromBufferPromise, getFileNameLowLevel, type ZipFile } from 'yauzl';
import { MilterError } from '../internal/errors.js';
import { trimFilename } from './extensions.js';
import { checkLimits, limitReached, type MimeLimitOptions, type MimeLimits } from './limits.js';
import { withNewExtensions, withReadings } from './names.js';
import { zipReadings } from './zip-directory.js';

/** What has been counted towards the limits, in a ZIP file and all ZIP files in it together. */
interface Usage {
  readonly limits: MimeLimits;
  entries: number;
  expanded: number;
}

/**
 * The names of all entries of a ZIP file, including directories; the name of a ZIP file in it is followed by the names of its
 * entries (pymilter's `zipnames`). If a name has other readings (the raw name beside a Unicode one, the part before a NUL) that
 * have another extension, they follow. A directory that does not match the files counts as unreadable. The names are readable even if the entries have passwords. The result is empty for an
 * empty buffer and for a ZIP file without entries.
 *
 * @throws MilterError ERR_MILTER_BAD_ZIP if it or a ZIP file in it cannot be read; ERR_MILTER_MIME_LIMIT
 */
export async function zipnames(bytes: Uint8Array, options?: MimeLimitOptions): Promise<string[]> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return namesIn(buffer, { limits: checkLimits('zipnames', options), entries: 0, expanded: 0 }, 1);
}

async function namesIn(bytes: Buffer, usage: Usage, depth: number): Promise<string[]> {
  if (bytes.length === 0) return [];
  const { maxZipDepth, maxZipEntries } = usage.limits;
  if (depth > maxZipDepth) throw limitReached('maxZipDepth', maxZipDepth, 'ZIP files in ZIP files');
  const zip = await readable(fromBufferPromise(bytes, { lazyEntries: true, decodeStrings: false }));
  const readings = zipReadings(bytes, maxZipEntries);
  if (readings.mismatch !== null) throw unreadable(readings.mismatch);
  const names: string[] = [];
  const directories = new Set<string>();
  const entries = zip.eachEntry()[Symbol.asyncIterator]();
  for (;;) {
    const { done, value: entry } = await readable(entries.next());
    if (done) return withReadings([...names, ...withNewExtensions(names, readings.names)], directories);
    if (++usage.entries > maxZipEntries)
      throw limitReached('maxZipEntries', maxZipEntries, 'entries of a ZIP file');
    const name = nameOf(entry);
    names.push(name);
    if (isDirectory(name, entry)) directories.add(name);
    if (isZipName(name) || isZipName(entry.fileNameRaw.toString('latin1')))
      names.push(...(await namesIn(await expand(zip, entry, usage), usage, depth + 1)));
  }
}

/** Empty content, deflated. */
const MAX_EMPTY = 2;

/** Whether an entry is a directory, which has no content. */
const isDirectory = (name: string, { uncompressedSize, compressedSize }: Entry): boolean =>
  name.endsWith('/') && uncompressedSize === 0 && compressedSize <= MAX_EMPTY;

/** Whether an entry is a ZIP file, also if its name ends there for programs that stop at a NUL. */
const isZipName = (name: string): boolean => /\.zip(?:$|\0)/i.test(trimFilename(name));

/** Decodes a name from UTF-8 or code page 437, as the entry says. Any path is allowed, because nothing is written to disk. */
function nameOf(entry: Entry): string {
  const { generalPurposeBitFlag, fileNameRaw, extraFields } = entry;
  return getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, true);
}

async function expand(zip: ZipFile, entry: Entry, usage: Usage): Promise<Buffer> {
  const { maxZipExpanded } = usage.limits;
  const stream = await readable(zip.openReadStreamPromise(entry));
  const chunks: Buffer[] = [];
  const reading = (async () => {
    // The size given in the entry cannot be trusted, so the bytes are counted as they are unpacked.
    for await (const chunk of stream) {
      usage.expanded += chunk.length;
      if (usage.expanded > maxZipExpanded)
        throw limitReached('maxZipExpanded', maxZipExpanded, 'bytes of ZIP files in a ZIP file');
      chunks.push(chunk);
    }
  })();
  await readable(reading);
  return Buffer.concat(chunks);
}

/** Turns an error of yauzl or zlib into ERR_MILTER_BAD_ZIP. */
async function readable<Result>(reading: Promise<Result>): Promise<Result> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof MilterError) throw error;
    throw unreadable(types.isNativeError(error) ? error.message : String(error), { cause: error });
  }
}

function unreadable(reason: string, options?: ErrorOptions): MilterError {
  return new MilterError('ERR_MILTER_BAD_ZIP', `mime: the ZIP file cannot be read: ${reason}`, options);
}
