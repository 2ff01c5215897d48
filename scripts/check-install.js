#!/usr/bin/env node
'use strict';
/**
 * The packed tarball installs into an empty project, building the addon there, and a filter runs in it: with npm, pnpm,
 * both Yarns and Bun, as README.md says for each; loaded by `import` and by `require`; and type-checked as a project of
 * either kind would.
 *
 *     node scripts/check-install.js     # after `npm run build:ts`
 */
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.join(__dirname, '..');

/** What a user writes; `send` stands for the MTA. */
const FILTER = `
class Filter extends Milter.Base {
  header(name, value) {
    return name === 'Subject' && value.includes('spam') ? Milter.REJECT : Milter.CONTINUE;
  }
}

async function send(socket, subject) {
  const session = await MtaSession.open(socket, { retry: true });
  await session.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 25 });
  await session.helo('client.example');
  const { verdict } = await session.message({
    sender: '<a@example.org>', recipients: ['<b@example.org>'], headers: [['Subject', subject]], body: 'Hello\\r\\n',
  });
  await session.quit();
  return verdict;
}

async function main() {
  const socket = \`unix:\${process.argv[2]}\`;
  const running = Milter.runmilter('install', socket, { factory: Filter });
  const verdicts = [await send(socket, 'good news'), await send(socket, 'spam for you')];
  await Milter.stop();
  await running;
  console.log(verdicts.join(' '));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
`;

const ESM = "import * as Milter from 'tsmilter';\nimport { MtaSession } from 'tsmilter/testing';\n";
const CJS = "const Milter = require('tsmilter');\nconst { MtaSession } = require('tsmilter/testing');\n";
const EXPECTED = 'continue reject';

/** A filter with types, for tsc alone. */
const TYPED = `${ESM}
class Filter extends Milter.Base {
  override connect(hostname: string, ...[family, hostaddr]: Milter.Peer): Milter.Status {
    if (family === Milter.AF_INET6) console.log(hostname, hostaddr[3]);
    return Milter.CONTINUE;
  }
  override async eom() {
    this.addheader('X-Seen', 'yes');
    return Milter.ACCEPT;
  }
}
export const run = () => Milter.runmilter('typed', 'inet:0', { factory: Filter });
export const open = () => MtaSession.open('inet:1');
`;

/**
 * The package managers besides npm, from the npm registry. Most of them run a package's install script only if the
 * project allows it, which is said in `manifest` or on the command line.
 */
const MANAGERS = [
  {
    name: 'pnpm',
    // The name alone does for a package from a registry; one from a file is known by its path as well.
    install: (tools, tarball) => [
      path.join(tools, '.bin/pnpm'),
      ['add', `--allow-build=tsmilter@file:${path.join('..', path.basename(tarball))}`, tarball],
    ],
  },
  {
    name: 'Yarn 1',
    install: (tools, tarball) => [process.execPath, [path.join(tools, 'yarn/bin/yarn.js'), 'add', tarball]],
  },
  {
    name: "Yarn 4, Plug'n'Play",
    manifest: { dependenciesMeta: { tsmilter: { built: true } } },
    files: { 'yarn.lock': '' },
    install: (tools, tarball) => [process.execPath, [yarn4(tools), 'add', `tsmilter@file:${tarball}`]],
    node: (tools) => [process.execPath, [yarn4(tools), 'node']],
  },
  {
    name: 'Bun',
    install: (_tools, tarball) => ['bun', ['add', '--trust', tarball]],
  },
];
const MANAGER_PACKAGES = ['pnpm@12', 'yarn@1', '@yarnpkg/cli-dist@4', 'bun@1'];

function yarn4(tools) {
  return path.join(tools, '@yarnpkg/cli-dist/bin/yarn.js');
}

