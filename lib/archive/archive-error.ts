/** Errors of archives and of saved messages. */
import { MilterError } from '../internal/errors.js';

/** The error for a file or directory that cannot be used, with its name. */
export function archiveError(path: string, message: string, cause?: unknown): MilterError {
  return new MilterError('ERR_MILTER_ARCHIVE', `${path}: ${message}`, cause === undefined ? {} : { cause });
}

/** What a file is not that begins in another way. */
export const NO_MAILBOX = 'is not a mailbox: it does not begin with "From "';
