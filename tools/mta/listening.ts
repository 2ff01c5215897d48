import * as fs from 'node:fs';
import { until } from '../wait';
import { parseMilterAddress } from './milter-address';

/**
 * Resolves when something listens on each of the TCP ports, as the kernel says: connecting to a filter would be a session.
 * What `failure` returns ends the wait early.
 */
export async function awaitListening(
  what: string,
  ports: readonly number[],
  failure: () => string | undefined = () => undefined,
): Promise<void> {
  await until(`${what} listening on ${ports.join(', ')}`, () => {
    const reason = failure();
    if (reason) throw new Error(`${what}: ${reason}`);
    const listening = listeningPorts();
    return ports.every((port) => listening.has(port));
  });
}

/**
 * Resolves when a filter listens at its address. A unix socket is then opened to every user, because Postfix connects as an
 * unprivileged user; in production, filters allow that by the socket's group or the umask.
 */
export async function awaitFilter(address: string): Promise<void> {
  const parsed = parseMilterAddress(address);
  if (parsed.family !== 'unix') return awaitListening('the filter', [parsed.port]);
  await until(`the filter listening on ${parsed.path}`, () => listensOnPath(parsed.path));
  fs.chmodSync(parsed.path, 0o666);
}

function listeningPorts(): Set<number> {
  const ports = new Set<number>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of fs.existsSync(table) ? fs.readFileSync(table, 'latin1').split('\n') : []) {
      // "sl: local_address:port remote_address:port state ...", in hexadecimal; state 0A is LISTEN
      const port = /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:0000 0A /.exec(line)?.[1];
      if (port) ports.add(Number.parseInt(port, 16));
    }
  }
  return ports;
}

function listensOnPath(path: string): boolean {
  // "Num RefCount Protocol Flags Type St Inode Path"; flag 0x10000 is a listening socket. The file alone
  // would not show that: it exists from bind() on, and connecting is refused until listen().
  return fs
    .readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .some((line) => line.endsWith(` ${path}`) && line.split(/ +/)[3] === '00010000');
}
