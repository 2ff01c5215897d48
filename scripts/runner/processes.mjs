/**
 * Running commands to their end: their output in a log file, a limit of time, and nothing left running behind them.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

/** The package's folder. */
export const root = path.resolve(import.meta.dirname, '../..');

/** Where every log of a run goes. */
export const logs = path.join(root, '.build', 'log');

/** How long the children of a finished command may take to end by themselves. */
const GRACE_MS = 2000;

/** Process groups to end when this process is told to end. */
const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    for (const pid of running) killGroup(pid);
    process.kill(process.pid, signal);
  });
}

/** Kills a process group; returns whether there was anything left of it. */
function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

/** The names of the processes of a group that are alive; a finished one that nobody has waited for is not. */
function namesInGroup(group) {
  const names = [];
  let entries = [];
  try {
    entries = fs.readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  } catch {
    return names; // no /proc here: killGroup still does its work
  }
  for (const pid of entries) {
    try {
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [state, , ofGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(ofGroup) !== group || state === 'Z' || state === 'X') continue;
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
      names.push(`${pid} ${command}`);
    } catch {
      // It has ended meanwhile.
    }
  }
  return names;
}

/**
 * Runs a command in a process group of its own, without standard input.
 *
 * @param {string[]} command
 * @param {{log: string, env?: NodeJS.ProcessEnv, seconds?: number}} options `log`: file that receives its output;
 *     `seconds`: after these the whole group is killed. Default: 600
 * @returns {Promise<{ok: boolean, ending: string, timedOut: boolean, left: string[]}>} `ending`: how it ended, in
 *     words; `left`: processes of its group that it left running (killed by now)
 */
export function run(command, { log, env = process.env, seconds = 600 }) {
  fs.mkdirSync(path.dirname(log), { recursive: true });
  const out = fs.openSync(log, 'w');
  return new Promise((resolve) => {
    const child = spawn(command[0], command.slice(1), {
      cwd: root,
      env,
      detached: true,
      stdio: ['ignore', out, out],
    });
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
    }, seconds * 1000);
    if (child.pid !== undefined) running.add(child.pid);
    child.once('error', (error) => {
      clearTimeout(timer);
      fs.closeSync(out);
      resolve({ ok: false, ending: `could not start: ${error.message}`, timedOut, left: [] });
    });
    child.once('exit', async (code, signal) => {
      clearTimeout(timer);
      fs.closeSync(out);
      const left = timedOut ? [] : await leftOf(child.pid);
      killGroup(child.pid);
      running.delete(child.pid);
      let ending = signal ? `ended by ${signal}` : `exit code ${code}`;
      if (timedOut) ending = `no end after ${seconds} s`;
      resolve({ ok: code === 0 && !timedOut, ending, timedOut, left });
    });
  });
}

/** What is alive of a group after a moment in which it may end by itself: helpers that clean up when a test has gone. */
async function leftOf(group) {
  let names = namesInGroup(group);
  for (const end = performance.now() + GRACE_MS; names.length > 0 && performance.now() < end; ) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    names = namesInGroup(group);
  }
  return names;
}

/** The end of a file, at most so many bytes: a program that repeats an error forever writes more than a string can hold. */
function endOf(file, most) {
  const descriptor = fs.openSync(file, 'r');
  try {
    const { size } = fs.fstatSync(descriptor);
    const end = Buffer.alloc(Math.min(size, most));
    fs.readSync(descriptor, end, 0, end.length, size - end.length);
    return { text: end.toString('utf8'), whole: end.length === size };
  } finally {
    fs.closeSync(descriptor);
  }
}

/** The last lines of a file, indented, for a report. */
export function tail(file, lines = 60) {
  if (!fs.existsSync(file)) return '';
  const { text, whole } = endOf(file, 1 << 20);
  const all = text.trimEnd().split('\n');
  const shown = all.slice(-lines).map((line) => `      ${line}`);
  if (all.length > lines || !whole)
    shown.unshift(`      … more lines before, in ${path.relative(root, file)}`);
  return shown.join('\n');
}
