/**
 * Measures how many messages examples/authmilter signs, with the main thread alone and with workers.
 *
 *     node .build/bench/dkim-workers.js [--rounds 5] [--quick]
 *
 * The load is that of tools/load.c. RSA keys sign on the threads of libuv's pool, whichever thread runs the filter, so that even
 * without workers a filter uses several cores. `cores` says how many the filter's process was busy with; what load generator
 * and libmilter take of them is not left for more workers. So signing is then measured by itself, in CPU.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generateKey } from 'tsmilter/dkim';
import { load } from '../tools/load';
import { projectRoot } from '../tools/project-root';
import { SupervisedProcess } from '../tools/supervised-process';
import { until } from '../tools/wait';
import { compareThreads } from './dkim/signing-threads';
import { cpuSeconds } from './proc';
import { median } from './statistics';
import { wholeNumber } from './whole-number';

const CONNECTIONS = 8;
const WORKERS = [0, 1, 2];

interface Row {
  readonly title: string;
  readonly key: 'rsa' | 'ed25519';
  readonly body: number;
  /** Messages of a connection. */
  readonly messages: number;
}

const ROWS: readonly Row[] = [
  { title: 'RSA, 4 kB', key: 'rsa', body: 4096, messages: 300 },
  { title: 'RSA, 100 kB', key: 'rsa', body: 100_000, messages: 150 },
  { title: 'Ed25519, 1 MB', key: 'ed25519', body: 1_000_000, messages: 25 },
];

interface Trial {
  readonly perSecond: number;
  readonly cores: number;
}

/** A filter in a process and a folder of its own. */
async function trial({ key, body, messages }: Row, workers: number, quick: boolean): Promise<Trial> {
  const directory = mkdtempSync('/tmp/tsmilter-bench-'); // short: the path of a socket is limited
  const socket = `unix:${directory}/sock`;
  writeFileSync(join(directory, 'key.pem'), await generateKey({ type: key }), { mode: 0o600 });
  writeFileSync(join(directory, 'table'), 'src.test src.test s key.pem\n');
  const config = [
    '[milter]',
    `socketname = ${socket}`,
    `workers = ${workers}`,
    '[clients]',
    'internal_connect = 192.0.2.0/24',
    '[sign]',
    'signing_table = table',
  ];
  writeFileSync(join(directory, 'authmilter.cfg'), `${config.join('\n')}\n`);
  const filter = new SupervisedProcess({
    dir: directory,
    command: process.execPath,
    args: [join(projectRoot, '.build/examples/authmilter.js'), join(directory, 'authmilter.cfg')],
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
  });
  try {
    await until('the filter listens', () => {
      if (filter.ended) throw new Error(`the filter has ended: ${filter.output}`);
      return filter.output.includes('listening on');
    });
    const what = { connections: CONNECTIONS, headers: 15, body, pause: 0, from: true };
    const count = quick ? Math.ceil(messages / 10) : messages;
    await load(socket, { ...what, messages: Math.ceil(count / 5) });
    const before = cpuSeconds(filter.pid as number);
    const { perSecond, seconds } = await load(socket, { ...what, messages: count });
    const cores = (cpuSeconds(filter.pid as number) - before) / seconds;
    if (!filter.output.includes('signed with s._domainkey.src.test'))
      throw new Error(filter.output.slice(-1000));
    return { perSecond, cores };
  } finally {
    await filter.stop();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '5' }, quick: { type: 'boolean', default: false } },
  });
  const rounds = values.quick ? 1 : wholeNumber('rounds', values.rounds);
  console.log(
    `messages signed a second (cores busy), ${availableParallelism()} cores, ${CONNECTIONS} connections\n`,
  );
  console.log(
    `${''.padEnd(16)}${WORKERS.map((workers) => `${workers} workers`.padStart(18)).join('')}      2 : 1`,
  );
  for (const row of ROWS) {
    const trials = WORKERS.map((): Trial[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const [at, workers] of WORKERS.entries())
        trials[at]?.push(await trial(row, workers, values.quick));
    }
    const rates = trials.map((all) => median(all.map(({ perSecond }) => perSecond)));
    const cores = trials.map((all) => median(all.map((one) => one.cores)));
    const cells = rates.map((rate, at) =>
      `${rate.toFixed(0)} (${(cores[at] as number).toFixed(2)})`.padStart(18),
    );
    console.log(
      `${row.title.padEnd(16)}${cells.join('')}  ${((rates[2] as number) / (rates[1] as number)).toFixed(2)} x`,
    );
  }
  console.log(
    `\nCPU of a message that is signed, 4 kB, without MTA\n${''.padEnd(16)}${['1 thread', '2 threads'].map((title) => title.padStart(18)).join('')}      2 : 1`,
  );
  await compareThreads(rounds, values.quick ? 400 : 6000);
}

void main();
