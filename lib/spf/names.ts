/** Domain names in SPF. */
import { escapedName, MAX_NAME_LENGTH, validDnsName } from '../dns/names.js';

/**
 * Validates a domain for check_host(): it must have several labels, none empty or too long (RFC 7208 4.3). An IP address and
 * an address literal such as `[192.0.2.1]` are not valid.
 *
 * @returns the domain without a final dot, or undefined if it is malformed
 */
export function checkableDomain(text: string): string | undefined {
  const name = validDnsName(text);
  const dot = name?.lastIndexOf('.') ?? -1;
  return dot >= 0 && isTopLabel((name as string).slice(dot + 1)) ? name : undefined;
}

/** `toplabel` of RFC 7208 7.1: letters, digits and inner hyphens, but not only digits. */
export function isTopLabel(label: string): boolean {
  return (
    /^[a-z0-9-]+$/i.test(label) && !/^\d+$/.test(label) && !label.startsWith('-') && !label.endsWith('-')
  );
}

/** Removes labels from the left of a name that is too long for DNS (RFC 7208 7.3). Empty if a single label is too long. */
export function truncatedName(text: string): string {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  if (name.length <= MAX_NAME_LENGTH) return name;
  const dot = name.indexOf('.', name.length - MAX_NAME_LENGTH - 1);
  return dot < 0 ? '' : name.slice(dot + 1);
}

/**
 * A name that macros have expanded to, shortened if necessary, as DNS is asked for it. All its characters are meant as they are:
 * the result of an expansion is not subject to any further escaping (RFC 7208 7.3).
 *
 * @returns undefined if it is not valid in DNS
 */
export function askableName(text: string): string | undefined {
  const name = validDnsName(truncatedName(text));
  return name === undefined ? undefined : escapedName(name);
}

/** Whether `name` is `domain` or a subdomain of it. */
export function isWithin(name: string, domain: string): boolean {
  const [one, other] = [name.toLowerCase(), domain.toLowerCase()];
  return one === other || one.endsWith(`.${other}`);
}
