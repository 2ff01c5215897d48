/** The C load generator of bench/load.c, built when it is first needed. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What to send: see bench/load.c. */
export interface Load {
  readonly connections: number;
  /** Messages per connection. */
  readonly messages: number;
  readonly headers: number;
  /** Bytes in a body. */
  readonly body: number;
  /** Milliseconds between SMTP commands. */
  readonly pause: number;
}

/** What came of it: times in milliseconds from the final dot to its answer. */
export interface LoadResult {
  readonly messages: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
}

function rootOf(directory: string): string {
  return existsSync(join(directory, 'package.json')) ? directory : rootOf(dirname(directory));
}

async function build(): Promise<string> {
  const root = rootOf(dirname(__dirname));
  const source = join(root, 'bench', 'load.c');
  const program = join(root, '.build', 'bench', 'load');
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  mkdirSync(dirname(program), { recursive: true });
  const fresh = `${program}.${process.pid}`;
  await run(process.env.CC ?? 'cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread', '-o', fresh, source]);
  renameSync(fresh, program); // another test may be building as well
  return program;
}

/** Sends a load to a filter's socket. @throws where a connection failed, or after `timeout` ms */
export async function load(socket: string, what: Load, timeout = 120_000): Promise<LoadResult> {
  const program = await build();
  const args = Object.entries({
    s: socket,
    c: what.connections,
    m: what.messages,
    h: what.headers,
    b: what.body,
    p: what.pause,
  }).flatMap(([letter, value]) => [`-${letter}`, String(value)]);
  const { stdout } = await run(program, args, { timeout, killSignal: 'SIGKILL' });
  return JSON.parse(stdout) as LoadResult;
}
