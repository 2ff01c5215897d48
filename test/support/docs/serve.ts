/** Runs the filter class that a block of the documentation exports: node serve.js <compiled block> <socket>. */
import { pathToFileURL } from 'node:url';
import * as Milter from 'tsmilter';

async function main([file = '', socket = '']: string[]): Promise<void> {
  const exported: object = await import(pathToFileURL(file).href);
  const filters = Object.values(exported).filter(
    (value): value is new () => Milter.Base =>
      typeof value === 'function' && value.prototype instanceof Milter.Base,
  );
  const [factory] = filters;
  if (!factory || filters.length > 1)
    throw new Error(`the block exports ${filters.length} filter classes, not one`);
  await Milter.runmilter('docs', socket, { factory });
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
