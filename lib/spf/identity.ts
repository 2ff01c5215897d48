/** The identity that is checked: the sender, or the HELO name. */
import { withALabels } from '../internal/a-labels.js';
import { checkableDomain } from './names.js';
import type { SpfIdentity, SpfQuery } from './types.js';

/** The identity that is checked (RFC 7208 2.3, 2.4). */
export interface Identity {
  readonly kind: SpfIdentity;
  /** The `<sender>` argument of check_host(), which always has a local part (RFC 7208 4.3). */
  readonly sender: string;
  readonly local: string;
  /** As it is spelled in DNS, if it is a valid name. */
  readonly domain: string;
  /** Whether the domain can have a record (RFC 7208 4.3). */
  readonly checkable: boolean;
}

const POSTMASTER = 'postmaster';

export function identityOf(query: SpfQuery, kind: SpfIdentity): Identity {
  const path = pathOf(query.sender);
  const [local, domain] = kind === 'helo' || path === '' ? [POSTMASTER, query.helo] : partsOf(path);
  // Macros of a record can put a space into a name, but no domain of a sender has one (RFC 5321 4.1.2).
  const name = domain.includes(' ') ? undefined : checkableDomain(withALabels(domain) ?? '');
  const spelling = name ?? domain;
  const sender = spelling === '' ? local : `${local}@${spelling}`;
  return { kind, sender, local, domain: spelling, checkable: name !== undefined };
}

/** Removes angle brackets and an obsolete source route (RFC 5321 4.1.1.3), as in `@relay.example:ann@example.com`. */
function pathOf(sender: string): string {
  const path = sender.startsWith('<') && sender.endsWith('>') ? sender.slice(1, -1) : sender;
  const colon = path.indexOf(':');
  return path.startsWith('@') && colon > 0 && colon < path.lastIndexOf('@') ? path.slice(colon + 1) : path;
}

/** Splits a sender at its last `@`. A sender without a domain is a local user. */
function partsOf(path: string): [local: string, domain: string] {
  const at = path.lastIndexOf('@');
  if (at < 0) return [path, ''];
  return [path.slice(0, at) || POSTMASTER, path.slice(at + 1)];
}
