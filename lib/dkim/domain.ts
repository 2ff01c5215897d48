/** Domain names as signatures and key records hold them. */
import { withALabels } from '../internal/a-labels.js';
import { encodeBytes } from '../internal/bytes.js';

const MAX_NAME = 253;
const MAX_LABEL = 63;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/;

/**
 * A domain name in lower case, with its U-labels as A-labels (RFC 8616 2).
 *
 * @param text bytes as characters are read as UTF-8
 * @returns undefined for what is not a domain name
 */
export function domainName(text: string): string | undefined {
  if (text.length === 0 || text.length > MAX_NAME) return undefined;
  const ascii = withALabels(utf8(text))?.toLowerCase();
  if (ascii === undefined || ascii.length > MAX_NAME) return undefined;
  const labels = ascii.split('.');
  return labels.every((label) => label.length <= MAX_LABEL && LABEL.test(label)) ? ascii : undefined;
}

/** As {@link domainName}, of text that is decoded already, such as a filter's. A dot may end the name. */
export function domainNameOf(text: string): string | undefined {
  return domainName(encodeBytes(text.replace(/\.$/, '')).toString('latin1'));
}

/** Whether a domain is another one or below it; both as {@link domainName} gives them. */
export function isWithin(domain: string, parent: string): boolean {
  return domain === parent || domain.endsWith(`.${parent}`);
}

/** Text with one character for each byte, as text; what came decoded already stays. */
function utf8(text: string): string {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0xff) return text;
  return Buffer.from(text, 'latin1').toString('utf8');
}
