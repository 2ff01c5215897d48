#!/usr/bin/env node
'use strict';
/**
 * What binding.gyp and native/CMakeLists.txt have in common, kept once:
 *
 *     node scripts/native-build.js sources    # every .cc of the addon, one per line, relative to the package
 *     node scripts/native-build.js units      # the same in one .cc for each folder, which it writes
 *     node scripts/native-build.js werror     # -Werror in a developer's checkout, nothing for those who install
 *     node scripts/native-build.js napi [DIR] # node-addon-api's include directory, relative to DIR
 *     node scripts/native-build.js nodedir    # where this Node's headers are installed, or nothing
 *
 * The sources are all .cc files of the addon's folders: there is no list that a new file could be missing from.
 * Ships with the package: no dependencies.
 */
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

/** The folders of native/ that make the addon; native/tests has programs of its own. */
const FOLDERS = ['bridge', 'libmilter', 'binding'];

/** What Node calls; it includes binding's headers. */
const ADDON = 'native/addon.cc';

/** The .cc files of a folder, sorted, with `/` and relative to the package. */
function sourcesOf(folder) {
  const names = fs.readdirSync(path.join(root, 'native', folder)).sort();
  return names.filter((name) => name.endsWith('.cc')).map((name) => `native/${folder}/${name}`);
}

/** All .cc files of the addon. */
function sources() {
  return [ADDON, ...FOLDERS.flatMap(sourcesOf)];
}

/** Where {@link writeUnits} writes, relative to the package. */
const UNITS = 'build/units';

/**
 * Writes a file for each folder that includes all of its files, and returns their names. Headers that nearly every file
 * includes are then compiled 3 times and not 33 times, which was two thirds of the work. A file whose text is right already
 * stays as it is, so that make compiles nothing anew. Names in anonymous namespaces must differ within a folder.
 */
function writeUnits() {
  fs.mkdirSync(path.join(root, UNITS), { recursive: true });
  return FOLDERS.map((folder) => {
    const files = folder === 'binding' ? [ADDON, ...sourcesOf(folder)] : sourcesOf(folder);
    const text = files.map((file) => `#include "../../${file}"\n`).join('');
    const unit = `${UNITS}/${folder}.cc`;
    const file = path.join(root, unit);
    if (!fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text) fs.writeFileSync(file, text);
    return unit;
  });
}

/**
 * Warnings are errors where they can be mended: in a checkout, or with npm_config_tsmilter_werror=1. A user's newer
 * compiler, with warnings nobody has seen yet, must not break an installation.
 */
function werror() {
  const wish = process.env.npm_config_tsmilter_werror;
  if (wish !== undefined) return wish === '1' || wish === 'true';
  return fs.existsSync(path.join(root, '.git'));
}

/**
 * The prefix below which this Node's own headers lie, for node-gyp's `--nodedir`: distributions install them beside
 * node, and node-gyp would download them nevertheless. Empty where they are not there, or of another version.
 */
function nodedir() {
  const prefix = path.resolve(process.execPath, '../..');
  try {
    const header = fs.readFileSync(path.join(prefix, 'include/node/node_version.h'), 'utf8');
    const version = ['MAJOR', 'MINOR', 'PATCH'].map(
      (part) => header.match(new RegExp(`#define NODE_${part}_VERSION (\\d+)`))?.[1],
    );
    return version.join('.') === process.versions.node ? prefix : '';
  } catch {
    return '';
  }
}

module.exports = { sources };

if (require.main === module) {
  const what = process.argv[2];
  if (what === 'sources') console.log(sources().join('\n'));
  else if (what === 'units') console.log(writeUnits().join('\n'));
  else if (what === 'werror') console.log(werror() ? '-Werror' : '');
  else if (what === 'napi') {
    const folder = path.dirname(require.resolve('node-addon-api'));
    const from = process.argv[3];
    console.log(from === undefined ? folder : path.relative(path.join(root, from), folder));
  } else if (what === 'nodedir') console.log(nodedir());
  else {
    console.error('usage: native-build.js sources | units | werror | napi [DIR] | nodedir');
    process.exit(2);
  }
}
