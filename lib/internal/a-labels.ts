/** Internationalised domain names in the two spellings of RFC 5890 2.3.2.1: `münchen.example`, and `xn--mnchen-3ya.example` in DNS. */
import { isIP } from 'node:net';
import { domainToASCII, domainToUnicode } from 'node:url';

const ASCII = /^[\0-\x7f]*$/;
/**
 * What a name may consist of. The functions of node:url read the host of a URL: they would take `/`, `?`, `#` and `\` for the end of the
 * name, decode percent signs, and drop tabs and line ends, so that one name would be taken for another.
 */
const NAME = /^[A-Za-z0-9._\x80-\u{10ffff}-]+$/u;

/**
 * A domain name with its U-labels as A-labels. ASCII text is returned as it is, whether it is a domain name or not.
 *
 * @returns undefined for text beyond ASCII that is no internationalised domain name
 */
export function withALabels(name: string): string | undefined {
  if (ASCII.test(name)) return name;
  const ascii = NAME.test(name) ? domainToASCII(name) : '';
  // Digits of other scripts make the address of a URL's host, which is no name.
  return ascii === '' || isIP(ascii) !== 0 ? undefined : ascii;
}

/** A domain name with its A-labels as U-labels. What is no such name is returned as it is. */
export function withULabels(name: string): string {
  return NAME.test(name) && /xn--/i.test(name) ? domainToUnicode(name) || name : name;
}

/**
 * A domain as it is compared: in lower case, with its U-labels as A-labels (RFC 5890 2.3.2.1), and without a final dot. All spellings of a
 * domain give the same text.
 *
 * @param domain of an address or a host, as it came. Of what is no domain name, only the letter case changes.
 */
export function asciiDomain(domain: string): string {
  const lower = domain.toLowerCase().replace(/\.$/, '');
  return withALabels(lower) ?? lower;
}
