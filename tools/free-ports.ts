import { once } from 'node:events';
import * as net from 'node:net';

// Below the range from which Linux takes the ports of outgoing connections, so that none of those can take a port between
// our look at it and its use.
const firstPort = 10_000;
const portsPerBlock = 24;
const blocks = 900;

/** Of the blocks that this process holds: what has not been returned yet. */
const left: number[] = [];
/** How many blocks it has tried to take. */
let tried = 0;
let taking: Promise<void> | undefined;

/**
 * TCP ports on which nothing listens, neither at 127.0.0.1 nor at ::1. None is returned twice, nor to another process that
 * asks here: even a look at a port, which listens on it for a moment, would be in the way of the one that is to use it.
 */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = left.shift();
    if (port === undefined) await takeBlock();
    else if ((await isFree(port, '127.0.0.1')) && (await isFree(port, '::1'))) found.push(port);
  }
  return found;
}

/** A TCP port on which nothing listens. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

/** Takes a block of ports that no other process holds; callers at the same time share one. */
function takeBlock(): Promise<void> {
  taking ??= searchBlock().finally(() => {
    taking = undefined;
  });
  return taking;
}

async function searchBlock(): Promise<void> {
  while (tried < blocks) {
    // Processes begin at different places, and so seldom meet.
    const block = (process.pid + tried++) % blocks;
    if (!(await holdUntilExit(block))) continue;
    left.push(...Array.from({ length: portsPerBlock }, (_, i) => firstPort + block * portsPerBlock + i));
    return;
  }
  throw new Error('no free TCP port left');
}

/**
 * Whether the block belongs to this process now. What says so is a socket in Linux's abstract namespace, which has no file:
 * one process at a time can listen at a name, until its end, however it ends, and those of one network see each other.
 */
async function holdUntilExit(block: number): Promise<boolean> {
  // Other systems have no such names: there, the places at which processes begin have to do.
  if (process.platform !== 'linux') return true;
  const server = await listen({ path: `\0tsmilter-ports-${block}` });
  server?.unref();
  return server !== undefined;
}

async function isFree(port: number, host: string): Promise<boolean> {
  try {
    const server = await listen({ port, host, exclusive: true });
    if (server === undefined) return false;
    server.close();
    await once(server, 'close');
    return true;
  } catch (error) {
    // on a machine without IPv6 nothing listens at ::1
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return true;
    throw error;
  }
}

/** A server that listens there, or undefined if another one does. */
async function listen(where: net.ListenOptions): Promise<net.Server | undefined> {
  const server = net.createServer();
  try {
    server.listen(where);
    await once(server, 'listening');
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
}
