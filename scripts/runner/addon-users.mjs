/** Which compiled test files can load the native addon: the others prove nothing under a sanitizer. */
import fs from 'node:fs';
import path from 'node:path';
import { root } from './processes.mjs';

/** The module that loads the addon. */
const LOADER = path.join(root, 'dist', 'addon', 'native.js');

const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));

/** The file that a compiled module means by a specifier; undefined for a package, and for a built-in module. */
function resolve(specifier, from) {
  if (specifier.startsWith('.')) return existing(path.resolve(path.dirname(from), specifier));
  if (specifier.startsWith('#lib/'))
    return existing(path.join(root, 'dist', specifier.slice('#lib/'.length)));
  if (specifier !== manifest.name && !specifier.startsWith(`${manifest.name}/`)) return undefined;
  const target = manifest.exports[`.${specifier.slice(manifest.name.length)}`];
  return target === undefined ? undefined : existing(path.join(root, target));
}

function existing(file) {
  return [file, `${file}.js`, path.join(file, 'index.js')].find((name) =>
    fs.statSync(name, { throwIfNoEntry: false })?.isFile(),
  );
}

/** True if a compiled file requires the module that loads the addon, by itself or through others. */
export function usesAddon(file, seen = new Set()) {
  if (file === LOADER) return true;
  if (seen.has(file) || !file.endsWith('.js')) return false;
  seen.add(file);
  const required = fs.readFileSync(file, 'utf8').matchAll(/\brequire\("([^"]+)"\)/g);
  return [...required].some(([, specifier]) => {
    const target = resolve(specifier, file);
    return target !== undefined && usesAddon(target, seen);
  });
}
