/** What writes a log: the levels, and the methods, which are pino's. */

/** How serious an entry is. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** From the most detailed to the most serious. */
export const LOG_LEVELS = [
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'fatal',
] as const satisfies readonly LogLevel[];

/** Writes an entry: a text, or fields and a text. Further arguments fill in the text's `%s`, `%d`, `%j` and `%o`. */
export interface LogMethod {
  (fields: object, text?: string, ...args: unknown[]): void;
  (text: string, ...args: unknown[]): void;
}

/** A log; the methods are those of pino. */
export interface Logger extends Readonly<Record<LogLevel, LogMethod>> {
  /** A log whose entries have these fields too. */
  child(fields: Record<string, unknown>): Logger;
  /** Whether entries of this level are written. */
  isLevelEnabled(level: LogLevel): boolean;
}

const ignore: LogMethod = () => {};

/** Writes nothing. */
export const silentLogger: Logger = {
  ...(Object.fromEntries(LOG_LEVELS.map((level) => [level, ignore])) as Record<LogLevel, LogMethod>),
  child: () => silentLogger,
  isLevelEnabled: () => false,
};
