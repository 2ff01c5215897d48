/** A log of the application's own, completed to a {@link Logger}. */
import { LOG_LEVELS, type Logger, type LogLevel } from '../internal/logger.js';
import { EntryLogger, type LogEntry } from './entry-logger.js';
import type { GivenLogger } from './options.js';

/** The least serious level that it writes; null for none. */
export function levelOf(given: GivenLogger): LogLevel | null {
  if (!given.isLevelEnabled) return 'trace';
  return LOG_LEVELS.find((level) => given.isLevelEnabled?.(level)) ?? null;
}

/** Calls the method for an entry's level. */
export function passOn(
  given: GivenLogger,
  { level, fields, text }: Pick<LogEntry, 'level' | 'fields' | 'text'>,
): void {
  if (level === 'trace' && !given.trace) given.debug(fields, text);
  else if (level === 'fatal' && !given.fatal) given.error(fields, text);
  else given[level]?.(fields, text);
}

/** The log itself if it has all methods, as one of pino has. */
export function completeLogger(given: GivenLogger): Logger {
  const { child, isLevelEnabled, trace, fatal } = given;
  if (child && isLevelEnabled && trace && fatal) return given as Logger;
  return new EntryLogger((entry) => passOn(given, entry), levelOf(given) ?? 'fatal');
}
