/** Takes over the header fields of a message that was edited as a MIME document. */
import type { MimeMessage } from '../mime/index.js';
import type { HeaderField } from './header-field.js';
import type { Headers } from './headers.js';

/** Folds are ignored when values are compared. */
const plain = (value: string) => value.replace(/\s+/g, ' ').trim();

/** The fields by name in lower case. */
function byName<T>(fields: readonly T[], nameOf: (field: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const field of fields) {
    const key = nameOf(field).toLowerCase();
    const group = groups.get(key);
    if (group) group.push(field);
    else groups.set(key, [field]);
  }
  return groups;
}

/**
 * Changes, adds and removes in `headers` what `message` has other than `arrived`; edits of other fields stay. What `arrived` has other
 * than the MTA is no change: to it, a CR without LF ends no line, and so neither begins a field nor ends the header.
 *
 * @param received the fields as the MTA passed them
 * @param arrived a message that begins with them, and was not edited
 */
export function useHeaders(
  headers: Headers,
  received: readonly HeaderField[],
  arrived: MimeMessage,
  message: MimeMessage,
): void {
  const fieldsOf = byName(received, ({ name }) => name);
  const before = byName(arrived.headers(), ([name]) => name);
  const after = byName(message.headers(), ([name]) => name);
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const fields = fieldsOf.get(key) ?? [];
    const old = before.get(key) ?? [];
    const values = after.get(key) ?? [];
    for (let at = 0; at < Math.max(old.length, values.length); at++) {
      const [field, was, is] = [fields[at], old[at], values[at]];
      if (was && is && plain(was[1]) === plain(is[1])) continue;
      if (is && !field) headers.add(is[0], is[1], { encode: false });
      else if (field && headers.contains(field)) {
        if (is) headers.replace(field, is[1], { encode: false });
        else headers.delete(field);
      }
    }
  }
}
