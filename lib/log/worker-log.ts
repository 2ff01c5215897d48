/** The log of filters in worker threads: the workers make the entries, and the thread that runs the filter writes them. */
import type { Logger, LogLevel } from '../internal/logger.js';
import { EntryLogger, type LogEntry } from './entry-logger.js';
import { type LineOptions, lineFormat } from './line-format.js';

/**
 * How a worker makes entries: as lines, or as fields for a logger of the application's own. `silent` if that logger writes nothing,
 * so that none have to be made.
 */
export type WorkerLogSettings = 'silent' | WorkerEntrySettings;

/** How entries are made. */
export interface WorkerEntrySettings {
  readonly level: LogLevel;
  readonly lines: LineOptions | null;
}

/** An entry on its way to the main thread: its lines, or the entry itself. */
export type WorkerLogItem = readonly [level: LogLevel, content: string | Omit<LogEntry, 'level' | 'time'>];

/** Milliseconds for which entries are collected before they are sent, and entries after which they are sent at once. */
const SEND_INTERVAL = 50;
const MAX_COLLECTED = 64;
/** Entries that the main thread may be behind; further ones are lost, and counted. */
const MAX_BEHIND = 10_000;

/** A worker's side. */
export class WorkerLog {
  readonly logger: Logger;
  readonly #send: (items: readonly WorkerLogItem[]) => void;
  #items: WorkerLogItem[] = [];
  #behind = 0;
  #lost = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor({ level, lines }: WorkerEntrySettings, send: (items: readonly WorkerLogItem[]) => void) {
    this.#send = send;
    const format = lines && lineFormat(lines);
    this.logger = new EntryLogger(
      (entry) => this.#add(entry.level, format ? format(entry) : cloneable(entry)),
      level,
    );
    process.on('exit', () => this.flush());
  }

  /** The main thread has written that many. */
  written(count: number): void {
    this.#behind -= count;
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0)
      this.logger.warn({ lost }, 'entries of the log were lost, because the main thread was too far behind');
  }

  /** Sends what has been collected. */
  flush(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const items = this.#items;
    if (items.length === 0) return;
    this.#items = [];
    this.#send(items);
  }

  #add(...item: WorkerLogItem): void {
    if (this.#behind >= MAX_BEHIND) {
      this.#lost++;
      return;
    }
    this.#behind++;
    this.#items.push(item);
    const [level] = item;
    if (this.#items.length >= MAX_COLLECTED || level === 'error' || level === 'fatal') this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), SEND_INTERVAL).unref();
  }
}

/** The entry as a message can carry it. */
function cloneable({ fields, text }: LogEntry): Omit<LogEntry, 'level' | 'time'> {
  try {
    return { fields: structuredClone(fields), text };
  } catch {
    const shown = Object.entries(fields).map(([name, value]) => [name, plain(value)]);
    return { fields: Object.fromEntries(shown), text };
  }
}

function plain(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return String(value);
  }
}
