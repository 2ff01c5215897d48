/** Reads small text files. */
import { readFileSync, statSync } from 'node:fs';
import { configError } from './config-error.js';

/**
 * Reads a regular file of at most `maxSize` bytes. Other files, such as devices and pipes, may have no end.
 *
 * @throws MilterError ERR_MILTER_CONFIG, or the error of the system
 */
export function readText(file: string, maxSize: number): string {
  const stats = statSync(file);
  if (!stats.isFile()) throw configError(`${file}: not a regular file`);
  if (stats.size > maxSize) {
    throw configError(`${file}: ${stats.size} bytes; the limit is ${maxSize} (option maxFileSize)`);
  }
  return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
}
