/** Where the entries of a list are written: in an array, and in files that are read again when they change. */
import { createReadStream } from 'node:fs';
import { badArgument, MilterError } from '../internal/errors.js';
import { type LineLimits, linesOf } from '../internal/lines.js';
import { type FileErrors, ReloadedFile } from '../internal/reloaded-file.js';
import { checkFunctionOrNull, checkInteger } from '../internal/validate.js';

/** Options of lists. */
export interface ListOptions {
  /** Maximum size of a file in bytes. Default: 67,108,864 (64 MiB). */
  readonly maxBytes?: number;
  /** Maximum length of a line in bytes. Default: 1,024. */
  readonly maxLineLength?: number;
  /** Maximum number of entries of the array, and of each file. Default: 1,000,000; 10,000 for networks. */
  readonly maxEntries?: number;
  /** Milliseconds between checks for changes of the files; 0 disables them. Default: 5,000. */
  readonly pollInterval?: number;
  /** Called with the path after a changed file has been read. Default: not called. */
  readonly onReload?: (file: string) => void;
  /**
   * Called if a changed file cannot be read, or has been removed; its old entries stay in use. It is called once for each such
   * version of the file. Default: writes a line to stderr.
   */
  readonly onError?: (error: MilterError) => void;
}

/** The entries of one file, or of the array. */
export interface Table {
  readonly size: number;
  /** @throws MilterError ERR_MILTER_BAD_ARGUMENT, with a message without position */
  add(entry: string, line: number, file?: string): void;
}

/** Parsed and handed out in one turn of the event loop: some hundred lines. */
const CHUNK_BYTES = 16_384;
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_LINE_LENGTH = 1024;
const POLL_INTERVAL_MS = 5000;

/** The tables of a list, one for the array and one for each file. */
export class Sources<Each extends Table> {
  readonly #inline: Each;
  readonly #files: readonly ReloadedFile<Each>[];

  private constructor(inline: Each, files: readonly ReloadedFile<Each>[]) {
    this.#inline = inline;
    this.#files = files;
  }

  /**
   * Reads all entries. An entry that begins with `/` is the path of a file with more of them.
   *
   * @param where the class, for messages
   * @param create creates an empty table
   */
  static async open<Each extends Table>(
    where: string,
    entries: readonly string[],
    options: ListOptions,
    create: () => Each,
    defaultMaxEntries: number,
  ): Promise<Sources<Each>> {
    const reader = new Reader(where, options, create, defaultMaxEntries);
    const sources = new Sources(reader.tableOf(entries), reader.filesOf(entries));
    await sources.reload();
    for (const file of sources.#files) file.watch();
    return sources;
  }

  get tables(): Each[] {
    return [this.#inline, ...this.#files.map((file) => file.contents)];
  }

  get size(): number {
    return this.tables.reduce((sum, { size }) => sum + size, 0);
  }

  /** Reads the files that have changed. @returns whether there were any */
  async reload(): Promise<boolean> {
    const results = await Promise.allSettled(this.#files.map((file) => file.reload()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return results.some((result) => result.status === 'fulfilled' && result.value);
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}

class Reader<Each extends Table> {
  readonly #where: string;
  readonly #options: ListOptions;
  readonly #create: () => Each;
  readonly #limits: LineLimits & { readonly maxEntries: number };

  constructor(where: string, options: ListOptions, create: () => Each, defaultMaxEntries: number) {
    this.#where = where;
    this.#options = options;
    this.#create = create;
    this.#limits = {
      maxBytes: options.maxBytes ?? MAX_BYTES,
      maxLineLength: options.maxLineLength ?? MAX_LINE_LENGTH,
      maxEntries: options.maxEntries ?? defaultMaxEntries,
    };
    for (const [name, value] of Object.entries(this.#limits)) checkInteger(`${where}: ${name}`, value, 1);
    checkInteger(`${where}: pollInterval`, options.pollInterval ?? 0, 0);
    checkFunctionOrNull(`${where}: onReload`, options.onReload ?? null);
    checkFunctionOrNull(`${where}: onError`, options.onError ?? null);
  }

  tableOf(entries: readonly string[]): Each {
    if (!Array.isArray(entries) || entries.some((entry) => typeof entry !== 'string')) {
      throw badArgument(`${this.#where}: the entries must be an array of strings`);
    }
    const table = this.#create();
    const fail: FileErrors = (message) => badArgument(`${this.#where}: ${message}`);
    for (const [index, entry] of entries.entries()) {
      if (!isFile(entry)) this.#add(table, entry, index + 1, `entry ${index + 1}`, fail);
    }
    return table;
  }

  filesOf(entries: readonly string[]): ReloadedFile<Each>[] {
    const { onReload, onError, pollInterval = POLL_INTERVAL_MS } = this.#options;
    return [...new Set(entries.filter(isFile))].map((file) => {
      const fail: FileErrors = (message, cause) => listError(file, message, cause);
      return new ReloadedFile<Each>(this.#create(), {
        file,
        parse: () => this.#parse(file, fail),
        fail,
        module: 'tsmilter/lists',
        pollInterval,
        onReload: () => onReload?.(file),
        onError,
      });
    });
  }

  /** One entry in each line. Empty lines, and what follows a `#` at the start of a line or after a blank, are comments. */
  async #parse(file: string, fail: FileErrors): Promise<Each> {
    const table = this.#create();
    const chunks = createReadStream(file, { highWaterMark: CHUNK_BYTES });
    for await (const [line, number] of linesOf(chunks, this.#limits, fail)) {
      const entry = withoutComment(line);
      if (entry !== '') this.#add(table, entry, number, `line ${number}`, fail, file);
    }
    return table;
  }

  #add(table: Each, entry: string, line: number, position: string, fail: FileErrors, file?: string): void {
    if (table.size >= this.#limits.maxEntries) {
      throw fail(`has more than ${this.#limits.maxEntries} entries; raise maxEntries if that is intended`);
    }
    try {
      table.add(entry, line, file);
    } catch (error) {
      throw fail(`${position}: ${JSON.stringify(entry)} ${(error as Error).message}`, error);
    }
  }
}

const isFile = (entry: string): boolean => entry.startsWith('/');

function withoutComment(line: string): string {
  if (line.startsWith('#')) return '';
  const comment = line.search(/\s#/);
  return (comment < 0 ? line : line.slice(0, comment)).trim();
}

function listError(file: string, message: string, cause?: unknown): MilterError {
  const options = cause === undefined ? undefined : { cause };
  return new MilterError('ERR_MILTER_LIST', `list ${file}: ${message}`, options);
}
