/** Small trees of files that a script of the repository is tried on. They are removed after the tests of the file. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tsmilter-trees-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Makes a tree, from texts by path; returns its path. */
export function tree(files: Record<string, string>): string {
  const top = fs.mkdtempSync(path.join(folder, 'tree-'));
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(top, name)), { recursive: true });
    fs.writeFileSync(path.join(top, name), text);
  }
  return top;
}
