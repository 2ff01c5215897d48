/** The log of a filter: what is written to it, and where it goes. */
import { type Logger, silentLogger } from '../internal/logger.js';
import type { Observer } from '../session/observer.js';
import { EntryLogger } from './entry-logger.js';
import { completeLogger, levelOf, passOn } from './given-logger.js';
import { type LineOptions, lineFormat } from './line-format.js';
import { messageLog } from './message-log.js';
import type { GivenLogger, NormalisedLogOptions } from './options.js';
import { unlessLoggerFails } from './tell.js';
import type { WorkerLogItem, WorkerLogSettings } from './worker-log.js';

/** The log in the thread that runs the filter. */
export interface FilterLog {
  readonly logger: Logger;
  /** How workers make their entries. */
  readonly workers: WorkerLogSettings;
  /** Writes what a worker has sent. */
  write(items: readonly WorkerLogItem[]): void;
  /** Resolves when all has been written, or nothing reads it. */
  flush(): Promise<void>;
}

/** Loaded here, because it takes as long as a fifth of the package, and a filter with a log of its own does without. */
const loadLogStream = () => require('./log-stream.js') as typeof import('./log-stream.js');

/** @param name the filter's name */
export function openLog(name: string, { logger, format, level }: NormalisedLogOptions): FilterLog | null {
  if (logger === false) return null;
  if (logger) return givenLog(logger);
  const { isJournal, LogStream } = loadLogStream();
  const lines: LineOptions = { name, format, journal: isJournal() };
  const toLines = lineFormat(lines);
  const lost = (count: number) =>
    toLines({
      level: 'warn',
      time: Date.now(),
      fields: { lost: count },
      text: 'entries of the log were lost',
    });
  const stream = new LogStream(lost);
  return {
    logger: new EntryLogger((entry) => stream.write(toLines(entry), isUrgent(entry.level)), level),
    workers: { level, lines },
    write: (items) => {
      for (const [itemLevel, content] of items) stream.write(content as string, isUrgent(itemLevel));
    },
    flush: () => stream.flush(),
  };
}

/** What follows the sessions of a thread for its log; null if the line for each message would not be written. */
export function logObserver(logger: Logger): Observer | null {
  return logger.isLevelEnabled('info') ? messageLog(logger) : null;
}

const isUrgent = (level: string): boolean => level === 'error' || level === 'fatal';

function givenLog(given: GivenLogger): FilterLog {
  const level = levelOf(given);
  return {
    logger: level ? completeLogger(given) : silentLogger,
    workers: level ? { level, lines: null } : 'silent',
    write: (items) => {
      for (const [itemLevel, content] of items) {
        if (typeof content === 'string') continue;
        // The entry is a worker's, so an error here has no caller that could handle it.
        unlessLoggerFails(() => passOn(given, { level: itemLevel, ...content }));
      }
    },
    flush: async () => {},
  };
}
