/** The optional packages that the stores rest on, loaded when a store is made. */
import { MilterError } from '../internal/errors.js';

/**
 * Loads a package.
 *
 * @param load requires it; written out by the caller, so that bundlers see the name
 * @throws MilterError ERR_MILTER_MISSING_PACKAGE
 */
export function loadPackage<T>(name: string, wanted: string, load: () => T): T {
  try {
    return load();
  } catch (error) {
    throw missing(name, wanted, error);
  }
}

/** The error for a package that is not there, or does not load on this machine. */
export function missing(name: string, wanted: string, error: unknown): MilterError {
  const { code, message } = error as NodeJS.ErrnoException;
  const advice =
    code === 'MODULE_NOT_FOUND'
      ? `is not installed: npm install ${name}`
      : `does not load: npm rebuild ${name} may help (${message.split('\n', 1)[0]})`;
  return new MilterError('ERR_MILTER_MISSING_PACKAGE', `${wanted}: the package ${name} ${advice}`, {
    cause: error,
  });
}
