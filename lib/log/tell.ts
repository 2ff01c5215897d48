/** What the package itself writes to a log. */
import { errorText } from '../internal/error-text.js';
import type { Logger } from '../internal/logger.js';
import { writeLine } from '../internal/output.js';

/** Writes an entry of level info. It never throws, whatever a logger of the application does: the MTA is waiting. */
export function tell(
  logger: Logger | undefined,
  fields: Readonly<Record<string, unknown>>,
  text: string,
): void {
  unlessLoggerFails(() => logger?.info(fields, text));
}

/** Calls `write`; an error that a logger of the application throws is printed. */
export function unlessLoggerFails(write: () => void): void {
  try {
    write();
  } catch (error) {
    writeLine(process.stderr, `the logger has failed: ${errorText(error)}`);
  }
}
