/** Patterns for addresses: `ann@example.com`, `*@example.com`, `*@*.example.com`. A star stands for any text. */
import { asciiDomain, parseAddr } from 'tsmilter/utils';

export type Pattern = (address: string) => boolean;

/**
 * A pattern without `@` is one for domains: `example.com` is `*@example.com`. Letter case does not count, and U-labels are
 * compared as A-labels.
 */
export function addressPattern(text: string): Pattern {
  const at = text.lastIndexOf('@');
  const user = wildcard(at <= 0 ? '*' : text.slice(0, at).toLowerCase());
  const domain = wildcard(asciiDomain(text.slice(at + 1)));
  return (address) => {
    const [local, host = ''] = parseAddr(address);
    return user(local.toLowerCase()) && domain(asciiDomain(host));
  };
}

/** Takes each piece between stars at its first place, which is linear in the text for each piece. */
function wildcard(pattern: string): (text: string) => boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return (text) => text === first;
  return (text) => {
    if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length)
      return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const piece of rest) {
      const found = text.indexOf(piece, at);
      if (found < 0 || found + piece.length > end) return false;
      at = found + piece.length;
    }
    return true;
  };
}
