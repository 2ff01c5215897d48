/** Text of untrusted senders in log lines. */

/**
 * What must not stand in a line of a log as it is: control characters, which end the line or steer a terminal; line and paragraph
 * separators (U+2028, U+2029), at which some programs end a line; format characters such as U+202E, which change the order in
 * which the rest is shown, or are invisible; lone surrogates, private characters, and those that are not assigned.
 */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Text that needs no escapes, as most does: this is found out much faster than by Unicode's properties. */
const ASCII = /^[ -~]*$/;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * Text as one line that shows what is in it, for logs: each unprintable character becomes an escape such as `\n` or `\u202e`, and
 * a byte that is not UTF-8, which is U+DC80 to U+DCFF here, one such as `\xfc`. Backslashes stay as they are: an escape can be
 * imitated, but no text can end the line, or hide a part of it.
 */
export function printable(text: string): string {
  return ASCII.test(text) ? text : text.replace(UNPRINTABLE, escaped);
}

/** As {@link printable}, for text of several lines: line breaks and tabs are kept. */
export function printableLines(text: string): string {
  return text.replace(UNPRINTABLE, (character) =>
    '\n\t'.includes(character) ? character : escaped(character),
  );
}

/** As {@link printable}, for JSON, in whose strings the characters are written as JSON has them: the value stays the same. */
export function printableJson(json: string): string {
  if (ASCII.test(json)) return json;
  return json.replace(UNPRINTABLE, (character) =>
    Array.from({ length: character.length }, (_, at) => {
      return `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}

function escaped(character: string): string {
  const short = SHORT[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0) as number;
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
