#!/usr/bin/env node
'use strict';
/**
 * The packed tarball installs into an empty project, building the addon there, and a filter runs in it: loaded by
 * `import`, by `require`, and type-checked as a project of either kind would.
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

function main(folder) {
  const packed = run(root, 'npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
  const [answer] = Object.values(JSON.parse(packed));
  const project = path.join(folder, 'a project');
  fs.mkdirSync(project);
  fs.writeFileSync(path.join(project, 'package.json'), '{ "name": "a-project", "private": true }\n');
  // Nothing of the checkout's own settings: users' warnings are no errors.
  run(
    project,
    'npm',
    ['install', '--no-audit', '--no-fund', path.join(folder, path.basename(answer.filename))],
    {
      npm_config_milter_werror: '0',
    },
  );
  console.log('installed into an empty project');

  const problems = [];
  for (const [file, text] of [
    ['filter.mjs', ESM + FILTER],
    ['filter.cjs', CJS + FILTER],
  ]) {
    fs.writeFileSync(path.join(project, file), text);
    const verdicts = run(project, process.execPath, [file, path.join(folder, 'socket')]).trim();
    if (verdicts === EXPECTED) console.log(`${file}: ${verdicts}`);
    else problems.push(`${file} printed "${verdicts}" in place of "${EXPECTED}"`);
  }

  fs.writeFileSync(path.join(project, 'typed.mts'), TYPED);
  fs.writeFileSync(path.join(project, 'typed.cts'), TYPED);
  for (const target of ['node16', 'nodenext']) {
    run(project, process.execPath, [
      path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
      ...['--noEmit', '--strict', '--target', 'es2022', '--module', target],
      ...['--typeRoots', path.join(root, 'node_modules', '@types'), '--types', 'node'],
      ...['typed.mts', 'typed.cts'],
    ]);
    console.log(`types: --module ${target}`);
  }
  if (problems.length > 0) throw new Error(problems.join('\n'));
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
