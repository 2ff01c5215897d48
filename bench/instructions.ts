/**
 * Counts the instructions that a message costs the filter's process. The figure does not depend on the machine's load, so it
 * shows a change that makes messages more expensive.
 *
 *     npm run bench:instructions                # counts and compares with bench/instructions.json
 *     npm run bench:instructions -- --record    # counts and writes the result there
 *
 * The filter of bench/peers runs under valgrind's callgrind and takes message after message on one connection: with 15 headers and
 * 4 KiB of body, the same with handlers without a reply, and with 1 MiB of body. The result is what more messages add, so that it
 * does not include the start. V8 only interprets, because
 * what it compiles, and when, depends on time; the count is therefore no measure of speed, but it grows with every additional
 * call, object and string. It does not include the kernel. Exit code 1 means a deviation of more than 5 %, or 15 % for the long
 * body.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { load } from '../tools/load';
import { projectRoot } from '../tools/project-root';
import { SupervisedProcess } from '../tools/supervised-process';
import { until } from '../tools/wait';

/** Instructions per message. */
interface Counts {
  /** Of the whole process. */
  readonly whole: number;
  /** Of the addon's own code, without the functions that it calls elsewhere, and without what it does by the clock. */
  readonly addon: number;
}

/** A load whose messages are counted. */
interface CountedLoad {
  readonly name: string;
  /** The filter's variant: see bench/peers/main.ts. */
  readonly variant: string;
  /** Bytes. */
  readonly body: number;
  /** The numbers of messages whose counts are compared. */
  readonly few: number;
  readonly many: number;
  /** The deviation that is taken for chance. */
  readonly tolerance: number;
}

/** The content of bench/instructions.json. Counts depend on the major version of Node and on the processor's kind. */
interface OnRecord {
  readonly node: string;
  readonly arch: string;
  /** By the name of the load. */
  readonly loads: Readonly<Record<string, Counts>>;
}

const LOADS: readonly CountedLoad[] = [
  { name: 'plain', variant: 'plain', body: 4096, few: 100, many: 300, tolerance: 0.05 },
  { name: 'no reply', variant: 'noreply', body: 4096, few: 100, many: 300, tolerance: 0.05 },
  // How many batches a long body makes also depends on time: one goes at last when it is 20 ms old.
  { name: 'body', variant: 'plain', body: 2 ** 20, few: 20, many: 60, tolerance: 0.15 },
];

const RECORD = join(projectRoot, 'bench/instructions.json');
/** Milliseconds after which a filter under valgrind is taken to hang. */
const TIMEOUT = 120_000;
const PREDICTABLE = ['--jitless', '--single-threaded', '--random-seed=1', '--hash-seed=1'];

const here = { node: process.versions.node.split('.')[0] as string, arch: process.arch };

/** The PoolStarvationWatchdog looks at all descriptors four times a second: on a busy machine a message takes longer, and more of that. */
const BY_THE_CLOCK =
  /PoolStarvationWatchdog|forEachConnection|isConnection|forEachNumberedEntry|SocketAddress::|parseNumber/;

/** The instructions of the addon itself in callgrind's output; a line after `calls=` counts those of a called function. */
function ofAddon(profile: string): number {
  let own = false;
  let called = false;
  let byTheClock = false;
  let sum = 0;
  for (const line of profile.split('\n')) {
    if (line.startsWith('ob=')) own = line.endsWith('tsmilter.node');
    else if (line.startsWith('fn=')) byTheClock = BY_THE_CLOCK.test(line);
    else if (line.startsWith('calls=')) called = true;
    else if (/^[\d+*-]/.test(line)) {
      if (own && !called && !byTheClock) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
      called = false;
    }
  }
  return sum;
}

/** Runs a filter under callgrind, from its start to its end, with that many messages. */
async function count({ variant, body }: CountedLoad, messages: number): Promise<Counts> {
  const dir = mkdtempSync('/tmp/tsmilter-bench-');
  const profile = join(dir, 'profile');
  const socket = join(dir, 'sock');
  const filter = new SupervisedProcess({
    dir,
    command: 'valgrind',
    args: [
      ...['--tool=callgrind', '--compress-strings=no', `--callgrind-out-file=${profile}`],
      ...[process.execPath, ...PREDICTABLE, join(projectRoot, '.build/bench/peers/main.js')],
      ...[`unix:${socket}`, variant, '0', '0'],
    ],
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
  });
  try {
    await until('the filter listening', () => existsSync(socket) || filter.ended !== undefined, TIMEOUT);
    if (filter.ended !== undefined) throw new Error(`the filter ended: ${filter.ended} ${filter.output}`);
    await load(`unix:${socket}`, { connections: 1, messages, headers: 15, body, pause: 0 }, TIMEOUT);
    process.kill(filter.pid as number, 'SIGTERM');
    const whole = await until('the count', () => /Collected : (\d+)/.exec(filter.output)?.[1], TIMEOUT);
    return { whole: Number(whole), addon: ofAddon(readFileSync(profile, 'latin1')) };
  } finally {
    await filter.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function perMessage(measured: CountedLoad): Promise<Counts> {
  const { few, many } = measured;
  const [first, second] = await Promise.all([count(measured, few), count(measured, many)]);
  const each = (name: keyof Counts) => Math.round((second[name] - first[name]) / (many - few));
  return { whole: each('whole'), addon: each('addon') };
}

/** Describes the deviations above the tolerance. */
function differences(
  { name: load, tolerance }: CountedLoad,
  found: Counts,
  recorded: Counts | undefined,
): string[] {
  if (!recorded) return [`${load}: nothing is recorded`];
  return (['whole', 'addon'] as const).flatMap((name) => {
    const change = found[name] / recorded[name] - 1;
    if (Math.abs(change) <= tolerance) return [];
    const [sign, word] = change > 0 ? ['+', 'more expensive'] : ['', 'cheaper'];
    return [`${load}, ${name}: ${sign}${(change * 100).toFixed(1)} %, messages have become ${word}`];
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { record: { type: 'boolean', default: false } } });
  const recorded = JSON.parse(readFileSync(RECORD, 'utf8')) as OnRecord;
  if (!values.record && (recorded.node !== here.node || recorded.arch !== here.arch)) {
    console.log(`not compared: the recorded counts are of Node ${recorded.node} on ${recorded.arch}`);
    return;
  }
  const loads: Record<string, Counts> = {};
  for (const measured of LOADS) {
    const found = await perMessage(measured);
    loads[measured.name] = found;
    console.log(`${measured.name}: ${found.whole} instructions per message, in the addon ${found.addon}`);
  }
  if (values.record) {
    writeFileSync(RECORD, `${JSON.stringify({ ...here, loads }, null, 2)}\n`);
    return;
  }
  const problems = LOADS.flatMap((measured) =>
    differences(measured, loads[measured.name] as Counts, recorded.loads[measured.name]),
  );
  if (problems.length === 0) return;
  console.error(`${problems.join('\n')}\nif that is intended: npm run bench:instructions -- --record`);
  process.exitCode = 1;
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
