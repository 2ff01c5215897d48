/** The load generator load.c, compiled when it is first needed. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from './project-root';

const run = promisify(execFile);

/** What to send: see load.c. */
export interface Load {
  readonly connections: number;
  /** Messages per connection. */
  readonly messages: number;
  readonly headers: number;
  /** Bytes in a body. */
  readonly body: number;
  /** Milliseconds between SMTP commands. */
  readonly pause: number;
  /** Messages a second of an open load, all connections together. Default: as fast as the filter allows. */
  readonly rate?: number;
  /** The first header is From. Default: false. */
  readonly from?: boolean;
}

/** The result; p50 and p99 are milliseconds from the final dot to its reply, in an open load also from the whole message's due time. */
export interface LoadResult {
  readonly messages: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly whole50?: number;
  readonly whole99?: number;
  readonly failed: number;
}

/** A connection failed, a message was wrong, or time was up. */
export class LoadError extends Error {
  /** What load.c has printed: its result. Empty if time was up. */
  readonly stdout: string;

  constructor(cause: Error & { stdout?: string }) {
    const stdout = cause.stdout?.trim() ?? '';
    super(`the load failed: ${stdout || cause.message}`, { cause });
    this.name = 'LoadError';
    this.stdout = stdout;
  }
}

async function build(): Promise<string> {
  const source = join(projectRoot, 'tools', 'load.c');
  // Not `load`: require('./load') would find it before load.js.
  const program = join(projectRoot, '.build', 'tools', 'load-generator');
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  mkdirSync(dirname(program), { recursive: true });
  const fresh = `${program}.${process.pid}`;
  await run(process.env.CC ?? 'cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread', '-o', fresh, source]);
  renameSync(fresh, program); // another process may be compiling it too
  return program;
}

/** Sends a load to a filter's socket. @throws LoadError also after `timeout` ms */
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
  if (what.rate !== undefined) args.push('-r', String(what.rate));
  if (what.from) args.push('-f');
  try {
    const { stdout } = await run(program, args, { timeout, killSignal: 'SIGKILL' });
    return JSON.parse(stdout) as LoadResult;
  } catch (error) {
    throw new LoadError(error as Error & { stdout?: string });
  }
}
