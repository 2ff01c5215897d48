#!/usr/bin/env node
'use strict';
/**
 * From nothing but Node to a first filtered mail, as the README says: `npx` of the packed tarball runs `tsmilter init`, the
 * project's `npm install`, `npm test` and `npm start` follow, and a real Postfix with the lines that `init` has written delivers
 * a mail with the filter's header and refuses another. It must take less than three minutes.
 *
 *     node scripts/check-first-mail.js     # as root, after tsc has compiled lib/ and tools/
 */
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { Sink, SmtpClient, startPostfix, unavailable } = require('../.build/tools/mta');
const { privateDirectory, removeDirectory } = require('../.build/tools/private-directory');

const root = path.join(__dirname, '..');
const MAX_SECONDS = 180;
/** Longer than any step takes; a hang ends here. */
const STEP_MS = 300_000;
let started = Date.now();

const seconds = () => ((Date.now() - started) / 1000).toFixed(1);

/** Neither npm nor the compiler is what a sanitizer watches. */
const { LD_PRELOAD: _library, MILTER_ADDON: _addon, ...environment } = process.env;

function run(cwd, command, args, env = {}) {
  const options = { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: STEP_MS };
  try {
    const output = execFileSync(command, args, { ...options, env: { ...environment, ...env } });
    console.log(`${seconds().padStart(6)} s  ${command} ${args[0]}`);
    return output;
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}: ${error.message}\n${error.stdout}${error.stderr}`);
  }
}

/** A new project, installed from the tarball and tested, as a user does it. */
function createProject(directory) {
  const packed = run(root, 'npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', directory]);
  const [answer] = Object.values(JSON.parse(packed));
  const tarball = `file:${path.join(directory, path.basename(answer.filename))}`;
  started = Date.now(); // a user gets it packed
  // The addon is built where it is needed, in the project: `init` itself works without it.
  run(
    directory,
    'npx',
    [
      '--yes',
      '--package',
      tarball,
      'tsmilter',
      'init',
      'first',
      '--language',
      'typescript',
      '--mta',
      'postfix',
      '--package',
      tarball,
    ],
    { npm_config_ignore_scripts: 'true' },
  );
  const project = path.join(directory, 'first');
  run(project, 'npm', ['install', '--no-audit', '--no-fund'], { npm_config_tsmilter_werror: '0' });
  run(project, 'npm', ['test']);
  return project;
}

/** Runs `npm start` while `use` does its work; Postfix connects as another user, so that the socket is open to all. */
async function withFilter(project, use) {
  const options = { cwd: project, env: environment, stdio: ['ignore', 'inherit', 'pipe'], detached: true };
  const filter = spawn('npm', ['start', '--', '--mode', '666'], options);
  const ended = once(filter, 'close');
  let log = '';
  try {
    await Promise.race([
      new Promise((resolve) => {
        filter.stderr.setEncoding('utf8').on('data', (text) => {
          log += text;
          if (/listening/.test(log)) resolve();
        });
      }),
      ended.then(() => {
        throw new Error(`npm start ended: ${log}`);
      }),
    ]);
    console.log(`${seconds().padStart(6)} s  npm start: listening`);
    await use(path.join(project, 'first.sock'));
  } finally {
    if (filter.exitCode === null && filter.signalCode === null) process.kill(-filter.pid, 'SIGTERM');
    await ended;
  }
}

/** @throws Error unless the first mail arrives with the filter's header, and the second is refused by it */
async function sendMail(project, socket) {
  const lines = fs.readFileSync(path.join(project, 'mta/main.cf'), 'utf8');
  const extraConfig = lines.replace(/^smtpd_milters = .*$/m, `smtpd_milters = unix:${socket}`);
  if (extraConfig === lines) throw new Error(`init wrote no smtpd_milters: ${lines}`);
  const sink = await Sink.start();
  const postfix = await startPostfix({ sinkPort: sink.port, filters: { inet: socket }, extraConfig });
  try {
    const send = async (subject) => {
      const data = `Subject: ${subject}\r\n\r\nHello\r\n`;
      const { last } = await SmtpClient.submit(postfix.endpoints.inet, {
        from: 'a@src.test',
        to: 'b@dest.test',
        data,
      });
      return `${last.code} ${last.text}`;
    };
    const accepted = await send('hello');
    if (!accepted.startsWith('250'))
      throw new Error(`the mail was not accepted: ${accepted}\n${postfix.log()}`);
    const { text } = await sink.next(undefined, STEP_MS);
    if (!/^X-Lottery: none$/m.test(text.replaceAll('\r', '')))
      throw new Error(`the mail has no header:\n${text}`);
    console.log(`${seconds().padStart(6)} s  Postfix delivered a mail with X-Lottery: none`);
    const refused = await send('you won the lottery');
    if (!/^550 .*no lottery, please/.test(refused)) throw new Error(`the second mail got ${refused}`);
    console.log(`${seconds().padStart(6)} s  Postfix refused another: ${refused}`);
  } finally {
    await postfix.stop();
    await sink.stop();
  }
}

async function main() {
  const missing = unavailable();
  if (missing !== undefined) throw new Error(missing);
  // Postfix's user must be able to reach the socket.
  const directory = privateDirectory('first-mail', 0o755);
  try {
    const project = createProject(directory);
    await withFilter(project, (socket) => sendMail(project, socket));
  } finally {
    removeDirectory(directory);
  }
  if (Number(seconds()) > MAX_SECONDS) throw new Error(`it took ${seconds()} s, more than ${MAX_SECONDS}`);
  console.log(`from npx to a filtered mail in ${seconds()} s`);
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
