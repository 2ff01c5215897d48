/** Faults of the filter's process and of its machine. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect } from '@jest/globals';
import { projectRoot } from '../../../tools/project-root';
import { stages } from '../support/default-replies';
import type { Fault, FaultLab, FilterSetup } from './lab';

const killed = stages.map(
  (step): Fault => ({
    name: `the filter is killed in ${step}`,
    harm: (lab) => lab.atStep('kill', step),
    outcome: 'deferred',
    dies: true,
  }),
);

const twoWorkers = { settings: { workers: 2, run: { resourceLimits: { maxOldGenerationSizeMb: 24 } } } };

/** The descriptors that a filter needs, and some to be used up. */
const DESCRIPTORS = 200;

/** Shifts the clock of the filter's process, not of the machine. */
function shiftedClock(lab: FaultLab): FilterSetup {
  const clock = lab.file('clock');
  const library = lab.file('clock-shift.so');
  if (!fs.existsSync(library)) {
    fs.writeFileSync(clock, new BigInt64Array(1));
    const source = path.join(projectRoot, 'test/fixtures/mta/clock-shift.c');
    execFileSync(process.env.CC ?? 'cc', [
      '-shared',
      '-fPIC',
      '-O2',
      '-Wall',
      '-Werror',
      '-o',
      library,
      source,
    ]);
  }
  const preloaded = [process.env.LD_PRELOAD, library].filter((name) => name !== undefined);
  return {
    settings: { clock },
    fork: { env: { ...process.env, LD_PRELOAD: preloaded.join(':'), CLOCK_SHIFT: clock } },
  };
}

async function clockWasShifted(lab: FaultLab, by: number): Promise<void> {
  const [, seconds] = await lab.filter.event('shifted');
  expect(Math.abs(Number(seconds) - by)).toBeLessThan(60);
  fs.writeFileSync(lab.file('clock'), new BigInt64Array(1), { flag: 'r+' });
}

const DAY = 86_400;

