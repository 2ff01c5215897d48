/** The options of runmilter that say what is logged, and where. */
import { badArgument } from '../internal/errors.js';
import { LOG_LEVELS, type LogLevel } from '../internal/logger.js';
import type { OptionNames } from '../internal/validate.js';

/** A method of a log; it gets fields and a text, or a text alone. */
// biome-ignore lint/suspicious/noExplicitAny: the types of a library's methods differ in ways that do not matter here
export type AnyLogMethod = (...args: any[]) => unknown;

/** A log of the application's own: a pino logger, or anything with these methods of one. */
export interface GivenLogger {
  readonly debug: AnyLogMethod;
  readonly info: AnyLogMethod;
  readonly warn: AnyLogMethod;
  readonly error: AnyLogMethod;
  /** Without it, `debug` is called. */
  readonly trace?: AnyLogMethod;
  /** Without it, `error` is called. */
  readonly fatal?: AnyLogMethod;
  /** Makes a log whose entries have the given fields too. Without it, the fields are passed with each entry. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly child?: (fields: any) => unknown;
  /** Without it, all levels are taken to be written. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly isLevelEnabled?: (level: any) => boolean;
}

/** What is logged, and where. */
export interface LogOptions {
  /**
   * Where the log goes: a pino logger, or anything with its methods; false: no log, and errors in handlers are printed to stderr.
   * Default: lines on stderr.
   */
  logger?: GivenLogger | false;
  /** The form of the lines on stderr. `json` is that of pino. Default `text`. */
  logFormat?: 'text' | 'json';
  /** The least serious level that is written to stderr. The line for each message is of level `info`. Default `info`. */
  logLevel?: LogLevel;
}

export const LOG_OPTIONS: OptionNames<LogOptions> = { logger: true, logFormat: true, logLevel: true };

/** {@link LogOptions}, checked and complete; `logger` is null for lines on stderr. */
export interface NormalisedLogOptions {
  readonly logger: GivenLogger | false | null;
  readonly format: 'text' | 'json';
  readonly level: LogLevel;
}

const NEEDED = ['debug', 'info', 'warn', 'error'] as const;

/** The options with their defaults. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function normaliseLogOptions({ logger, logFormat, logLevel }: LogOptions): NormalisedLogOptions {
  if (logger !== undefined && logger !== false) {
    checkLogger(logger);
    for (const [name, value] of Object.entries({ logFormat, logLevel })) {
      if (value !== undefined)
        throw badArgument(`${name} is for the lines on stderr: leave it out with logger`);
    }
  }
  if (logFormat !== undefined && logFormat !== 'text' && logFormat !== 'json')
    throw badArgument(`logFormat must be 'text' or 'json', not ${String(logFormat)}`);
  if (logLevel !== undefined && !LOG_LEVELS.includes(logLevel))
    throw badArgument(`logLevel must be one of ${LOG_LEVELS.join(', ')}, not ${String(logLevel)}`);
  return { logger: logger ?? null, format: logFormat ?? 'text', level: logLevel ?? 'info' };
}

function checkLogger(logger: GivenLogger): void {
  const missing = NEEDED.find((level) => typeof logger?.[level] !== 'function');
  if (missing === undefined) return;
  throw badArgument(
    `logger must be false, a pino logger, or an object with its methods: ${missing} is not a function of it`,
  );
}
