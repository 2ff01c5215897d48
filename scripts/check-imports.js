#!/usr/bin/env node
'use strict';
/**
 * The import rule of lib/: which folder may import which, so that a reader always knows where "below" is.
 *
 *     node scripts/check-imports.js [DIR]      # DIR: default lib/
 *
 *     cli       the program tsmilter: may import every layer, helpers and testing
 *     face      lib/*.ts, the entry points: may import every layer below
 *     workers   worker threads that load a filter's module and take sessions of the main thread's run
 *     message   a filter that gets whole messages
 *     filter    what users subclass             runtime   start, stop and sockets of libmilter
 *     log       what is written about sessions
 *     metrics   what is counted in them
 *     session   one SMTP session on its JS thread
 *     addon     the native addon, typed
 *     internal  what everything may use
 *
 * - A layer imports only layers below it. filter and runtime stand side by side: the runtime serves callbacks and does
 *   not know filter classes, and a filter is written against its session and does not know how it is started. The
 *   runtime is above the session because it makes the dispatcher of the sessions that it starts libmilter for.
 * - Every other folder is a helper and an entry point of its own. Helpers import internal, each other, and those files of
 *   addon that are plain data: a helper works where the addon is not built.
 * - testing/wire plays an MTA on a socket and imports internal only: its table of the protocol is its own, so that a
 *   wrong constant in addon does not go unnoticed. testing/simulator runs sessions without libmilter, on top of
 *   filter, runtime and log, and replays what tsmilter/archive has saved. Nothing else but the program imports testing.
 * - Only addon/native.ts loads the addon.
 * - There are no circles: neither of files, nor of the folders of helpers.
 */
const fs = require('node:fs');
const path = require('node:path');
const ts = require('typescript');

const top = path.resolve(process.argv[2] ?? path.join(__dirname, '..', 'lib'));

const BELOW_FILTER = ['session', 'addon', 'internal'];
/** What each layer may import, besides itself. */
const MAY_IMPORT = {
  internal: [],
  addon: ['internal'],
  session: ['addon', 'internal'],
  runtime: BELOW_FILTER,
  filter: BELOW_FILTER,
  log: BELOW_FILTER,
  metrics: BELOW_FILTER,
  message: ['filter', ...BELOW_FILTER],
  workers: ['log', 'metrics', 'filter', 'runtime', ...BELOW_FILTER],
  face: ['workers', 'log', 'metrics', 'filter', 'runtime', ...BELOW_FILTER],
  'testing/wire': ['internal'],
  'testing/simulator': ['testing/wire', 'log', 'filter', 'runtime', ...BELOW_FILTER],
  testing: ['testing/wire', 'testing/simulator', 'internal'],
  cli: [
    'face',
    'message',
    'workers',
    'log',
    'metrics',
    'filter',
    'runtime',
    'testing',
    'testing/wire',
    'testing/simulator',
    ...BELOW_FILTER,
  ],
};
/** Layers that may import helpers as well. */
const USE_HELPERS = new Set(['message', 'testing/simulator', 'cli']);
/** Files that import nothing but each other. */
const PLAIN_DATA = new Set(['addon/constants.ts', 'addon/kinds.ts', 'addon/status.ts', 'addon/steps.ts']);
const ADDON_LOADER = 'addon/native.ts';
const ADDON_PACKAGE = 'bindings';

const violations = [];

/** The layer that a file belongs to, or the name of its helper. */
function layerOf(file) {
  const folders = file.split('/').slice(0, -1);
  if (folders[0] === 'testing') return folders.slice(0, 2).join('/');
  return folders[0] ?? 'face';
}

const isHelper = (layer) => !(layer in MAY_IMPORT);

/** Every file with its imports: `{line, specifier, own}`, `own` being one of our files or undefined. */
function readImports() {
  const files = fs
    .readdirSync(top, { recursive: true })
    .map((name) => name.split(path.sep).join('/'))
    .filter((name) => name.endsWith('.ts'));
  const known = new Set(files);
  const imports = new Map();
  for (const file of files) {
    const text = fs.readFileSync(path.join(top, file), 'utf8');
    const found = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName, pos }) => {
      const line = text.slice(0, pos).split('\n').length;
      if (!fileName.startsWith('.')) return { line, specifier: fileName };
      const own = path.posix.join(path.posix.dirname(file), fileName).replace(/\.js$/, '.ts');
      if (!known.has(own)) violations.push(`lib/${file}:${line}: ${fileName} is not a file of lib/`);
      return { line, specifier: fileName, own };
    });
    imports.set(file, found);
  }
  return imports;
}

/** Why `file` must not import `own`, or undefined where it may. */
function objection(file, own) {
  const [from, to] = [layerOf(file), layerOf(own)];
  if (PLAIN_DATA.has(file)) return PLAIN_DATA.has(own) ? undefined : 'plain data imports plain data only';
  if (from === to) return undefined;
  if (isHelper(from)) {
    if (isHelper(to) || to === 'internal' || PLAIN_DATA.has(own)) return undefined;
    return `a helper (${from}) must not import ${to}`;
  }
  if (USE_HELPERS.has(from) && isHelper(to)) return undefined;
  return MAY_IMPORT[from].includes(to) ? undefined : `${from} must not import ${to}`;
}

/** The circles of a graph, a Map from each node to those that it leads to; each as the list of its nodes. */
function circlesOf(graph) {
  const circles = [];
  const finished = new Set();
  const visit = (node, way) => {
    const at = way.indexOf(node);
    if (at >= 0) circles.push(way.slice(at));
    if (at >= 0 || finished.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...way, node]);
    finished.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return circles;
}

const imports = readImports();
const files = new Map();
const helpers = new Map();
for (const [file, found] of imports) {
  const from = layerOf(file);
  files.set(file, []);
  for (const { line, specifier, own } of found) {
    const violation = (text) => violations.push(`lib/${file}:${line}: ${specifier}: ${text}`);
    if (own === undefined) {
      if (specifier === ADDON_PACKAGE && file !== ADDON_LOADER)
        violation(`only ${ADDON_LOADER} loads the addon`);
      continue;
    }
    const why = objection(file, own);
    if (why) violation(why);
    files.get(file).push(own);
    const to = layerOf(own);
    if (isHelper(from) && isHelper(to) && from !== to) helpers.set(from, [...(helpers.get(from) ?? []), to]);
  }
}
for (const graph of [files, helpers]) {
  for (const circle of circlesOf(graph)) {
    const way = [...circle, circle[0]].map((node) => `lib/${node}`);
    violations.push(`${way.join(' -> ')}: a circle of imports`);
  }
}

if (violations.length > 0) {
  console.error(violations.join('\n'));
  console.error(
    `\n${violations.length} violation(s) of the import rule, which scripts/check-imports.js explains.`,
  );
  process.exit(1);
}
console.log(`The import rule holds in ${imports.size} files.`);
