/** Domain names as SPF has them. */
import { askableName } from '../dns/names.js';

/** RFC 1035 2.3.4, without the dot at the end. */
const MAX_NAME_LENGTH = 253;

/**
 * A domain that check_host() can be asked about: several labels, none empty or too long (RFC 7208 4.3). An address
 * literal, `[192.0.2.1]`, is none, and neither is a bare address.
 *
 * @returns it without the dot at its end; undefined where it is malformed
 */
export function checkableDomain(text: string): string | undefined {
  const name = askableName(text);
  const dot = name?.lastIndexOf('.') ?? -1;
  return dot >= 0 && isTopLabel((name as string).slice(dot + 1)) ? name : undefined;
}

/** `toplabel` of RFC 7208 7.1: letters, digits and hyphens, these not at the ends, and not digits alone. */
export function isTopLabel(label: string): boolean {
  return (
    /^[a-z0-9-]+$/i.test(label) && !/^\d+$/.test(label) && !label.startsWith('-') && !label.endsWith('-')
  );
}

/** As much of a name as DNS can have: labels are taken off its left end (RFC 7208 7.3). Empty where one label is too long. */
export function fittedName(text: string): string {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  if (name.length <= MAX_NAME_LENGTH) return name;
  const dot = name.indexOf('.', name.length - MAX_NAME_LENGTH - 1);
  return dot < 0 ? '' : name.slice(dot + 1);
}

/** Whether `name` is `domain` or below it. */
export function isWithin(name: string, domain: string): boolean {
  const [one, other] = [name.toLowerCase(), domain.toLowerCase()];
  return one === other || one.endsWith(`.${other}`);
}