/** AddressSanitizer would end the process where the C library's allocator fails. */
const FAILING_ALLOCATOR: FilterSetup = {
  fork: {
    env: { ...process.env, ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:allocator_may_return_null=1` },
  },
};

const exhausted: readonly Fault[] = [
  {
    name: 'a worker runs out of memory',
    filter: twoWorkers,
    harm: (lab) => lab.atStep('exhaust', 'body'),
    outcome: 'deferred',
  },
  {
    name: 'the main thread runs out of memory',
    filter: { fork: { env: { ...process.env, NODE_OPTIONS: '--max-old-space-size=24' } } },
    harm: (lab) => lab.atStep('exhaust', 'eom'),
    outcome: 'deferred',
    dies: true,
  },
  {
    name: 'the system has no memory left',
    filter: FAILING_ALLOCATOR,
    harm: (lab) => {
      const [pages] = fs.readFileSync(`/proc/${lab.filter.pid}/statm`, 'utf8').split(' ');
      lab.limit('as', Number(pages) * 4096 + (512 << 20));
      lab.atStep('allocate', 'body');
    },
    outcome: 'deferred',
    mend: async (lab) => {
      expect((await lab.filter.report()).message).toMatch(/allocation failed/i);
      lab.limit('as', 'unlimited');
    },
  },
  {
    name: 'all descriptors are used up in the middle of a message',
    harm: (lab) => {
      lab.limit('nofile', DESCRIPTORS);
      lab.atStep('descriptors', 'envfrom');
    },
    outcome: 'delivered',
    mend: async (lab) => {
      expect((await lab.filter.event('exhausted'))[1]).toMatchObject({ code: 'EMFILE' });
      await lab.filter.request('mend');
    },
  },
  {
    name: 'the disk is full while the message is spooled',
    harm: (lab) => lab.atStep('spool', 'body'),
    outcome: 'deferred',
    mend: async (lab) => expect(await lab.filter.report()).toMatchObject({ step: 'body', code: 'ENOSPC' }),
  },
];

const others: readonly Fault[] = [
  {
    name: 'the event loop is blocked',
    filter: { settings: { run: { handlerTimeout: 500 } } },
    harm: (lab) => lab.atStep('block', 'eom'),
    outcome: 'deferred',
    mend: async (lab) => {
      fs.writeFileSync(lab.file('unblock'), '');
      await lab.filter.event('closed');
      fs.rmSync(lab.file('unblock'));
    },
  },
  {
    name: 'a handler never answers',
    filter: { settings: { run: { handlerTimeout: 500 } } },
    harm: (lab) => lab.atStep('hold', 'envrcpt'),
    outcome: 'deferred',
    mend: (lab) => lab.filter.event('aborted'),
  },
  {
    name: 'the clock is set back by a day in the middle of a message',
    filter: shiftedClock,
    harm: (lab) => lab.atStep('clock-back', 'envrcpt'),
    outcome: 'delivered',
    mend: (lab) => clockWasShifted(lab, -DAY),
  },
  {
    name: 'the clock is set forward by a day in the middle of a message',
    filter: shiftedClock,
    harm: (lab) => lab.atStep('clock-forward', 'envrcpt'),
    outcome: 'delivered',
    mend: (lab) => clockWasShifted(lab, DAY),
  },
  {
    name: 'the directory of the socket is removed',
    harm: (lab) => fs.rmSync(lab.directory, { recursive: true }),
    outcome: 'deferred',
    mend: async (lab) => {
      fs.mkdirSync(lab.directory, { mode: 0o755 });
      await lab.endFilter();
    },
  },
  {
    name: 'the socket is removed',
    harm: (lab) => fs.rmSync(lab.file('sock')),
    outcome: 'deferred',
    mend: (lab) => lab.endFilter(),
  },
  {
    name: 'a factory that fails is set while the filter runs',
    harm: (lab) => lab.filter.use('a factory that fails'),
    outcome: 'deferred',
    mend: (lab) => lab.filter.request('useAgain'),
  },
];

const ACCESS = 'From:src.test OK\nFrom:other.test REJECT\n';

/** Replaces the access map, as its documentation asks. */
function replaceAccess(lab: FaultLab, text: string): void {
  fs.writeFileSync(lab.file('access.new'), text);
  fs.renameSync(lab.file('access.new'), lab.file('access'));
}

function withAccessMap(lab: FaultLab): FilterSetup {
  if (!fs.existsSync(lab.file('access'))) replaceAccess(lab, '');
  return { settings: { access: lab.file('access') } };
}

async function readAccess(lab: FaultLab, text: string): Promise<void> {
  replaceAccess(lab, text);
  await lab.filter.event('map read');
}

async function breakAccess(lab: FaultLab, damage: () => void): Promise<void> {
  await readAccess(lab, ACCESS);
  damage();
  const [, error] = await lab.filter.event('map error');
  expect(error).toMatchObject({ code: 'ERR_MILTER_ACCESS_MAP' });
}

const mendAccess = (lab: FaultLab) => readAccess(lab, ACCESS.replace('REJECT', 'OK'));

const configuration: readonly Fault[] = [
  {
    name: 'the new access map is broken: what the old one permits is delivered',
    filter: withAccessMap,
    harm: (lab) => breakAccess(lab, () => replaceAccess(lab, 'From:src.test\n')),
    outcome: 'delivered',
    mend: mendAccess,
  },
  {
    name: 'the new access map is broken: what the old one refuses is refused',
    filter: withAccessMap,
    harm: (lab) => breakAccess(lab, () => replaceAccess(lab, 'From:src.test OK\nFrom:src.test OK\n')),
    mail: { from: 'from@other.test' },
    outcome: 'refused',
    mend: mendAccess,
  },
  {
    name: 'the access map is removed: what it refuses is refused',
    filter: withAccessMap,
    harm: (lab) => breakAccess(lab, () => fs.rmSync(lab.file('access'))),
    mail: { from: 'from@other.test' },
    outcome: 'refused',
    mend: mendAccess,
  },
];

export const filterFaults: readonly Fault[] = [...killed, ...exhausted, ...others, ...configuration];
