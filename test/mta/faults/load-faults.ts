/** Faults under load: the filter is stopped, stopped twice, restarted or killed while clients send one message after the other. */
import { performance } from 'node:perf_hooks';
import { expect } from '@jest/globals';
import { TIMEOUT, until } from '../../../tools/wait';
import { expectThat } from '../../support/expect';
import type { Kind } from '../support/mta-fixture';
import type { FaultLab, FilterSetup } from './lab';
import { Load } from './load';

/** End of message takes a moment, so that there are always messages in it; no stop gives up one that can finish. */
const SETUP: FilterSetup = { settings: { eomTime: 20, run: { drainTimeout: 10 * TIMEOUT } } };
const WORKERS: FilterSetup = { settings: { ...SETUP.settings, workers: 2 } };

/** What each count of replies must reach before, while and after something is broken. */
const ENOUGH = 15;

/** Two messages at least that are under way at this moment. */
function underWay(load: Load): Promise<string[]> {
  return until('messages under way', () => load.underWay.size > 1 && [...load.underWay]);
}

/** Runs the clients while `harm` breaks something, then checks all their messages, and that the next one is delivered. */
async function underLoad(
  lab: FaultLab,
  kind: Kind,
  setup: FilterSetup,
  harm: (load: Load) => Promise<void>,
): Promise<void> {
  await lab.useFilter(setup);
  const load = new Load(lab.mtas, kind);
  try {
    await load.reached(ENOUGH, 250);
    load.allAccepted(0);
    await harm(load);
  } catch (error) {
    load.stop().catch(() => {}); // the first failure is the one to report
    throw error;
  }
  await load.end();
  await lab.useFilter(setup);
  await lab.expectOutcome(kind, 'delivered');
}

/** Stops the filter, and checks that what it has begun is finished. */
async function stop(lab: FaultLab, load: Load): Promise<void> {
  const begun = await underWay(load);
  await lab.endFilter();
  await until('replies to what was begun', () => begun.every((id) => load.code(id) !== undefined));
  for (const id of begun) expectThat(load.code(id), `${id} was begun; ${load.state()}`).toBe(250);
}

/** Starts the filter, and checks that it accepts all that comes then. */
async function start(lab: FaultLab, load: Load, setup: FilterSetup): Promise<void> {
  await lab.useFilter(setup);
  const listens = performance.now();
  await load.reached(ENOUGH, 250, listens);
  load.allAccepted(listens);
}

interface LoadFault {
  readonly name: string;
  readonly run: (lab: FaultLab, kind: Kind) => Promise<void>;
}

const restarts = [
  { name: 'the filter is restarted twice under load', setup: SETUP, rounds: 2 },
  { name: 'a filter with workers is restarted under load', setup: WORKERS, rounds: 1 },
].map(
  ({ name, setup, rounds }): LoadFault => ({
    name: `${name}: what was begun is finished, what comes afterwards is accepted`,
    run: (lab, kind) =>
      underLoad(lab, kind, setup, async (load) => {
        for (let round = 0; round < rounds; round++) {
          await stop(lab, load);
          await start(lab, load, setup);
        }
      }),
  }),
);

export const loadFaults: readonly LoadFault[] = [
  {
    name: 'the filter is stopped under load: what was begun is finished, the rest is deferred',
    run: (lab, kind) =>
      underLoad(lab, kind, SETUP, async (load) => {
        await stop(lab, load);
        const gone = performance.now();
        await load.reached(ENOUGH, 451, gone);
      }),
  },
  {
    name: 'the filter is stopped twice under load: only what never answers is given up',
    run: (lab, kind) =>
      underLoad(lab, kind, SETUP, async (load) => {
        const { filter } = lab;
        lab.atStep('hold', 'eom');
        await filter.event('held');
        const begun = await underWay(load);
        process.kill(filter.pid, 'SIGTERM');
        await filter.event('told to stop');
        await load.reached(ENOUGH, 451);
        const [held] = await until('one message left', () => load.underWay.size === 1 && [...load.underWay]);
        expect(filter.running).toBe(true);
        await lab.endFilter();
        await until('its reply', () => load.underWay.size === 0);
        for (const id of begun) {
          expectThat(load.code(id), `${id} of ${begun.join(' ')}; held: ${held}`).toBe(
            id === held ? 451 : 250,
          );
        }
        expect(begun).toContain(held);
      }),
  },
  ...restarts,
  {
    name: 'the filter is killed under load, and another one started: what is accepted has passed one of them',
    run: (lab, kind) =>
      underLoad(lab, kind, SETUP, async (load) => {
        await underWay(load);
        process.kill(lab.filter.pid, 'SIGKILL');
        await lab.filter.exited();
        await load.reached(1, 451);
        await start(lab, load, SETUP);
      }),
  },
];
