/** Whose record is looked for. */
import { domainToASCII } from 'node:url';
import { checkableDomain } from './names.js';
import { isPrintable } from './text.js';
import type { SpfIdentity, SpfQuery } from './types.js';

/** The name that is checked (RFC 7208 2.3, 2.4). */
export interface Identity {
  readonly kind: SpfIdentity;
  /** As check_host() wants it: with a local part always (4.3). */
  readonly sender: string;
  readonly local: string;
  /** Its spelling in DNS where it has one. */
  readonly domain: string;
  /** Whether a domain can be asked for at all (4.3). */
  readonly checkable: boolean;
}

const POSTMASTER = 'postmaster';

export function identityOf(query: SpfQuery, kind: SpfIdentity): Identity {
  const path = pathOf(query.sender);
  const [local, domain] = kind === 'helo' || path === '' ? [POSTMASTER, query.helo] : partsOf(path);
  const name = checkableDomain(inAscii(domain));
  const spelling = name ?? domain;
  const sender = spelling === '' ? local : `${local}@${spelling}`;
  return { kind, sender, local, domain: spelling, checkable: name !== undefined };
}

/** RFC 8616 4: U-labels as A-labels. Empty where there are none. */
function inAscii(domain: string): string {
  return isPrintable(domain) ? domain : domainToASCII(domain);
}

/** Without brackets, and without the route of old (RFC 5321 4.1.1.3): `@relay.example:ann@example.com`. */
function pathOf(sender: string): string {
  const path = sender.startsWith('<') && sender.endsWith('>') ? sender.slice(1, -1) : sender;
  const colon = path.indexOf(':');
  return path.startsWith('@') && colon > 0 && colon < path.lastIndexOf('@') ? path.slice(colon + 1) : path;
}

/** A sender without a domain is someone of this host. */
function partsOf(path: string): [local: string, domain: string] {
  const at = path.lastIndexOf('@');
  if (at < 0) return [path, ''];
  return [path.slice(0, at) || POSTMASTER, path.slice(at + 1)];
}
