import * as fs from 'node:fs';
import * as net from 'node:net';
import { parseMilterAddress } from './milter-address';
import { until } from './wait';

// Below the range from which Linux takes the ports of outgoing connections, so that none of those can sit on
// a port between our look at it and the MTA's bind.
const firstPort = 10_000;
const portsPerProcess = 24;
const blocks = 900;

// Test files run side by side, each in its own process: starting in a block that is chosen by the process id
// keeps them apart also in the moment when a port is known to be free and not yet taken.
let next = (process.pid % blocks) * portsPerProcess;

/** TCP ports that nobody listens on, neither on 127.0.0.1 nor on ::1. None is given out twice. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  for (let tried = 0; found.length < count; tried++) {
    if (tried === blocks * portsPerProcess) throw new Error('no free TCP port left for the tests');
    const port = firstPort + (next++ % (blocks * portsPerProcess));
    if ((await isFree(port, '127.0.0.1')) && (await isFree(port, '::1'))) found.push(port);
  }
  return found;
}

/** One such port. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      // a machine without IPv6 has nobody on ::1 either
      else if (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT') resolve(true);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Resolves when something listens on each of the TCP ports. The kernel is asked, not the port: connecting to
 * a filter to see whether it is there would be a session of its own. `failure` is asked in between; what it
 * returns ends the wait early.
 */
export async function awaitListening(
  what: string,
  ports: readonly number[],
  timeoutMs: number,
  failure: () => string | undefined = () => undefined,
): Promise<void> {
  await until(`${what} listening on ${ports.join(', ')}`, timeoutMs, () => {
    const reason = failure();
    if (reason) throw new Error(`${what}: ${reason}`);
    const listening = listeningPorts();
    return ports.every((port) => listening.has(port));
  });
}

/**
 * Resolves when a filter listens on its address. A unix socket is then opened to every user, as filters do
 * in real life by group or umask: Postfix connects as an unprivileged account.
 */
export async function awaitFilter(address: string, timeoutMs = 5000): Promise<void> {
  const parsed = parseMilterAddress(address);
  if (parsed.family !== 'unix') return awaitListening('the filter', [parsed.port], timeoutMs);
  await until(`the filter listening on ${parsed.path}`, timeoutMs, () => listensOnPath(parsed.path));
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
  // "Num RefCount Protocol Flags Type St Inode Path"; flag 0x10000 is a socket that accepts. The file alone
  // would not do: it is there from bind on, and connecting before listen is refused.
  return fs
    .readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .some((line) => line.endsWith(` ${path}`) && line.split(/ +/)[3] === '00010000');
}
