/** What the headers of a message say against it. Put in, and take out, what holds for your readers. */

/** Words in a subject that nobody here writes. */
const KEYWORDS: readonly RegExp[] = [/\${3}|!{3}|\bXXX\b|\bFREE\b/, /viagra/i, /^adv[:.]/i];

/** Beginnings of the names of character sets that nobody here reads. */
const BLOCKED_CHARSETS: readonly string[] = ['big5', 'gb2312', 'gbk', 'gb18030', 'ks_c_5601', 'euc-kr'];

/** Programs that send bulk mail and nothing else. */
const BULK_MAILERS: ReadonlySet<string> = new Set(['direct email', 'calypso', 'mail bomber']);

/** What is shorter is no Message-ID: `<a@b>`. */
const SHORTEST_MESSAGE_ID = 5;

/** `=?charset*language?B?text?=`, or with Q (RFC 2047 and 2231). */
const ENCODED_WORD = /=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bq])\?([^?]*)\?=/gi;
/** Blanks between two encoded words belong to neither. */
const BETWEEN_ENCODED_WORDS = /(\?=)\s+(?==\?)/g;

function decodeQ(text: string): Buffer {
  const bytes = text
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1');
}

/** The text with its encoded words decoded; one in an unknown character set stays as it is. */
export function decodeWords(text: string): string {
  return text
    .replace(BETWEEN_ENCODED_WORDS, '$1')
    .replace(ENCODED_WORD, (word, charset: string, encoding: string, content: string) => {
      const bytes = encoding.toLowerCase() === 'b' ? Buffer.from(content, 'base64') : decodeQ(content);
      try {
        return new TextDecoder(charset).decode(bytes);
      } catch {
        return word;
      }
    });
}

function subjectFault(value: string): string | null {
  for (const [, charset = ''] of value.matchAll(ENCODED_WORD)) {
    const blocked = BLOCKED_CHARSETS.find((start) => charset.toLowerCase().startsWith(start));
    if (blocked !== undefined) return `we cannot read ${blocked} in a subject`;
  }
  const text = decodeWords(value);
  return KEYWORDS.some((keyword) => keyword.test(text)) ? 'that subject is typical of spam' : null;
}

/** Why the message is refused for this header; null where it is not. */
export function headerFault(name: string, value: string): string | null {
  switch (name.toLowerCase()) {
    case 'subject':
      return subjectFault(value);
    case 'message-id':
      return value.trim().length < SHORTEST_MESSAGE_ID ? 'that is no Message-ID' : null;
    case 'x-mailer':
      return BULK_MAILERS.has(value.trim().toLowerCase()) ? 'that mailer sends bulk mail only' : null;
    default:
      return null;
  }
}
