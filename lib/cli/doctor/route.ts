/** A way from an MTA to a filter, as the MTA's configuration has it. */
import { isIP } from 'node:net';
import type { Finding } from '../finding.js';

/** Where a socket is, as seen from outside any chroot. */
export type Target =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'inet'; readonly host: string; readonly port: string };

export interface Timeouts {
  /** Milliseconds for the answer to one command. */
  readonly command: number;
  /** Milliseconds for the end of the message. */
  readonly content: number;
  /** Whether a progress message restarts `content`; otherwise it is the limit of the whole. */
  readonly progressRestarts: boolean;
  /** Whether a progress message must come within `command`. */
  readonly progressWithinCommand: boolean;
  /** The settings, for the cure. */
  readonly names: { readonly command: string; readonly content: string };
}

export interface Route {
  readonly mta: 'Sendmail' | 'Postfix';
  /** The file, and the line or parameter. */
  readonly where: string;
  /** The user that connects. */
  readonly user: string;
  /** The directory that the MTA's process is confined to; null if it is not. */
  readonly chroot: string | null;
  readonly target: Target;
  readonly timeouts: Timeouts;
  /** Sendmail refuses a socket below a directory that its group or others can write to, unless told otherwise. */
  readonly refusesWritableDirectories: boolean;
}

/** What an MTA's configuration says about filters. */
export interface MtaConfiguration {
  readonly routes: readonly Route[];
  readonly findings: readonly Finding[];
}

/** The same socket as each of the three write it. */
export function spellings(target: Target): { libmilter: string; sendmail: string; postfix: string } {
  if (target.kind === 'unix') {
    const { path } = target;
    return { libmilter: `unix:${path}`, sendmail: `local:${path}`, postfix: `unix:${path}` };
  }
  const { host, port } = target;
  const isV6 = isIP(host) === 6;
  const ours = `${isV6 ? 'inet6' : 'inet'}:${port}@${host}`;
  return { libmilter: ours, sendmail: ours, postfix: `inet:${isV6 ? `[${host}]` : host}:${port}` };
}

/** `inet:port@host`, `inet6:port@host`, `unix:/path`, `local:/path`, `/path`: libmilter's and Sendmail's spelling. */
export function fromLibmilter(text: string): Target | null {
  const path = /^(?:unix:|local:)?(\/.+)$/i.exec(text)?.[1];
  if (path !== undefined) return { kind: 'unix', path };
  const [, port, host] = /^inet6?:([\w-]+)(?:@\[?([^@[\]]+)\]?)?$/i.exec(text) ?? [];
  return port === undefined
    ? null
    : { kind: 'inet', port, host: host ?? (/^inet6/i.test(text) ? '::1' : '127.0.0.1') };
}

/** `inet:host:port`, `unix:/path` or `unix:path`: Postfix's spelling. A relative path stays so. */
export function fromPostfix(text: string): Target | null {
  const path = /^(?:unix|local):(.+)$/.exec(text)?.[1];
  if (path !== undefined) return { kind: 'unix', path };
  const [, bracketed, plain, port] = /^inet:(?:\[([^\]]+)\]|([^:@[\]]+)):([\w-]+)$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host === undefined || port === undefined ? null : { kind: 'inet', host, port };
}

/** Whether both name one socket. Loopback names count as one host. */
export function isSame(one: Target, other: Target): boolean {
  if (one.kind === 'unix') return other.kind === 'unix' && one.path === other.path;
  if (other.kind === 'unix' || one.port !== other.port) return false;
  return one.host === other.host || (isLoopback(one.host) && isLoopback(other.host));
}

export const isLoopback = (host: string): boolean => /^(?:127(?:\.\d+){3}|::1|localhost)$/i.test(host);
