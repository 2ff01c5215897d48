/** Tables in text files: a row in each line, columns separated by white space, `#` or `;` at the beginning of a comment. */
import { readFile } from 'node:fs/promises';
import { ConfigError } from '../shared/config-error';

export interface Row {
  readonly columns: readonly string[];
  /** `file:line`, for errors. */
  readonly place: string;
}

/** @throws ConfigError for a file that cannot be read, or a row with another number of columns */
export async function readTable(file: string, columns: readonly string[]): Promise<Row[]> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new ConfigError(`${file}: ${error.message}`);
  });
  return text.split('\n').flatMap((line, index) => {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || /^[#;]/.test(words[0] ?? '')) return [];
    const place = `${file}:${index + 1}`;
    if (words.length === columns.length) return [{ columns: words, place }];
    throw new ConfigError(`${place}: a row has ${columns.length} columns: ${columns.join(', ')}`);
  });
}
