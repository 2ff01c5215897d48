import * as fs from 'node:fs';
import * as path from 'node:path';
import { projectRoot } from '../project-root';

/** A template's text with every `@NAME@` replaced. A name without a value, or a value without a name, is an error. */
export function fillTemplate(name: string, values: Readonly<Record<string, string | number>>): string {
  const file = path.join(projectRoot, 'tools/mta/templates', name);
  const used = new Set<string>();
  const text = fs.readFileSync(file, 'utf8').replace(/@([A-Z][A-Z0-9_]*)@/g, (_, key: string) => {
    const value = values[key];
    if (value === undefined) throw new Error(`${name} needs a value for @${key}@`);
    used.add(key);
    return String(value);
  });
  const unused = Object.keys(values).filter((key) => !used.has(key));
  if (unused.length > 0) throw new Error(`${name} has no place for ${unused.join(', ')}`);
  return text;
}
