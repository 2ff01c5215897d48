/** A real redis-server on a unix socket in a private directory. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { privateDirectory, removeDirectory } from './private-directory';

/**
 * The server and the checker of its dumps are one program, whose name decides what it does. Debian has the program in
 * redis-tools; its package redis-server adds only the name and a service that starts at boot.
 */
const PROGRAMS = ['redis-server', 'redis-check-rdb'];

const START_MS = 20_000;
const STOP_MS = 20_000;

export class RedisServer implements AsyncDisposable {
  /** The unix socket's path. */
  readonly path: string;
  readonly #dir: string;
  readonly #port: number;
  #child: ChildProcess | undefined;

  private constructor(port: number) {
    this.#dir = privateDirectory('redis');
    this.path = join(this.#dir, 'sock');
    this.#port = port;
  }

  /** @param port a port of 127.0.0.1 to listen on as well; 0 for none */
  static async start(port = 0): Promise<RedisServer> {
    const server = new RedisServer(port);
    await server.start();
    return server;
  }

  /** Starts it, again after `stop()`. Nothing is kept from before. */
  async start(): Promise<void> {
    const settings = { port: this.#port, bind: '127.0.0.1', unixsocket: this.path, dir: this.#dir, save: '' };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const child = spawn(findProgram(), args, {
      argv0: 'redis-server',
      // A sanitizer that is preloaded into this process must not be into Redis, which may have its own allocator.
      env: { ...process.env, LD_PRELOAD: undefined },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    process.once('exit', this.#kill);
    let output = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
    for await (const line of createInterface({ input: child.stdout })) {
      output += `${line}\n`;
      // The unix socket's line is the last: "The server is now ready to accept connections at /path" up to Redis 7.0,
      // "Ready to accept connections unix" since.
      if (/ready to accept connections (?:at \/|unix)/i.test(line)) {
        clearTimeout(timer);
        child.stdout.resume(); // so that it never waits for a reader
        return;
      }
    }
    clearTimeout(timer);
    throw new Error(`redis-server did not start:\n${output}`);
  }

  /** Sends SIGSTOP: it accepts connections but does not answer. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  /** Sends SIGCONT. */
  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    process.off('exit', this.#kill);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    removeDirectory(this.#dir);
  }

  readonly #kill = (): void => {
    this.#child?.kill('SIGKILL');
  };
}

function findProgram(): string {
  const found = PROGRAMS.find(
    (program) => spawnSync(program, ['--version'], { argv0: 'redis-server' }).status === 0,
  );
  if (!found) throw new Error("redis-server is not there: run 'scripts/install-tools test'");
  return found;
}
