/** Reasons to reject a message by its headers. Adapt the lists to your users. */

/** Words that do not occur in the subject of legitimate mail here. */
const KEYWORDS: readonly RegExp[] = [/\${3}|!{3}|\bXXX\b|\bFREE\b/, /viagra/i, /^adv[:.]/i];

/** Prefixes of the names of character sets that no user of this server can read. */
const BLOCKED_CHARSETS: readonly string[] = ['big5', 'gb2312', 'gbk', 'gb18030', 'ks_c_5601', 'euc-kr'];

/** Programs that send only bulk mail. */
const BULK_MAILERS: ReadonlySet<string> = new Set(['direct email', 'calypso', 'mail bomber']);

/** The length of the shortest possible Message-ID, `<a@b>`. */
const MIN_MESSAGE_ID_LENGTH = 5;

/** `=?charset*language?B?text?=`, or with Q (RFC 2047 and 2231). */
const ENCODED_WORD = /=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bq])\?([^?]*)\?=/gi;
/** White space between two encoded words is not part of the text. */
const BETWEEN_ENCODED_WORDS = /(\?=)\s+(?==\?)/g;

function decodeQ(text: string): Buffer {
  const bytes = text
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1');
}

/** Decodes the encoded words of a text; one in an unknown character set stays as it is. */
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

function subjectReason(value: string): string | null {
  for (const [, charset = ''] of value.matchAll(ENCODED_WORD)) {
    const blocked = BLOCKED_CHARSETS.find((start) => charset.toLowerCase().startsWith(start));
    if (blocked !== undefined) return `we cannot read ${blocked} in a subject`;
  }
  const text = decodeWords(value);
  return KEYWORDS.some((keyword) => keyword.test(text)) ? 'that subject is typical of spam' : null;
}

/** Why the message is rejected because of this header, or null if it is not. */
export function rejectionReason(name: string, value: string): string | null {
  switch (name.toLowerCase()) {
    case 'subject':
      return subjectReason(value);
    case 'message-id':
      return value.trim().length < MIN_MESSAGE_ID_LENGTH ? 'the Message-ID is malformed' : null;
    case 'x-mailer':
      return BULK_MAILERS.has(value.trim().toLowerCase()) ? 'that mailer sends bulk mail only' : null;
    default:
      return null;
  }
}
