/** `tsmilter run --watch`: runs the filter in a process of its own, and starts it again when its files change. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import { EXIT } from '../command.js';
import type { Output } from '../output.js';

/** What is watched, and what is run. */
export interface Watched {
  /** The filter's module; its directory is watched, without node_modules and hidden directories. */
  readonly module: string;
  /** The configuration file, if there is one. */
  readonly config: string | undefined;
  /** The arguments of this program. */
  readonly args: readonly string[];
  readonly output: Output;
}

/** Files that a filter can be made of. Others, such as its socket or a log, change without a restart. */
const SOURCES = new Set(['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.json']);
/** Milliseconds without a further change before the restart: an editor or compiler writes several files. */
const QUIET = 100;

/** What ends the watching; SIGHUP comes when the terminal is closed. */
const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Resolves when a signal has ended it all. libmilter runs once in a process, hence the process of its own. */
export async function watch({ module, config: given, args, output }: Watched): Promise<number> {
  const directory = dirname(module);
  const config = given === undefined ? undefined : resolve(given); // as changes are reported
  const isIgnored = (path: string) =>
    relative(directory, path)
      .split(sep)
      .some((part) => part === 'node_modules' || /^\.[^.]/.test(part));
  const { watch: watchFiles } = await import('chokidar');
  const watcher = watchFiles(config === undefined ? [directory] : [directory, config], {
    ignored: (path) => path !== config && isIgnored(path),
    ignoreInitial: true,
  });
  const filter = new RestartedProcess(
    [...process.execArgv, join(__dirname, '..', 'tsmilter.js'), ...args.filter((arg) => arg !== '--watch')],
    output,
  );
  let timer: NodeJS.Timeout | undefined;
  watcher.on('all', (_event, path) => {
    if (path !== config && !SOURCES.has(extname(path))) return;
    clearTimeout(timer);
    timer = setTimeout(() => void filter.restart(basename(path)), QUIET);
  });
  await Promise.race(END_SIGNALS.map((signal) => once(process, signal)));
  clearTimeout(timer);
  await watcher.close();
  await filter.end();
  return EXIT.ok;
}

/** A process that is started again on request. */
class RestartedProcess {
  readonly #args: readonly string[];
  readonly #output: Output;
  #child: ChildProcess;
  #closed = false;
  /** Restarts and the end follow each other. */
  #last: Promise<void> = Promise.resolve();

  constructor(args: readonly string[], output: Output) {
    this.#args = args;
    this.#output = output;
    this.#child = this.#start();
    // Also after an error, or the filter would go on alone, and keep its socket.
    process.once('exit', () => this.#child.kill('SIGTERM'));
  }

  #start(): ChildProcess {
    const child = spawn(process.execPath, this.#args, { stdio: 'inherit' });
    child.once('exit', (code) => {
      if (code !== 0 && code !== null) this.#output.error('waiting for a change before the next start');
    });
    return child;
  }

  restart(changed: string): Promise<void> {
    this.#last = this.#last.then(async () => {
      if (this.#closed) return;
      this.#output.error(`${changed} has changed: starting again`);
      await this.#stop();
      this.#child = this.#start();
    });
    return this.#last;
  }

  async end(): Promise<void> {
    this.#closed = true;
    await this.#last;
    await this.#stop();
  }

  async #stop(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exit;
  }
}
