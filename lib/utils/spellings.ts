/** The spellings of an address by which lists and maps may have it. */
import { withALabels, withULabels } from '../internal/a-labels.js';
import { withoutAtEnd } from '../internal/trim-end.js';

const DOT_ATOM = /^[^\s"(),.:;<>@[\\\]\p{Cc}]+(?:\.[^\s"(),.:;<>@[\\\]\p{Cc}]+)*$/u;

/** Text for comparison: in lower case, with characters composed (`u` and a combining diaeresis are `ü`). */
export function foldText(text: string): string {
  return text.toLowerCase().normalize('NFC');
}

/**
 * The spellings of a domain, folded and without final dots: as it is given, in ASCII (`xn--mnchen-3ya.example`), and in Unicode
 * (`münchen.example`), without repetitions. A name that IDNA does not allow has no other spelling.
 */
export function domainSpellings(domain: string): string[] {
  const name = withoutAtEnd(foldText(domain), '.');
  const ascii = withALabels(name) ?? name;
  return [...new Set([name, ascii, foldText(withULabels(ascii))])];
}

/**
 * The spellings of a local part, folded: first without unnecessary quotes and backslashes (`"jo\\e"` is `joe`, RFC 5321 4.1.2), then
 * as it is given.
 */
export function localPartSpellings(local: string): string[] {
  const given = foldText(local);
  if (!/["\\]/.test(given)) return [given];
  const content = given.replace(/\\(.)|"/gs, '$1');
  const canonical = DOT_ATOM.test(content) ? content : `"${content.replace(/["\\]/g, '\\$&')}"`;
  return [...new Set([canonical, given])];
}
