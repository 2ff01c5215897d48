/** The socket a filter listens at, in the notation of libmilter's smfi_setconn (listener.c). */
import { MilterError } from '../../internal/errors.js';

/** What node:net needs to connect. */
export type SocketTarget =
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly family: 4 | 6 };

function inet(spec: string, rest: string, family: 4 | 6): SocketTarget {
  const at = rest.indexOf('@');
  const portText = at < 0 ? rest : rest.slice(0, at);
  const hostText = at < 0 ? '' : rest.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
  const port = Number(portText);
  if (!/^\d{1,5}$/.test(portText) || port < 1 || port > 65535) {
    throw new MilterError(
      'ERR_MILTER_BAD_SOCKET',
      `the socket '${spec}' has no port number from 1 to 65535; write inet:8890@127.0.0.1`,
    );
  }
  const host = hostText === '' ? (family === 4 ? '127.0.0.1' : '::1') : hostText;
  return { host, port, family };
}

/**
 * Reads a socket as it is given to `runmilter` and to libmilter.
 *
 * `unix:/path`, `local:/path` and `/path` name a unix socket; `inet:port@host` and `inet6:port@host` a TCP
 * port. Without a host the filter listens on every address, so this machine's is used: 127.0.0.1 or ::1.
 *
 * @param spec - the socket
 * @returns where to connect to
 * @throws MilterError `ERR_MILTER_BAD_SOCKET` for any other text
 */
export function parseSocketSpec(spec: string): SocketTarget {
  const colon = spec.indexOf(':');
  const kind = colon < 0 || spec.startsWith('/') ? 'unix' : spec.slice(0, colon);
  const rest = colon < 0 || spec.startsWith('/') ? spec : spec.slice(colon + 1);
  if ((kind === 'unix' || kind === 'local') && rest !== '') return { path: rest };
  if (kind === 'inet') return inet(spec, rest, 4);
  if (kind === 'inet6') return inet(spec, rest, 6);
  throw new MilterError(
    'ERR_MILTER_BAD_SOCKET',
    `the socket '${spec}' is none of unix:/path, local:/path, /path, inet:port@host and inet6:port@host`,
  );
}
