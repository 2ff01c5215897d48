/** A logger that makes entries, and passes them on to whatever writes them. */
import { format } from 'node:util';
import { LOG_LEVELS, type Logger, type LogLevel, type LogMethod } from '../internal/logger.js';

/** Fields by name. */
export type Fields = Readonly<Record<string, unknown>>;

/** What is written: a text, and what belongs to it. */
export interface LogEntry {
  readonly level: LogLevel;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly fields: Fields;
  readonly text: string;
}

/** Takes entries; it must not throw. */
export type LogSink = (entry: LogEntry) => void;

export class EntryLogger implements Logger {
  readonly trace = this.#method('trace');
  readonly debug = this.#method('debug');
  readonly info = this.#method('info');
  readonly warn = this.#method('warn');
  readonly error = this.#method('error');
  readonly fatal = this.#method('fatal');
  readonly #sink: LogSink;
  readonly #least: number;
  readonly #fields: Fields;
  /** Whether there are no fields to add. */
  readonly #bare: boolean;

  /** @param level the least serious level that is passed on */
  constructor(sink: LogSink, level: LogLevel, fields: Fields = {}) {
    this.#sink = sink;
    this.#least = LOG_LEVELS.indexOf(level);
    this.#fields = fields;
    this.#bare = Object.keys(fields).length === 0;
  }

  child(fields: Fields): Logger {
    return new EntryLogger(this.#sink, LOG_LEVELS[this.#least] as LogLevel, { ...this.#fields, ...fields });
  }

  isLevelEnabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >= this.#least;
  }

  #method(level: LogLevel): LogMethod {
    const rank = LOG_LEVELS.indexOf(level);
    return (first: unknown, ...rest: unknown[]) => {
      if (rank < this.#least) return;
      const withFields = typeof first === 'object' && first !== null;
      const [text = '', ...args] = withFields ? rest : [first, ...rest];
      const fields = withFields ? fieldsOf(first) : {};
      this.#sink({
        level,
        time: Date.now(),
        // What a child logger stands for, such as a session, is not for one entry to change.
        fields: this.#bare ? fields : { ...this.#fields, ...fields, ...this.#fields },
        text: args.length > 0 ? format(text, ...args) : String(text),
      });
    };
  }
}

/** As pino has it, an error in place of fields is the field `err`. */
function fieldsOf(first: object): Fields {
  return first instanceof Error ? { err: first } : (first as Fields);
}
