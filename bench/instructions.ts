/**
 * How many instructions a message costs the filter's process: a figure that does not depend on what else the machine does,
 * so that a change which makes messages dearer is seen.
 *
 *     npm run bench:instructions                # counts, and compares with bench/instructions.json
 *     npm run bench:instructions -- --record    # counts, and writes it there
 *
 * The filter of bench/peers runs under valgrind's callgrind and takes 15 headers and 4 KiB of body, message after message, on
 * one connection. What 200 more messages add is counted, so that the start is not in it. V8 only interprets, for what it
 * compiles, and when, depends on time: the count of the whole is no measure of speed, but grows with each call, object
 * and string more. What the kernel does for the process is not in it. Exit code 1: more than 5 % away from what is on record.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { load } from '../tools/load';
import { projectRoot } from '../tools/mta';
import { SupervisedProcess } from '../tools/mta/process';
import { until } from '../tools/mta/wait';

/** Instructions for one message. */
interface Counts {
  /** The process, all of it. */
  readonly whole: number;
  /** In the addon's own code: what it calls in others is theirs. */
  readonly addon: number;
}

/** What bench/instructions.json holds: counts are those of one major version of Node on one kind of processor. */
interface OnRecord extends Counts {
  readonly node: string;
  readonly arch: string;
}

const RECORD = join(projectRoot, 'bench/instructions.json');
const FEW = 100;
const MANY = 300;
const TOLERANCE = 0.05;
/** Milliseconds after which a filter under valgrind has hung. */
const PATIENCE = 120_000;
const PREDICTABLE = ['--jitless', '--single-threaded', '--random-seed=1', '--hash-seed=1'];

const here = { node: process.versions.node.split('.')[0] as string, arch: process.arch };

/** Instructions of the addon's own lines in callgrind's output: those after `calls=` are of what was called. */
function ofAddon(profile: string): number {
  let own = false;
  let called = false;
  let sum = 0;
  for (const line of profile.split('\n')) {
    if (line.startsWith('ob=')) own = line.endsWith('tsmilter.node');
    else if (line.startsWith('calls=')) called = true;
    else if (/^[\d+*-]/.test(line)) {
      if (own && !called) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
      called = false;
    }
  }
  return sum;
}

/** A filter's whole life under callgrind, with so many messages. */
async function count(messages: number): Promise<Counts> {
  const dir = mkdtempSync('/tmp/tsmilter-bench-');
  const profile = join(dir, 'profile');
  const socket = join(dir, 'sock');
  const filter = new SupervisedProcess({
    dir,
    command: 'valgrind',
    args: [
      ...['--tool=callgrind', '--compress-strings=no', `--callgrind-out-file=${profile}`],
      ...[process.execPath, ...PREDICTABLE, join(projectRoot, '.build/bench/peers/main.js')],
      ...[`unix:${socket}`, 'plain', '0', '0'],
    ],
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
  });
  try {
    await until('the filter listens', PATIENCE, () => existsSync(socket) || filter.ended !== undefined);
    if (filter.ended !== undefined) throw new Error(`the filter ended: ${filter.ended} ${filter.output}`);
    await load(`unix:${socket}`, { connections: 1, messages, headers: 15, body: 4096, pause: 0 }, PATIENCE);
    process.kill(filter.pid as number, 'SIGTERM');
    const whole = await until('the count', PATIENCE, () => /Collected : (\d+)/.exec(filter.output)?.[1]);
    return { whole: Number(whole), addon: ofAddon(readFileSync(profile, 'latin1')) };
  } finally {
    await filter.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function perMessage(): Promise<Counts> {
  const [few, many] = [await count(FEW), await count(MANY)];
  const each = (name: keyof Counts) => Math.round((many[name] - few[name]) / (MANY - FEW));
  return { whole: each('whole'), addon: each('addon') };
}

/** What differs by more than the tolerance, in words. */
function differences(found: Counts, recorded: Counts): string[] {
  return (['whole', 'addon'] as const).flatMap((name) => {
    const change = found[name] / recorded[name] - 1;
    if (Math.abs(change) <= TOLERANCE) return [];
    const [sign, word] = change > 0 ? ['+', 'dearer'] : ['', 'cheaper'];
    return [`${name}: ${sign}${(change * 100).toFixed(1)} %, messages have become ${word}`];
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { record: { type: 'boolean', default: false } } });
  const recorded = JSON.parse(readFileSync(RECORD, 'utf8')) as OnRecord;
  if (!values.record && (recorded.node !== here.node || recorded.arch !== here.arch)) {
    console.log(`not compared: what is on record is of Node ${recorded.node} on ${recorded.arch}`);
    return;
  }
  const found = await perMessage();
  console.log(`instructions per message: ${found.whole}, in the addon ${found.addon}`);
  if (values.record) {
    writeFileSync(RECORD, `${JSON.stringify({ ...here, ...found }, null, 2)}\n`);
    return;
  }
  const problems = differences(found, recorded);
  if (problems.length === 0) return;
  console.error(`${problems.join('\n')}\nif that is meant: npm run bench:instructions -- --record`);
  process.exitCode = 1;
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
