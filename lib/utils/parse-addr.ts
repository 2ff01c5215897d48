/** Parses mail addresses of the envelope and of headers. */
import { type AddressPart, scanAddresses } from './address-scan.js';
import { hiddenAddress, readMailbox } from './mailbox.js';

/** A user and the domain after the last `@`, or only a user if there is no `@`. */
export type MailAddress = [user: string] | [user: string, domain: string];

/** Limits of {@link parseaddr}. */
export interface ParseAddressOptions {
  /** Maximum length of the header value in characters. Default: 65,536, the most that an MTA accepts. */
  readonly maxLength?: number;
}

const MAX_LENGTH = 65_536;

/**
 * Splits an address of the envelope into user and domain (pymilter's `parse_addr`). It removes angle brackets, a source route
 * (`@a,@b:user@domain`, RFC 5321 appendix C), and quotes around the user.
 *
 * ```
 * parseAddr('<user@example.com>')            // ['user', 'example.com']
 * parseAddr('@relay.example:user@x.example') // ['user', 'x.example']
 * parseAddr('"user@bogus"@example.com')      // ['user@bogus', 'example.com']
 * parseAddr('"user@bogus"')                  // ['user@bogus']
 * parseAddr('<>')                            // ['']
 * ```
 *
 * Letter case is preserved. Text that is not an address is returned as the user; nothing is thrown.
 */
export function parseAddr(address: string): MailAddress {
  const bare = address.startsWith('<') && address.endsWith('>') ? address.slice(1, -1) : address;
  const path = withoutRoute(bare);
  if (isQuoted(path)) return [path.slice(1, -1)];
  const at = domainAt(path);
  if (at < 0) return [path];
  const user = path.slice(0, at);
  return [isQuoted(user) ? user.slice(1, -1) : user, path.slice(at + 1)];
}

function withoutRoute(path: string): string {
  const colon = path.startsWith('@') ? path.indexOf(':') : -1;
  return colon < 0 ? path : path.slice(colon + 1);
}

function isQuoted(text: string): boolean {
  return text.length > 1 && text.startsWith('"') && text.endsWith('"');
}

/** The index of the `@` before the domain. A domain literal `[…]` may itself contain an `@`. */
function domainAt(path: string): number {
  const literal = path.endsWith(']') ? path.lastIndexOf('@[') : -1;
  return literal < 0 ? path.lastIndexOf('@') : literal;
}

/**
 * The name and the address in a header such as From (pymilter's `parseaddr`). It also accepts malformed and obsolete forms that
 * are common in mail: an unquoted `@` or comma in the name, a quote, parenthesis or angle bracket that is never closed, a
 * route, the name as a comment (RFC 5322 3.4, 4.4). An address in angle brackets wins over others in the same mailbox.
 *
 * ```
 * parseaddr('Foo Bar <foo@bar.example>')             // ['Foo Bar', 'foo@bar.example']
 * parseaddr('foo@bar.example (Foo Bar)')             // ['Foo Bar', 'foo@bar.example']
 * parseaddr('god@heaven <@hop1,@hop2:jeff@spec.org>') // ['god@heaven', 'jeff@spec.org']
 * parseaddr('Bob :( <bob@x.example>')                // ['Bob :(', 'bob@x.example']
 * ```
 *
 * For several addresses, or a group, the first is returned. The name is not decoded. Decode it afterwards with
 * {@link parseHeader}, because a decoded name may contain `<` or a comma. The name and the address are `''` if there is none,
 * or if the value is longer than `maxLength`; nothing is thrown.
 */
export function parseaddr(value: string, options: ParseAddressOptions = {}): [name: string, address: string] {
  if (value.length > (options.maxLength ?? MAX_LENGTH)) return ['', ''];
  const parts = scanAddresses(unfold(value));
  const inGroup = parts.some(({ kind, text }) => kind === 'separator' && text === ';');
  /** Names without an address: an unquoted comma in a name separates them from it. */
  const names: string[] = [];
  let nullName: string | undefined;
  for (const mailbox of mailboxes(parts)) {
    const { name, address, bracketed } = readMailbox(mailbox, inGroup);
    if (address) return [bracketed ? [...names, name].filter(Boolean).join(', ') : name, address];
    if (address === '') nullName ??= name;
    else if (name !== '') names.push(name);
  }
  if (nullName !== undefined) return [nullName, ''];
  const [name = ''] = names;
  const hidden = hiddenAddress(parts, 'quoted');
  if (hidden !== undefined) return [name, hidden];
  return isWord(name) ? ['', name] : [name, ''];
}

/** The parts between separators. */
function* mailboxes(parts: readonly AddressPart[]): Generator<readonly AddressPart[]> {
  let start = 0;
  for (const [at, { kind }] of parts.entries()) {
    if (kind !== 'separator') continue;
    yield parts.slice(start, at);
    start = at + 1;
  }
  yield parts.slice(start);
}

/** Whether the value is one word. Then it is a local address (`MAILER-DAEMON`), not a name. */
function isWord(name: string): boolean {
  return /^[^\s<>]+$/.test(name);
}

/** Unfolds a header (RFC 5322 2.2.3). */
function unfold(value: string): string {
  return value.replace(/\r?\n[ \t]/g, ' ').replace(/[\r\n]/g, ' ');
}
