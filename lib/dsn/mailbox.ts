/** Addresses of untrusted senders as arguments of SMTP commands. */
import { withALabels } from '../internal/a-labels.js';

/** An address that can be asked about. */
export interface Mailbox {
  /** The domain in ASCII, or an address literal. */
  readonly domain: string;
  /** The address as it is written in commands. */
  readonly path: string;
  /** Whether the host has to support SMTPUTF8 (RFC 6531). */
  readonly utf8: boolean;
}

/** The maximum length of a path in MAIL and RCPT (RFC 5321 4.5.3.1.3), without its angle brackets. */
const MAX_PATH_LENGTH = 254;
/** Characters of a local part without quotes. Dots may stand anywhere: there are mailboxes such as `a..b.` (RFC 5321 4.1.2). */
const PLAIN = /^[^\s"(),:;<>@[\\\]\p{C}\p{Z}]+$/u;
const QUOTED = /^"(?:[^"\\\p{C}\p{Zl}\p{Zp}]|\\[\x20-\x7e])*"$/u;
const ASCII = /^[\x20-\x7e]*$/;
const LITERAL = /^\[[0-9a-z.:]+\]$/i;
const DOMAIN = /^[0-9a-z_](?:[0-9a-z_.-]*[0-9a-z_])?\.?$/i;

/**
 * Parses `user@domain`, with or without angle brackets.
 *
 * @returns undefined if it is malformed, or too long; nothing that it returns can begin another command
 */
export function readMailbox(address: string): Mailbox | undefined {
  const bare = address.startsWith('<') && address.endsWith('>') ? address.slice(1, -1) : address;
  const at = bare.lastIndexOf('@');
  const local = bare.slice(0, Math.max(at, 0));
  const domain = asciiDomain(bare.slice(at + 1));
  if (domain === undefined || !(PLAIN.test(local) || QUOTED.test(local))) return undefined;
  const path = `${local}@${domain}`;
  if (Buffer.byteLength(path) > MAX_PATH_LENGTH) return undefined;
  return { domain, path, utf8: !ASCII.test(local) };
}

function asciiDomain(domain: string): string | undefined {
  const ascii = withALabels(domain);
  return ascii !== undefined && (LITERAL.test(ascii) || DOMAIN.test(ascii)) ? ascii : undefined;
}
