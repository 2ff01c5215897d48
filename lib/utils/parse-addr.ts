/** Mail addresses of the envelope and of headers. */
import addressparser from 'nodemailer/lib/addressparser';

/** A user and the domain behind the last `@`; without `@` the user alone. */
export type MailAddress = [user: string] | [user: string, domain: string];

/** Limits of {@link parseaddr}. */
export interface ParseAddressOptions {
  /** Longest header value that is looked at, in characters; default 65536, what an MTA takes at most. */
  readonly maxLength?: number;
}

const MAX_LENGTH = 65_536;

/**
 * Splits an address of the envelope into user and domain (pymilter's `parse_addr`): without its angle brackets,
 * without a source route (`@a,@b:user@domain`, RFC 5321 appendix C), and without the quotes around the user.
 *
 * ```
 * parseAddr('<user@example.com>')            // ['user', 'example.com']
 * parseAddr('@relay.example:user@x.example') // ['user', 'x.example']
 * parseAddr('"user@bogus"@example.com')      // ['user@bogus', 'example.com']
 * parseAddr('"user@bogus"')                  // ['user@bogus']
 * parseAddr('<>')                            // ['']
 * ```
 *
 * Letter case is kept, and so is what is not an address: nothing is thrown.
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

/** Where the `@` before the domain is; a domain literal `[…]` may hold one of its own. */
function domainAt(path: string): number {
  const literal = path.endsWith(']') ? path.lastIndexOf('@[') : -1;
  return literal < 0 ? path.lastIndexOf('@') : literal;
}

/**
 * The name and the address of a header such as From (pymilter's `parseaddr`), of the broken forms that are common in
 * mail too: an unquoted `@` or comma in the name, a missing `>`, a route, the name as a comment (RFC 5322 3.4, 4.4).
 *
 * ```
 * parseaddr('Foo Bar <foo@bar.example>')             // ['Foo Bar', 'foo@bar.example']
 * parseaddr('foo@bar.example (Foo Bar)')             // ['Foo Bar', 'foo@bar.example']
 * parseaddr('god@heaven <@hop1,@hop2:jeff@spec.org>') // ['god@heaven', 'jeff@spec.org']
 * ```
 *
 * Of several addresses, or of a group, it is the first. The name is not decoded: {@link parseHeader} does that, and
 * it has to be done afterwards, because a decoded name may contain `<` or a comma. The name and the address are `''`
 * where there is none, or where the value is longer than `maxLength`; nothing is thrown.
 */
export function parseaddr(value: string, options: ParseAddressOptions = {}): [name: string, address: string] {
  if (value.length > (options.maxLength ?? MAX_LENGTH)) return ['', ''];
  const all = addressparser(unfold(value), { flatten: true });
  const found = all.find(({ address }) => address !== '') ?? all[0];
  if (!found) return ['', ''];
  const { name, address } = found;
  return address === '' && isWord(name) && !value.includes('<>') ? ['', name] : [name, address];
}

/** A value that is one word, with or without angle brackets, is a local address (`MAILER-DAEMON`), not a name. */
function isWord(name: string): boolean {
  return name !== '' && !/\s/.test(name);
}

/** Takes back the folds of a long header (RFC 5322 2.2.3). */
function unfold(value: string): string {
  return value.replace(/\r?\n[ \t]/g, ' ').replace(/[\r\n]/g, ' ');
}
