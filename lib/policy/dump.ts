/** Reads a compiled map with the program of the MTA, which knows its own format. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mapError } from './map-error.js';
import type { MapType } from './map-type.js';

/** Programs of the MTA, and options for running them. */
export interface DumpPrograms {
  /** The path of Sendmail's `makemap`. Default: the first one found in `/usr/sbin`, `/usr/libexec/sendmail`, ... */
  readonly makemap?: string;
  /** The path of Postfix's `postmap`. Default: the first one found in `/usr/sbin`, `/usr/local/sbin`, ... */
  readonly postmap?: string;
  /** Additional environment variables for the program, such as `MAIL_CONFIG`. Default: none. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds that the program may run, including any wait for a program that is writing the map. Default: 30,000. */
  readonly programTimeout?: number;
}

const MAKEMAP = [
  '/usr/sbin/makemap',
  '/usr/libexec/sendmail/makemap',
  '/usr/lib/sendmail/makemap',
  '/usr/local/sbin/makemap',
  '/usr/bin/makemap',
];
const POSTMAP = ['/usr/sbin/postmap', '/usr/local/sbin/postmap', '/usr/bin/postmap'];

/** The suffixes that the programs add to the name of a map. */
const SUFFIX = { hash: '.db', btree: '.db', lmdb: '.lmdb' } as const;

/** The output of a program on stderr is cut to this length. */
const MAX_STDERR_LENGTH = 4096;

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The command that prints the map. */
function commandFor(
  file: string,
  type: Exclude<MapType, 'text'>,
  { makemap, postmap }: DumpPrograms,
): [program: string, args: string[]] {
  const suffix = SUFFIX[type];
  if (!file.endsWith(suffix)) {
    throw mapError(
      file,
      `is a ${type} database; its name must end in ${suffix} for makemap and postmap to find it`,
    );
  }
  const base = file.slice(0, -suffix.length);
  // A program that the user has configured is not replaced by another one.
  const makemaps = makemap !== undefined ? [makemap] : postmap !== undefined ? [] : MAKEMAP;
  const sendmails = type === 'lmdb' ? undefined : makemaps.find(isExecutable);
  // Without -C makemap requires a sendmail.cf, which has no influence on reading.
  if (sendmails !== undefined) return [sendmails, ['-C', '/dev/null', '-u', type, base]];
  const postfixes = (postmap !== undefined ? [postmap] : POSTMAP).find(isExecutable);
  if (postfixes !== undefined) return [postfixes, ['-s', `${type}:${base}`]];
  const named = [makemap, postmap].filter((program) => program !== undefined);
  const tried =
    named.length > 0 ? `${named.join(', ')} cannot be run` : 'neither makemap nor postmap was found';
  throw mapError(
    file,
    `is a ${type} database, and ${tried}; set the option makemap or postmap, or name the source text`,
  );
}

/**
 * Yields the output of the MTA's program for a map, and throws if the program fails. The program is killed if it takes too long,
 * or if the consumer stops early.
 */
export async function* dumpOf(
  file: string,
  type: Exclude<MapType, 'text'>,
  programs: DumpPrograms,
): AsyncGenerator<Buffer> {
  const [program, args] = commandFor(file, type, programs);
  const timeout = programs.programTimeout ?? 30_000;
  const child = spawn(program, args, {
    env: { ...process.env, ...programs.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout,
    killSignal: 'SIGKILL',
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(0, MAX_STDERR_LENGTH);
  });
  // 'close' is emitted once the output has been read. The listener is added now, because that may be before the last chunk has
  // been consumed.
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(`took longer than ${timeout} ms, or was killed`);
      else resolve(code === 0 ? '' : `ended with ${code ?? signal}`);
    });
  });
  try {
    yield* child.stdout;
    const failure = await ended;
    if (failure !== '') {
      throw mapError(
        file,
        `${[program, ...args].join(' ')}: ${[failure, stderr.trim()].filter(Boolean).join(': ')}`,
      );
    }
  } finally {
    child.kill('SIGKILL');
  }
}
