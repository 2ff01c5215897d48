/** The names in a ZIP file, and in ZIP files in it. */
import { type Entry, fromBufferPromise, getFileNameLowLevel, type ZipFile } from 'yauzl';
import { MilterError } from '../internal/errors.js';
import { trimFilename } from './extensions.js';
import { checkLimits, limitReached, type MimeLimitOptions, type MimeLimits } from './limits.js';

/** What is left of the limits, shared by all files in one. */
interface Allowance {
  readonly limits: MimeLimits;
  entries: number;
  expanded: number;
}

/**
 * The names of all entries, those of ZIP files in it behind the names of those (pymilter's `zipnames`). Directories are
 * entries. Empty for no bytes and for a ZIP file without entries. Passwords do not hide names.
 *
 * @throws MilterError ERR_MILTER_BAD_ZIP where it, or a ZIP file in it, cannot be read; ERR_MILTER_MIME_LIMIT
 */
export async function zipnames(bytes: Uint8Array, options?: MimeLimitOptions): Promise<string[]> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return namesIn(buffer, { limits: checkLimits('zipnames', options), entries: 0, expanded: 0 }, 1);
}

async function namesIn(bytes: Buffer, allowance: Allowance, depth: number): Promise<string[]> {
  if (bytes.length === 0) return [];
  const { maxZipDepth, maxZipEntries } = allowance.limits;
  if (depth > maxZipDepth) throw limitReached('maxZipDepth', maxZipDepth, 'ZIP files in ZIP files');
  const zip = await readable(fromBufferPromise(bytes, { lazyEntries: true, decodeStrings: false }));
  const names: string[] = [];
  const entries = zip.eachEntry()[Symbol.asyncIterator]();
  for (;;) {
    const { done, value: entry } = await readable(entries.next());
    if (done) return names;
    if (++allowance.entries > maxZipEntries)
      throw limitReached('maxZipEntries', maxZipEntries, 'entries of a ZIP file');
    const name = nameOf(entry);
    names.push(name);
    if (/\.zip$/i.test(trimFilename(name)))
      names.push(...(await namesIn(await expand(zip, entry, allowance), allowance, depth + 1)));
  }
}

/** In UTF-8 or code page 437, as the entry says. Neither slashes nor dots are objected to: nothing is unpacked there. */
function nameOf(entry: Entry): string {
  const { generalPurposeBitFlag, fileNameRaw, extraFields } = entry;
  return getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, true);
}

async function expand(zip: ZipFile, entry: Entry, allowance: Allowance): Promise<Buffer> {
  const { maxZipExpanded } = allowance.limits;
  const stream = await readable(zip.openReadStreamPromise(entry));
  const chunks: Buffer[] = [];
  const reading = (async () => {
    // What the entry says of its size is the sender's word; what comes out of it is counted.
    for await (const chunk of stream) {
      allowance.expanded += chunk.length;
      if (allowance.expanded > maxZipExpanded)
        throw limitReached('maxZipExpanded', maxZipExpanded, 'bytes of ZIP files in a ZIP file');
      chunks.push(chunk);
    }
  })();
  await readable(reading);
  return Buffer.concat(chunks);
}

/** What yauzl and zlib object to makes the file unreadable. */
async function readable<Result>(reading: Promise<Result>): Promise<Result> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof MilterError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new MilterError('ERR_MILTER_BAD_ZIP', `mime: the ZIP file cannot be read: ${reason}`, {
      cause: error,
    });
  }
}
