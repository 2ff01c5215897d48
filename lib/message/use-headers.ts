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

/** Changes, adds and removes in `headers` what `message` has other than `received`; edits of other fields stay. */
export function useHeaders(headers: Headers, received: readonly HeaderField[], message: MimeMessage): void {
  const before = byName(received, ({ name }) => name);
  const after = byName(message.headers(), ([name]) => name);
  for (const [key, fields] of before) {
    const values = after.get(key) ?? [];
    fields.forEach((field, at) => {
      const [, value] = values[at] ?? [];
      if (!headers.contains(field)) return;
      if (value === undefined) headers.delete(field);
      else if (plain(value) !== plain(field.wire)) headers.replace(field, value, { encode: false });
    });
  }
  for (const [key, values] of after) {
    for (const [name, value] of values.slice(before.get(key)?.length ?? 0))
      headers.add(name, value, { encode: false });
  }
}
