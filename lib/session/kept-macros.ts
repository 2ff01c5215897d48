/**
 * Macros of a step that is over when its handler runs: a step without reply is collected, and the MTA's next step replaces what
 * it sent for this one. libmilter can be asked for names only, so the values are kept for a set of names: those that Sendmail
 * and Postfix send, those of the class's symbol lists, and those that its handlers have asked for before.
 */
import { MilterError } from '../internal/errors.js';

/**
 * The macros of docs/macros.md, and the others that Postfix can send: first those that say the same from MAIL to the end of the
 * message, which are asked for once in that time. libmilter compares each name with all that the MTA has sent, so this is
 * what keeping macros costs.
 */
const LASTING_MACROS: readonly string[] =
  `j v _ r s {daemon_name} {daemon_addr} {daemon_port} {if_name} {if_addr}
  {client_addr} {client_name} {client_port} {client_ptr} {client_resolve} {client_connections}
  {tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer} {verify}
  {auth_type} {auth_authen} {auth_ssf} {auth_author} {mail_mailer} {mail_host} {mail_addr}`.split(/\s+/);
const CHANGING_MACROS: readonly string[] = 'i b f {rcpt_mailer} {rcpt_host} {rcpt_addr} {msg_id}'.split(' ');

/** Names that a class may add by asking for them. More of them would be made up from what clients send. */
const MAX_ASKED = 64;
const MAX_NAME_LENGTH = 64;

/** A macro's name as it is kept: `{x}` and `x` are the same. */
export function macroName(name: string): string {
  return /^\{.\}$/su.test(name) ? name.slice(1, -1) : name;
}

/**
 * The set of names, as the addon takes it: a line of those that say the same from MAIL to the end of the message, and a line of others.
 * @param asked those of a class, which may be anything
 */
export function keptNames(asked: Iterable<string>): string {
  const others = new Set([...CHANGING_MACROS, ...asked]);
  const lasting = LASTING_MACROS.filter((name) => !others.has(name));
  return `${lasting.join(' ')}\n${[...others].join(' ')}`;
}

/** Adds a name that a handler has asked for to those of its class, for the sessions to come. */
export function addAsked(asked: Set<string>, name: string): void {
  if (asked.size < MAX_ASKED && name.length <= MAX_NAME_LENGTH && !/\s/.test(name))
    asked.add(macroName(name));
}

/** The macros of one event. */
export class KeptMacros {
  readonly #text: string;
  readonly #names: string;

  /**
   * @param text what the MTA had sent: name, NUL, value, NUL, and so on
   * @param names the set, as of {@link keptNames}
   */
  constructor(text: string, names: string) {
    this.#text = text;
    this.#names = names;
  }

  /** The value; null if the MTA had not sent it, undefined if it was not kept. */
  get(name: string): string | null | undefined {
    const kept = macroName(name);
    const value = valueIn(this.#text, kept);
    if (value !== undefined) return value;
    return this.#names.split(/\s/).includes(kept) ? null : undefined;
  }
}

/** The value of one name. A handler asks for few of the thirty or so, so they are not made strings of. */
function valueIn(text: string, name: string): string | undefined {
  for (let at = 0; at < text.length; ) {
    const nameEnd = text.indexOf('\0', at);
    const valueEnd = text.indexOf('\0', nameEnd + 1);
    if (nameEnd - at === name.length && text.startsWith(name, at)) return text.slice(nameEnd + 1, valueEnd);
    at = valueEnd + 1;
  }
  return undefined;
}

/** The error for a name outside the set whose value has perhaps been replaced. */
export function macroNotKept(name: string, step: string): MilterError {
  return new MilterError(
    'ERR_MILTER_MACRO_NOT_KEPT',
    `getsymval: ${name} was not kept for ${step}, which is marked noreply and runs later than the MTA sent it: name it in a symlist ` +
      'of the class, or mark the class immediate (it is kept from the next session on)',
  );
}
