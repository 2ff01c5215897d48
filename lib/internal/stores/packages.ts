/** Loads the optional packages of the stores when a store is created. */
import { MilterError } from '../errors.js';

/**
 * Loads a package.
 *
 * @param load calls `require`, with a literal name that bundlers can see
 * @throws MilterError ERR_MILTER_MISSING_PACKAGE
 */
export function loadPackage<T>(name: string, wanted: string, load: () => T): T {
  try {
    return load();
  } catch (error) {
    throw missingPackage(name, wanted, error);
  }
}

/** The error for a package that is not installed, or cannot be loaded on this machine. */
export function missingPackage(name: string, wanted: string, error: unknown): MilterError {
  const { code, message } = error as NodeJS.ErrnoException;
  const advice =
    code === 'MODULE_NOT_FOUND'
      ? `is not installed; install it with npm install ${name}`
      : `cannot be loaded; npm rebuild ${name} may help (${message.split('\n', 1)[0]})`;
  return new MilterError('ERR_MILTER_MISSING_PACKAGE', `${wanted}: the package ${name} ${advice}`, {
    cause: error,
  });
}
