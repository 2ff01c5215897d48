/** Small text files, read whole. */
import { readFileSync, statSync } from 'node:fs';
import { configError } from './config-error.js';

/**
 * Reads a regular file of at most `maxSize` bytes; anything else (a device, a pipe) could be endless.
 *
 * @throws MilterError ERR_MILTER_CONFIG, or the system's own error
 */
export function readText(file: string, maxSize: number): string {
  const stats = statSync(file);
  if (!stats.isFile()) throw configError(`${file}: not a regular file`);
  if (stats.size > maxSize) {
    throw configError(`${file}: ${stats.size} bytes; the limit is ${maxSize} (option maxFileSize)`);
  }
  return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
}
