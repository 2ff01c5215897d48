import { MilterError } from '../internal/errors.js';

/** Creates an error about the map `file`. */
export function mapError(file: string, message: string, cause?: unknown): MilterError {
  const options = cause === undefined ? undefined : { cause };
  return new MilterError('ERR_MILTER_ACCESS_MAP', `access map ${file}: ${message}`, options);
}
