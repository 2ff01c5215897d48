import type { Headers } from 'tsmilter/message';
import { list } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

/** The character sets that encoded words (RFC 2047 2) name, and that of the message's own text. */
function charsetsOf(headers: Headers): string[] {
  const encoded = ['Subject', 'From'].flatMap((name) =>
    headers
      .fields(name)
      .flatMap(({ unfolded }) => [...unfolded.matchAll(/=\?([^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?[bq]\?/gi)])
      .map((found) => found[1] ?? ''),
  );
  const content = headers
    .fields('Content-Type')
    .flatMap(({ unfolded }) => [...unfolded.matchAll(/;\s*charset\s*=\s*"?([^\s";]{1,40})/gi)])
    .map((found) => found[1] ?? '');
  return [...encoded, ...content].map((name) => name.toLowerCase());
}

export const unreadableCharset = defineRule({
  name: 'unreadable_charset',
  step: 'headers',
  doc: 'The header is written in a character set that nobody here reads.',
  suspicion: true,
  options: { charsets: list('names of character sets, such as `gb2312`, `big5`, `koi8-r`') },
  check({ message: { headers } }, { charsets }) {
    if (charsets.length === 0) return null;
    const unreadable = new Set(charsets.map((name) => name.toLowerCase()));
    const found = charsetsOf(headers).find((name) => unreadable.has(name));
    if (found === undefined) return null;
    return { reason: `character set ${shown(found)}`, reply: `Nobody here reads ${shown(found)}.` };
  },
});
