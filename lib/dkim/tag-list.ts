/** Tag lists: `v=1; a=rsa-sha256; d=example.com`, in signatures, seals and key records (RFC 6376 3.2). */

/** A tag list's values by tag name, in the order written. A Map, so that a name in untrusted text never reaches a prototype. */
export type TagList = ReadonlyMap<string, string>;

/** A tag-name: a letter, then letters, digits and underscores. */
const TAG_NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
/** Longest tag name that is looked at; RFC 6376 defines none of more than two letters. */
const MAX_TAG_NAME = 64;

/** The characters of folding white space. */
const isSpace = (code: number): boolean => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;

/** Removes white space from both ends, in linear time. */
export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** Removes all white space, as base64 values and lists may hold between any two characters. */
export function removeSpace(text: string): string {
  return text.replace(/[\t\n\r ]/g, '');
}

/**
 * Reads a tag list. Values are trimmed; the white space inside them is kept.
 *
 * @returns undefined for what is not a tag list: no `=`, a bad or repeated name, a control character, an empty tag
 *   anywhere but at the end
 */
export function parseTagList(text: string): TagList | undefined {
  const tags = new Map<string, string>();
  const specs = text.split(';');
  // A semicolon may end the list.
  if (trimSpace(specs[specs.length - 1] as string) === '') specs.pop();
  if (specs.length === 0) return undefined;
  for (const spec of specs) {
    const equals = spec.indexOf('=');
    if (equals < 0) return undefined;
    const name = trimSpace(spec.slice(0, equals));
    const value = trimSpace(spec.slice(equals + 1));
    if (name.length > MAX_TAG_NAME || !TAG_NAME.test(name) || tags.has(name) || !isValue(value))
      return undefined;
    tags.set(name, value);
  }
  return tags;
}

/** VALCHAR is printable ASCII but the semicolon; RFC 8616 adds UTF-8. White space may stand between. */
function isValue(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if ((code < 0x21 || code === 0x7f) && !isSpace(code)) return false;
  }
  return true;
}

/** The items of a colon-separated value, without the white space around each. */
export function listItems(value: string): string[] {
  return value.split(':').map(trimSpace);
}

/** The text of a tag list with the value of one tag deleted, as the field is hashed that holds it (RFC 6376 3.7). */
export function withoutValue(text: string, tag: string): string {
  let start = 0;
  for (const spec of text.split(';')) {
    const equals = spec.indexOf('=');
    if (equals >= 0 && trimSpace(spec.slice(0, equals)) === tag) {
      return text.slice(0, start + equals + 1) + text.slice(start + spec.length);
    }
    start += spec.length + 1;
  }
  return text;
}

/** The bytes of a base64 value with white space in it; undefined for what is not base64, or is empty. */
export function decodeBase64(value: string): Buffer | undefined {
  const text = removeSpace(value);
  if (text === '' || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const bare = text.replace(/=+$/, '');
  if (bare.length % 4 === 1) return undefined;
  return Buffer.from(bare, 'base64');
}
