import { MilterError } from '../internal/errors.js';

/** Creates an error about a configuration file; the message says where it is. */
export function configError(message: string): MilterError {
  return new MilterError('ERR_MILTER_CONFIG', message);
}
