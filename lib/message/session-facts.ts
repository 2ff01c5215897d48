/** What the MTA says about a session, by name instead of by macro, the same with Sendmail and with Postfix. */
import { AF_INET, AF_INET6, AF_UNIX, type Peer } from '../session/hostaddr.js';

/** Gets a macro of the MTA; see {@link Context.getsymval}. */
export type Macros = (name: string) => string | null;

/** The SMTP client. */
export interface ClientFacts {
  /** Its name, if DNS gives it for the address and the address for the name; otherwise null. */
  readonly name: string | null;
  /** The name or `[address]` that the MTA uses in Received. */
  readonly hostname: string;
  /** Its IP address; null for a local submission. */
  readonly address: string | null;
  /** Its TCP port; null for a local submission. */
  readonly port: number | null;
  readonly family: 'inet' | 'inet6' | 'unix' | 'unknown';
}

/** The TLS connection of an SMTP session (RFC 3207). */
export interface TlsFacts {
  /** Such as `TLSv1.3`. */
  readonly version: string;
  /** The name of the cipher suite. */
  readonly cipher: string | null;
  /** The strength of the cipher in bits. */
  readonly bits: number | null;
  /** The subject of the client's certificate; null if it has shown none. */
  readonly subject: string | null;
  /** The issuer of the client's certificate. */
  readonly issuer: string | null;
}

/** The login of an SMTP session (RFC 4954). */
export interface AuthFacts {
  /** Such as `PLAIN`. */
  readonly mechanism: string;
  /** The user that has logged in. */
  readonly user: string;
  /** The identity that the user acts for (the AUTH parameter of MAIL); null if none is given. */
  readonly author: string | null;
}

/** The facts about the client that connect was given. */
export function clientFacts(hostname: string, peer: Peer | [], macros: Macros): ClientFacts {
  const [family, hostaddr] = peer;
  const [address, port] = Array.isArray(hostaddr) ? [hostaddr[0], hostaddr[1]] : [null, null];
  // Sendmail says so in the macro that it writes to Received; both write an address in brackets if they have no name.
  const forged = macros('_')?.includes('(may be forged)') ?? false;
  const named = !hostname.startsWith('[') && hostname !== 'unknown' && !forged && address !== null;
  return {
    name: named ? hostname : null,
    hostname,
    address,
    port,
    family: FAMILIES.get(family ?? 0) ?? 'unknown',
  };
}

/** By the numbers of {@link Peer}. */
const FAMILIES: ReadonlyMap<number, ClientFacts['family']> = new Map([
  [AF_UNIX, 'unix'],
  [AF_INET, 'inet'],
  [AF_INET6, 'inet6'],
] as const);

/** The facts about TLS; null if the session is not encrypted. From EHLO on. */
export function tlsFacts(macros: Macros): TlsFacts | null {
  const version = macros('{tls_version}');
  if (!version) return null;
  const bits = Number(macros('{cipher_bits}') || Number.NaN);
  return {
    version,
    cipher: macros('{cipher}') || null,
    bits: Number.isFinite(bits) ? bits : null,
    subject: macros('{cert_subject}') || null,
    issuer: macros('{cert_issuer}') || null,
  };
}

/** The facts about the login; null if the client has not logged in. From MAIL on. */
export function authFacts(macros: Macros): AuthFacts | null {
  const [mechanism, user] = [macros('{auth_type}'), macros('{auth_authen}')];
  if (!mechanism || !user) return null;
  return { mechanism, user, author: macros('{auth_author}') || null };
}
