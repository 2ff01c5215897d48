// A process between a test (or benchmark) and the program it runs. When the test ends, even by SIGKILL, the IPC channel to it
// closes; the supervisor then ends the program and removes its folder, which 'exit' handlers in the test cannot do.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The program, as JSON in the only argument. */
export interface SupervisedCommand {
  /** Removed at the end, with its content. */
  readonly dir: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What the test is told: the process id, and the end if the program ends by itself. */
export type SupervisorMessage = { readonly pid: number } | { readonly ended: string };

/** Milliseconds between SIGTERM and SIGKILL. */
const GRACE = 3000;

function main(): void {
  const { dir, command, args, env } = JSON.parse(process.argv[2] ?? '') as SupervisedCommand;
  // A session of its own: no terminal signal reaches the program, and all its children are in one process group.
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
      await exited; // reaped, so that its pid is gone
    }
    fs.rmSync(dir, { recursive: true, force: true });
    process.exit(0);
  };
  process.on('disconnect', finish);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, finish);
}

/** Ends the process group: by SIGTERM, and by SIGKILL if that is not enough. */
async function endGroup(group: number): Promise<void> {
  signalGroup(group, 'SIGTERM');
  const deadline = performance.now() + GRACE;
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

/** Zombies do not count: in a container there may be no process that reaps them, and kill(2) would always find them. */
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
    return []; // it has ended since the folder was read
  }
}

if (require.main === module) main();
