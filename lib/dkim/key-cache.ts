/** Key records that have been read before: a domain that sends much mail has few keys, and OpenSSL takes its time to import one. */
import { type KeyRecord, parseKeyRecord } from './key-record.js';

/** Records of this thread, at most 4 kB of text each by default (maxKeyRecord). */
const MAX_ENTRIES = 256;

/** By the text of the record, so that what DNS says now always counts. The least recently used one is first. */
const records = new Map<string, KeyRecord>();

/**
 * As {@link parseKeyRecord}, which is called for a text that is not known. Texts that cannot be used are read each time.
 *
 * @param text the strings of a TXT record put together
 */
export function keyRecordOf(text: string): KeyRecord | string {
  const known = records.get(text);
  if (known !== undefined) {
    records.delete(text);
    records.set(text, known);
    return known;
  }
  const record = parseKeyRecord(text);
  if (typeof record === 'string') return record;
  if (records.size >= MAX_ENTRIES) records.delete(records.keys().next().value as string);
  records.set(text, record);
  return record;
}
