/** Programs that run side by side. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text as readAll } from 'node:stream/consumers';
import { projectRoot } from '../../tools/project-root';
import { expectThat } from './expect';

/** Runs a program, which can require the package, in several processes at once. @returns what each has written to stdout */
export async function runProcesses(count: number, program: string): Promise<string[]> {
  const run = async () => {
    const child = spawn(process.execPath, ['-e', program], { cwd: projectRoot, timeout: 60_000 });
    const [output, errors, [status]] = await Promise.all([
      readAll(child.stdout),
      readAll(child.stderr),
      once(child, 'close'),
    ]);
    expectThat(status, errors).toBe(0);
    return output;
  };
  return Promise.all(Array.from({ length: count }, run));
}
