/** What is wrong with a configuration file, and where. */
import { MilterError } from '../internal/errors.js';

export function configError(message: string): MilterError {
  return new MilterError('ERR_MILTER_CONFIG', message);
}
