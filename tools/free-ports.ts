import * as net from 'node:net';

// Below the range from which Linux takes the ports of outgoing connections, so that none of those can take a port between
// our look at it and its use.
const firstPort = 10_000;
const portsPerProcess = 24;
const blocks = 900;

// Test files run side by side, each in a process of its own. Each begins in a block of ports that depends on its process id,
// so that no two of them take the same port between the look and the use.
let next = (process.pid % blocks) * portsPerProcess;

/** TCP ports on which nothing listens, neither at 127.0.0.1 nor at ::1. None is returned twice. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  for (let tried = 0; found.length < count; tried++) {
    if (tried === blocks * portsPerProcess) throw new Error('no free TCP port left');
    const port = firstPort + (next++ % (blocks * portsPerProcess));
    if ((await isFree(port, '127.0.0.1')) && (await isFree(port, '::1'))) found.push(port);
  }
  return found;
}

/** A TCP port on which nothing listens. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      // on a machine without IPv6 nothing listens at ::1
      else if (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT') resolve(true);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
