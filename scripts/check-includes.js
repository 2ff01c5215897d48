#!/usr/bin/env node
'use strict';
/**
 * The include rule of native/ (native/README.md): which folder may see which headers, directly or by way of its own.
 *
 *     node scripts/check-includes.js [DIR]      # DIR: default native/
 *
 * - libmilter's headers are included in libmilter/ only, and no other folder reaches them through a header of ours.
 * - napi.h is included by binding/napi_setup.h alone, and only binding/ and addon.cc reach it.
 * - bridge/ includes neither, and nothing of the other folders.
 * - libmilter/ includes nothing of binding/.
 * - Node's, V8's and libuv's own headers are not included at all: Node-API alone has an ABI that holds for every Node.
 */
const fs = require('node:fs');
const path = require('node:path');

const top = path.resolve(process.argv[2] ?? path.join(__dirname, '..', 'native'));

const LIBMILTER = /^(?:libmilter\/)?mf(?:api|def)\.h$/;
const NAPI = /^(?:napi|napi-inl|node_api|node_api_types|js_native_api|js_native_api_types)\.h$/;
const NODE = /^(?:node(?:_.*)?|uv(?:\/.*)?|v8(?:-.*)?|nan)\.h$/;
const NAPI_SITE = 'binding/napi_setup.h';

/** A line of its own that each violation of the rule becomes. */
const violations = [];

/** The layer a file belongs to: its folder; for tests, what they are linked with. */
function layerOf(file) {
  if (!file.startsWith('tests/')) return file.includes('/') ? file.split('/')[0] : 'addon';
  return /_libmilter_test\.\w+$/.test(file) ? 'libmilter' : 'bridge';
}

/** Folders of native/ that a layer may include headers of. */
const MAY_INCLUDE = {
  bridge: ['bridge'],
  libmilter: ['bridge', 'libmilter'],
  binding: ['bridge', 'libmilter', 'binding'],
  addon: ['bridge', 'libmilter', 'binding'],
};

/** Every C++ file with its includes: `{file, line, header, own}`, `own` being one of our files or undefined. */
function readIncludes() {
  const files = fs
    .readdirSync(top, { recursive: true })
    .map((name) => name.split(path.sep).join('/'))
    .filter((name) => /\.(?:cc|h|cpp|hpp|hh)$/.test(name));
  const known = new Set(files);
  const includes = new Map();
  for (const file of files) {
    const lines = fs.readFileSync(path.join(top, file), 'utf8').split('\n');
    const found = [];
    lines.forEach((text, index) => {
      const match = /^\s*#\s*include\s*([<"])([^>"]+)[>"]/.exec(text);
      if (!match) return;
      const [, quote, header] = match;
      const beside = path.posix.join(path.posix.dirname(file), header);
      let own;
      if (quote === '"') own = [beside, header].find((candidate) => known.has(candidate));
      if (quote === '"' && own === undefined) {
        violations.push(
          `native/${file}:${index + 1}: "${header}" is not a file of native/; use <> for others' headers`,
        );
      }
      found.push({ line: index + 1, header, own });
    });
    includes.set(file, found);
  }
  return includes;
}

/** Calls `visit(include, way)` for all headers that a file reaches; `way` are the files in between. */
function reach(includes, file, visit, way = [], seen = new Set()) {
  for (const include of includes.get(file) ?? []) {
    visit(include, way);
    if (include.own !== undefined && !seen.has(include.own)) {
      seen.add(include.own);
      reach(includes, include.own, visit, [...way, include], seen);
    }
  }
}

const includes = readIncludes();
for (const [file] of includes) {
  const layer = layerOf(file);
  if (!(layer in MAY_INCLUDE)) {
    violations.push(`native/${file}: the folder "${layer}" has no place in the include rule`);
    continue;
  }
  reach(includes, file, (include, way) => {
    const { header, own } = include;
    const line = (way[0] ?? include).line;
    const by = way.length > 0 ? ` (by way of ${way.map((step) => step.header).join(', ')})` : '';
    const violation = (text) => violations.push(`native/${file}:${line}: ${header}${by}: ${text}`);
    if (own !== undefined) {
      const owner = layerOf(own);
      if (!MAY_INCLUDE[layer].includes(owner)) violation(`${layer} must not see ${owner}`);
    } else if (LIBMILTER.test(header)) {
      if (layer !== 'libmilter') violation("libmilter's headers belong to native/libmilter");
    } else if (NAPI.test(header)) {
      if (layer !== 'binding' && layer !== 'addon')
        violation('napi.h belongs to native/binding and native/addon.cc');
      else if (way.length === 0 && file !== NAPI_SITE)
        violation(`include "${NAPI_SITE}" instead, the one include site`);
    } else if (NODE.test(header)) {
      violation('headers of Node, V8 and libuv tie the addon to one version of Node');
    }
  });
}

if (violations.length > 0) {
  console.error([...new Set(violations)].join('\n'));
  console.error(`\n${violations.length} violation(s) of the include rule, which native/README.md explains.`);
  process.exit(1);
}
console.log(`The include rule holds in ${includes.size} files.`);
