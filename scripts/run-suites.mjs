/**
 * Runs the project's checks and tests; scripts/test calls it, and says how.
 *
 * The last line is always `N passed, N failed`, with `, N skipped` where tests were skipped; the exit code is 0 only
 * when none failed and at least one passed.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import * as parts from './runner/parts.mjs';
import { root } from './runner/processes.mjs';
import { conclude } from './runner/tally.mjs';

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    asan: { type: 'boolean', default: false },
    tsan: { type: 'boolean', default: false },
    node: { type: 'string' },
    coverage: { type: 'boolean', default: false },
  },
});

/** A folder of test/, with its files if `name` is that of a file. */
function suiteOf(name) {
  const file = /\.test\.[mc]?ts$/.test(name) ? path.relative(root, path.resolve(name)) : undefined;
  const folder = file === undefined ? path.basename(name) : file.split(path.sep)[1];
  if (!(folder in parts.FOLDERS)) {
    const known = [...Object.keys(parts.FOLDERS), ...Object.keys(parts.PARTS)].join(', ');
    console.error(`scripts/test: "${name}" is none of ${known}, and no .test.ts file under test/`);
    process.exit(2);
  }
  return { name: folder, files: file === undefined ? undefined : [file] };
}

/** A part of the whole run, or a folder or file of test/ in one way of running it. */
async function runNamed(name) {
  const special = options.asan || options.tsan || options.node !== undefined;
  if (!special && name in parts.PARTS) return parts.PARTS[name]();
  const { name: folder, files } = suiteOf(name);
  if (options.asan) return parts.underSanitizer('asan', [folder], files);
  if (options.tsan) return parts.underSanitizer('tsan', [folder], files);
  if (options.node !== undefined) return parts.versions([Number(options.node)], folder, files);
  return parts.folders('tests', [{ name: folder, files }]);
}

/** What was asked for, one after the other; yields the tallies. */
async function* runAll() {
  if (options.coverage) {
    yield* names.length > 0 ? await parts.coverage(names.map(suiteOf)) : await parts.main();
    return;
  }
  const all = names.length > 0 ? names.map((name) => () => runNamed(name)) : parts.WHOLE;
  for (const part of all) yield* [await part()].flat();
}

const { tally, usable } = await parts.build(names.length === 0 && !options.coverage);
const tallies = [tally];
if (usable) {
  for await (const one of runAll()) tallies.push(one);
}
process.exitCode = conclude(tallies);