/** The environment of all installations: nothing is left of them outside `folder`, and nothing is told to anybody. */
function environment(folder, tools) {
  const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
  const bun = fs.existsSync(path.join(tools, '@oven'))
    ? fs.readdirSync(path.join(tools, '@oven')).map((name) => path.join(tools, '@oven', name, 'bin'))
    : [];
  return {
    PATH: [...bun, process.env.PATH].join(path.delimiter),
    // Nothing of the checkout's own settings: users' warnings are no errors.
    npm_config_tsmilter_werror: '0',
    npm_config_registry: registry,
    TMPDIR: folder, // Yarn leaves folders behind
    XDG_DATA_HOME: path.join(folder, 'data'),
    XDG_CACHE_HOME: path.join(folder, 'cache'),
    BUN_INSTALL_CACHE_DIR: path.join(folder, 'bun'),
    YARN_CACHE_FOLDER: path.join(folder, 'yarn-cache'),
    YARN_GLOBAL_FOLDER: path.join(folder, 'yarn'),
    YARN_NPM_REGISTRY_SERVER: registry,
    YARN_ENABLE_TELEMETRY: '0',
  };
}

function run(folder, command, args, env = {}) {
  try {
    return execFileSync(command, args, {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 300_000,
    });
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}: ${error.message}\n${error.stdout}${error.stderr}`);
  }
}

/** A project with nothing but its manifest, in a folder beside the tarball. */
function emptyProject(folder, manager) {
  // A blank in the path, as users may have one.
  const project = fs.mkdtempSync(path.join(folder, 'a project '));
  const manifest = { name: 'a-project', private: true, ...manager.manifest };
  for (const [name, text] of Object.entries({ 'package.json': JSON.stringify(manifest), ...manager.files })) {
    fs.writeFileSync(path.join(project, name), text);
  }
  return project;
}

/** Runs a filter, loaded in both ways. @throws Error where it answers otherwise than it should */
function runFilters(project, [command, args], env) {
  for (const [file, text] of [
    ['filter.mjs', ESM + FILTER],
    ['filter.cjs', CJS + FILTER],
  ]) {
    fs.writeFileSync(path.join(project, file), text);
    const socket = path.join(project, 'socket');
    const verdicts = run(project, command, [...args, file, socket], env).trim();
    if (verdicts !== EXPECTED) throw new Error(`${file} printed "${verdicts}" in place of "${EXPECTED}"`);
    console.log(`  ${file}: ${verdicts}`);
  }
}

/** A compiler checks a filter in the project. */
function checkTypes(project) {
  fs.writeFileSync(path.join(project, 'typed.mts'), TYPED);
  fs.writeFileSync(path.join(project, 'typed.cts'), TYPED);
  for (const target of ['node16', 'nodenext']) {
    run(project, process.execPath, [
      path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
      ...['--noEmit', '--strict', '--target', 'es2022', '--module', target],
      ...['--typeRoots', path.join(root, 'node_modules', '@types'), '--types', 'node'],
      ...['typed.mts', 'typed.cts'],
    ]);
    console.log(`  types: --module ${target}`);
  }
}

/** Installs the package managers; they stay for the next run. */
function installManagers() {
  const prefix = path.join(root, '.package-managers');
  fs.mkdirSync(prefix, { recursive: true });
  run(prefix, 'npm', [
    ...['install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', prefix],
    ...MANAGER_PACKAGES,
  ]);
  return path.join(prefix, 'node_modules');
}

function main(folder) {
  const packed = run(root, 'npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
  const [answer] = Object.values(JSON.parse(packed));
  const tarball = path.join(folder, path.basename(answer.filename));
  const tools = installManagers();
  const env = environment(folder, tools);

  console.log('npm');
  const project = emptyProject(folder, {});
  run(project, 'npm', ['install', '--no-audit', '--no-fund', tarball], env);
  runFilters(project, [process.execPath, []], env);
  checkTypes(project);

  // One build is optimised as users get it; for the others it is enough that there is one.
  const quickly = { ...env, CXXFLAGS: '-O0' };
  for (const manager of MANAGERS) {
    console.log(manager.name);
    const place = emptyProject(folder, manager);
    run(place, ...manager.install(tools, tarball), quickly);
    runFilters(place, manager.node?.(tools) ?? [process.execPath, []], env);
  }
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tsmilter-install-'));
try {
  main(folder);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
