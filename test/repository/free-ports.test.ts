// Ports for the tests (tools/free-ports.ts), which are taken by several processes at the same time.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as path from 'node:path';
import { expect, test } from '@jest/globals';
import { freePorts } from '../../tools/free-ports';
import { projectRoot } from '../../tools/project-root';

/** More than one block of them. */
const COUNT = 60;

/** Prints ports, and holds them until its standard input ends. */
const program = `
  const { freePorts } = require(${JSON.stringify(path.join(projectRoot, '.build/tools/free-ports'))});
  process.stdin.resume();
  freePorts(${COUNT}).then((ports) => console.log(JSON.stringify(ports)));
`;

async function portsOf(child: ChildProcessWithoutNullStreams): Promise<number[]> {
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  return JSON.parse(line) as number[];
}

test('ports are given to one process only, and once', async () => {
  // Processes that start together have ids next to each other, and begin to look next to each other.
  const children = Array.from({ length: 6 }, () => spawn(process.execPath, ['-e', program]));
  try {
    const all = (await Promise.all([freePorts(COUNT), freePorts(COUNT), ...children.map(portsOf)])).flat();
    expect(all).toHaveLength(8 * COUNT);
    expect(new Set(all).size).toBe(all.length);
  } finally {
    await Promise.all(
      children.map(async (child) => {
        const end = once(child, 'exit');
        child.stdin.end();
        await end;
      }),
    );
  }
});
