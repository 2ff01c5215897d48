/** The syntax of sockets in libmilter: `unix:/path`, `local:/path`, `/path`, `inet:port@host`, `inet6:port@host`, `fd:N`; and `fd:NAME`. */
import { checkWord } from '../internal/validate.js';
import { startError } from './start-errors.js';

/** A number or a service's name. libmilter would read the number at its start and ignore the rest. */
const PORT = /^(?:[0-9]+|[A-Za-z][A-Za-z0-9-]*)$/;

/** A number, or the name that systemd gives a socket: printable ASCII without a colon. */
const DESCRIPTOR = /^(?:\d+|[A-Za-z][!-9;-~]{0,254})$/;

function checkInet(spec: string, rest: string): void {
  const [port, host, ...more] = rest.split('@');
  const malformed = port === undefined || !PORT.test(port) || host === '' || more.length > 0;
  if (malformed || (/^\d+$/.test(port) && Number(port) > 65535))
    throw startError('ERR_MILTER_BAD_SOCKET', spec);
}

/** @throws MilterError ERR_MILTER_BAD_SOCKET for a socket that libmilter would misread or refuse */
export function checkSocketSpec(spec: unknown): asserts spec is string {
  checkWord('the socket', spec);
  const colon = spec.indexOf(':');
  if (colon < 0) return; // a path
  const scheme = spec.slice(0, colon).toLowerCase();
  const rest = spec.slice(colon + 1);
  if (rest === '') throw startError('ERR_MILTER_BAD_SOCKET', spec);
  switch (scheme) {
    case '':
    case 'unix':
    case 'local':
      return;
    case 'inet':
    case 'inet6':
      checkInet(spec, rest);
      return;
    case 'fd':
      if (DESCRIPTOR.test(rest)) return;
      break;
  }
  throw startError('ERR_MILTER_BAD_SOCKET', spec);
}
