#!/usr/bin/env node
'use strict';
/**
 * The packed tarball is what users should get.
 *
 *     node scripts/check-package.js     # after `npm run build:ts`
 *
 * Packs the package, asks publint about it, and compares its list of files with what must and must not be in it: every
 * target of "exports", all that the build at `npm install` needs, nothing of the tests, no compiled file without a
 * source, and no path of the machine that packed it.
 */
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.join(__dirname, '..');

const REQUIRED = [
  'LICENSE',
  'README.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'UPGRADING.md',
  'binding.gyp',
  'lib/index.ts',
  'native/addon.cc',
  'scripts/check-libmilter.js',
  'scripts/libmilter-flags.js',
  'scripts/native-build.js',
];

/** What may be in it at all. */
const ALLOWED = [
  /^(?:package\.json|LICENSE|(?:README|CHANGELOG|SECURITY|UPGRADING)\.md|binding\.gyp)$/,
  /^dist\/.*\.(?:js|d\.ts)(?:\.map)?$/,
  /^lib\/.*\.ts$/,
  /^native\/(?!tests\/).*(?:\.(?:cc|h|json|md)|CMakeLists\.txt)$/,
  /^scripts\/(?:check-libmilter|libmilter-flags|native-build)\.js$/,
  /^examples\/.*\.(?:ts|mts|js|mjs|json|md)$/,
  /^examples\/spfmilter\/(?:spfmilter\.cfg|access)$/,
  /^examples\/guard\/guard\.cfg$/,
  /^examples\/authmilter\/(?:authmilter\.cfg|signing-table\.txt|dmarc-policies\.txt)$/,
  /^examples\/systemd\/[\w-]+\/nolottery\.(?:service|socket)$/,
  /^docs\/(?!api\/).*\.md$/,
  /^docs\/grafana-dashboard\.json$/,
];

/** Strings that only the packing machine knows. */
function machinePaths() {
  const paths = [path.resolve(root), os.tmpdir() === '/tmp' ? '/tmp/npm-' : os.tmpdir()];
  // A home such as /root may be named in documentation; /home/someone or /Users/someone may not.
  if (os.homedir().split('/').length > 2) paths.push(os.homedir());
  return paths;
}

function pack(folder) {
  const output = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // npm 10 and 11 print a list, npm 12 an object by package name.
  const [answer] = Object.values(JSON.parse(output));
  execFileSync('tar', ['-xzf', path.join(folder, path.basename(answer.filename)), '-C', folder]);
  return path.join(folder, 'package');
}

async function problemsOf(folder) {
  const problems = [];
  const files = fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
  const there = new Set(files);
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));

  const targets = [...Object.values(manifest.exports), ...Object.values(manifest.bin)].map((target) =>
    target.replace(/^\.\//, ''),
  );
  const typings = targets
    .filter((target) => target.endsWith('.js'))
    .map((target) => target.replace(/js$/, 'd.ts'));
  for (const file of [...REQUIRED, ...targets, ...typings]) {
    if (!there.has(file)) problems.push(`${file} is missing`);
  }
  for (const file of files) {
    if (!ALLOWED.some((pattern) => pattern.test(file)))
      problems.push(`${file} does not belong in the package`);
    const source = file.replace(/^dist\//, 'lib/').replace(/\.(?:js|d\.ts)(?:\.map)?$/, '.ts');
    if (file.startsWith('dist/') && !there.has(source))
      problems.push(`${file} has no source: is dist/ stale?`);
    const text = fs.readFileSync(path.join(folder, file), 'latin1');
    for (const known of machinePaths()) {
      if (text.includes(known)) problems.push(`${file} names ${known}, a path of this machine`);
    }
  }

  const { publint } = await import('publint');
  const { formatMessage } = await import('publint/utils');
  const { messages, pkg } = await publint({ pkgDir: folder, pack: false, strict: true });
  for (const message of messages) problems.push(`publint: ${formatMessage(message, pkg)} [${message.type}]`);
  return { problems, files };
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tsmilter-package-'));
  try {
    const { problems, files } = await problemsOf(pack(folder));
    if (problems.length > 0) {
      console.error(problems.join('\n'));
      console.error(`\n${problems.length} problem(s) with the package.`);
      process.exitCode = 1;
    } else {
      console.log(`The package is fine: ${files.length} files, and publint has nothing to say.`);
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

main();
