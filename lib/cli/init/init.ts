/** `tsmilter init`: writes a project. */
import { existsSync, lstatSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { type CommandContext, type Define, describe, EXIT, UsageError } from '../command.js';
import { packageVersion } from '../package-version.js';
import { oneOf } from '../values.js';
import { projectFiles } from './files.js';
import { LANGUAGES, type Language, MTAS, type MtaKind } from './project.js';

interface InitOptions {
  name?: string;
  language?: Language;
  mta?: MtaKind;
  package?: string;
}

/** Also the name of a user and of a unit. */
const NAME = /^[a-z][a-z0-9-]{0,30}$/;

/** Adds `init` to the program. */
export function registerInit(program: Command, define: Define): void {
  const command = program
    .command('init')
    .summary('write a new project')
    .description(
      'Writes a project: package.json, a filter, its test, units of systemd, the lines for the MTA. Nothing is overwritten.\n' +
        'What the options do not say is asked for on a terminal; elsewhere the defaults apply.',
    )
    .argument('[directory]', 'where; default: the working directory')
    .option('--name <name>', "the filter's name; default: the directory's")
    .option('--language <language>', `${LANGUAGES.join(' or ')}; default: typescript`, oneOf(...LANGUAGES))
    .option('--mta <mta>', `${MTAS.join(', ')}; default: postfix-chroot, which is Debian's`, oneOf(...MTAS))
    .option('--package <spec>', 'where npm gets tsmilter, such as file:tsmilter.tgz; default: the registry');
  describe(command, {
    ok: 'the project is written',
    failed: 'a file cannot be written',
    examples: ['tsmilter init nolottery', 'tsmilter init --language javascript --mta sendmail nolottery'],
  });
  define<[string | undefined, InitOptions]>(command, init);
}

async function init(
  { output }: CommandContext,
  given: string | undefined,
  options: InitOptions,
): Promise<number> {
  const directory = resolve(given ?? '.');
  const { name = basename(directory) } = options;
  if (!NAME.test(name)) {
    throw new UsageError(
      `"${name}" cannot be a filter's name: use lower-case letters, digits and hyphens (--name)`,
    );
  }
  const { language, mta } = await complete(options);
  const files = projectFiles({ name, language, mta, tsmilter: options.package ?? `^${packageVersion()}` });
  const existing = [...new Set(Object.keys(files).flatMap((file) => obstacleOf(directory, file)))];
  if (existing.length > 0)
    throw new UsageError(
      `${existing.join(', ')} ${existing.length === 1 ? 'exists' : 'exist'} already: choose an empty directory`,
    );
  for (const [file, content] of Object.entries(files)) {
    const path = join(directory, file);
    await makeDirectory(dirname(path));
    await writeFile(path, content, { flag: 'wx' });
    output.print(`wrote ${relative('.', path)}`);
  }
  const where = given === undefined ? '' : `cd ${given} && `;
  output.print();
  output.print(`Next: ${where}npm install && npm test && npm start`);
  return EXIT.ok;
}

/** What is in the way of a file: itself, or another file in the place of its directory; a link to nowhere is one as well. */
function obstacleOf(directory: string, file: string): string[] {
  const parts = file.split('/');
  const above = parts.slice(1).map((_, at) => parts.slice(0, at + 1).join('/'));
  const other = above.find((path) => isThere(join(directory, path)) && !isDirectory(join(directory, path)));
  if (other !== undefined) return [other];
  return isThere(join(directory, file)) ? [file] : [];
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false; // the error of writing says more
  }
}

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** With all that are above it. Node's own way does not end where none can be made, as in /proc. */
async function makeDirectory(path: string): Promise<void> {
  if (existsSync(path)) return;
  await makeDirectory(dirname(path));
  await mkdir(path);
}

/** Asks for what the options do not say. */
async function complete(options: InitOptions): Promise<{ language: Language; mta: MtaKind }> {
  const { language, mta } = options;
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    return { language: language ?? LANGUAGES[0], mta: mta ?? MTAS[0] };
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const lines = terminal[Symbol.asyncIterator]();
  try {
    return {
      language: language ?? (await choose('Language', LANGUAGES)),
      mta: mta ?? (await choose('MTA', MTAS)),
    };
  } finally {
    terminal.close();
  }

  /** The first word is the default; a beginning that only one of them has is enough. */
  async function choose<Word extends string>(question: string, words: readonly Word[]): Promise<Word> {
    for (;;) {
      process.stdout.write(`${question} (${words.join(', ')}) [${words[0]}]: `);
      const { value, done } = await lines.next();
      if (done) throw new UsageError('the input has ended: say what you want with options');
      const answer = value.trim();
      const found = words.filter((word) => word.startsWith(answer));
      if (answer === '') return words[0] as Word;
      if (found.length === 1) return found[0] as Word;
      if (words.includes(answer as Word)) return answer as Word;
    }
  }
}
