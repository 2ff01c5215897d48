/** The documentation of options, from their declarations. */
import type { Options } from './options';

/** A table in Markdown. @param head what stands above the names of the options */
export function optionTable(head: string, options: Options<never>): string {
  const rows = Object.entries(options).map(
    ([name, { doc, fallback }]) => `| \`${name}\` | ${doc} | ${fallback} |`,
  );
  return [`| ${head} | | default |`, '|---|---|---|', ...rows].join('\n').replace(/ {2}\|$/gm, ' |');
}
