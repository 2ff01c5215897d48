// Runs between the test and an MTA, as a process of its own, and outlives the test: when the test ends, in
// whatever way (also by SIGKILL), the channel to it closes, and then the MTA is ended and its folder removed.
// That covers what 'exit' handlers in the test cannot.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the test hands over, as JSON, in the only argument. */
export interface SupervisedCommand {
  /** Removed at the end, with all that is in it. */
  readonly dir: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What the test is told: the process id once, and the end if the MTA ends by itself. */
export type SupervisorMessage = { readonly pid: number } | { readonly ended: string };

const graceMs = 3000;

function main(): void {
  const { dir, command, args, env } = JSON.parse(process.argv[2] ?? '') as SupervisedCommand;
  // A session of its own: no terminal signal reaches the MTA, and its whole family is one process group.
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'inherit', 'inherit'] });
  const tell = (message: SupervisorMessage) => process.connected && process.send?.(message, () => {});

  if (child.pid !== undefined) tell({ pid: child.pid });
  child.on('error', (error) => tell({ ended: error.message }));
  child.on('exit', (code, signal) => tell({ ended: signal ? `killed by ${signal}` : `exit status ${code}` }));

  let finishing = false;
  const finish = async () => {
    if (finishing) return;
    finishing = true;
    if (child.pid !== undefined) {
      const exited = child.exitCode === null && child.signalCode === null && once(child, 'exit');
      await endGroup(child.pid);
      await exited; // reaped, so that nobody finds its pid any more
    }
    fs.rmSync(dir, { recursive: true, force: true });
    process.exit(0);
  };
  process.on('disconnect', finish);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, finish);
}

/** Ends the process group: politely first, for sure in the end. */
async function endGroup(group: number): Promise<void> {
  signalGroup(group, 'SIGTERM');
  const deadline = performance.now() + graceMs;
  while (groupIsAlive(group)) {
    if (performance.now() > deadline) {
      signalGroup(group, 'SIGKILL');
      return;
    }
    await sleep(10);
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Zombies do not count: in a container nobody may ever reap them, and kill(2) would find them for ever. */
function groupIsAlive(group: number): boolean {
  return fs.readdirSync('/proc').some((name) => {
    if (!/^\d+$/.test(name)) return false;
    const [state, , processGroup] = statFields(name);
    return processGroup === String(group) && state !== 'Z' && state !== 'X';
  });
}

/** The fields of /proc/PID/stat from the state on; the name before it may hold blanks and parentheses. */
function statFields(pid: string): string[] {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return []; // ended since the folder was read
  }
}

if (require.main === module) main();
