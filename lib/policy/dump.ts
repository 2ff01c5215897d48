/** Reads a compiled map with the MTA's own program, the one that surely knows the format. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mapError } from './map-error.js';
import type { MapType } from './map-type.js';

/** The MTA's programs, and how to run them. */
export interface DumpPrograms {
  /** Sendmail's `makemap`. Default: the first there is of `/usr/sbin`, `/usr/libexec/sendmail`, ... */
  readonly makemap?: string;
  /** Postfix's `postmap`. Default: the first there is of `/usr/sbin`, `/usr/local/sbin`, ... */
  readonly postmap?: string;
  /** Set in the program's environment besides, `MAIL_CONFIG` say. Default: nothing. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds the program has; it also waits where another one is writing the map. Default: 30,000. */
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

/** What the programs add to the name they are given. */
const SUFFIX = { hash: '.db', btree: '.db', lmdb: '.lmdb' } as const;

/** Of what a program says on stderr. */
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
  // What the user names is used, and nothing else in its place.
  const makemaps = makemap !== undefined ? [makemap] : postmap !== undefined ? [] : MAKEMAP;
  const sendmails = type === 'lmdb' ? undefined : makemaps.find(isExecutable);
  // Without -C it wants a sendmail.cf, which says nothing about reading.
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
 * What the MTA's program prints of the map. Ends with an error where it fails; the program is killed when it takes too
 * long, or when nobody wants the rest.
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
  // 'close' comes when the output has been read as well; listened for now, because it may come before the last chunk is used
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
