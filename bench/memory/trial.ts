/** One load of messages that are all held at the same time, and the memory of the filter's process meanwhile. Linux only. */
import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { load } from '../../tools/load';
import { projectRoot } from '../../tools/project-root';
import { SupervisedProcess } from '../../tools/supervised-process';
import { until } from '../../tools/wait';
import { forgetPeak, resident } from '../proc';

/** Bytes of each message's body. */
export const BODY = 1_000_000;
/** Milliseconds after which a load is taken to hang. */
const TIMEOUT = 180_000;
/** Node's own threads, and what libmilter keeps for the next connection. */
const FEW_THREADS = 40;

/** Bytes of resident memory. */
export interface Trial {
  readonly before: number;
  readonly peak: number;
  readonly held: number;
  readonly after: number;
}

/** A fresh process of bench/memory/filter.ts that takes one load. */
export async function measure(variant: string, sessions: number): Promise<Trial> {
  const directory = mkdtempSync('/tmp/tsmilter-bench-'); // short: the path of a socket is limited
  const socket = `unix:${directory}/sock`;
  const { PATH = '/usr/bin:/bin', MILTER_ADDON } = process.env;
  const filter = new SupervisedProcess({
    dir: directory,
    command: process.execPath,
    args: [join(projectRoot, '.build/bench/memory/filter.js'), socket, variant, String(sessions)],
    env: { PATH, ...(MILTER_ADDON === undefined ? {} : { MILTER_ADDON }) },
  });
  try {
    await until('the filter listens', () => {
      if (filter.ended !== undefined) throw new Error(`the filter ended: ${filter.ended} ${filter.output}`);
      return filter.output.includes('listening');
    });
    const pid = filter.pid as number;
    forgetPeak(pid);
    const before = resident(pid).now;
    await load(socket, { connections: sessions, messages: 1, headers: 15, body: BODY, pause: 0 }, TIMEOUT);
    const held = Number(/held (\d+)/.exec(filter.output)?.[1]);
    const { peak } = resident(pid);
    await until('the end of idle threads', () => threads(pid) <= FEW_THREADS, TIMEOUT);
    return { before, peak, held, after: resident(pid).now };
  } finally {
    await filter.stop();
  }
}

const threads = (pid: number) => readdirSync(`/proc/${pid}/task`).length;
