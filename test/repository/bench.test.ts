/** The benchmark's reckoning: medians, ratios, verdicts, the table, and the command line. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { type Contender, commandOf, contenders, onInet } from '../../bench/contenders';
import { cpuSeconds, resident } from '../../bench/proc';
import { filledIn, report } from '../../bench/report';
import { judge, type Results, resultOf } from '../../bench/results';
import { type DirectRow, idealRate, rows, type Target } from '../../bench/rows';
import { median, summarize } from '../../bench/statistics';
import { projectRoot } from '../../tools/project-root';
import { expectThat } from '../support/expect';

const { C, C_NOOP, MILTER, NONE, PYMILTER } = contenders;

const row: DirectRow = {
  kind: 'direct',
  name: 'example',
  title: 'An example',
  load: { connections: 10, messages: 5, quick: 1, headers: 1, body: 2 ** 20, pause: 20 },
  work: { wait: 100 },
  contenders: [C, MILTER],
  targets: [
    { of: MILTER, metric: 'perSecond', against: C, least: 1.3 },
    { of: MILTER, metric: 'perSecond', against: 'ideal', least: 0.9 },
    { of: MILTER, metric: 'kibPerConnection', against: 'itself', most: 100, bound: 'Strings take room.' },
    { of: MILTER, metric: 'perSecond', against: PYMILTER, least: 2 },
    { of: C, metric: 'perSecond', against: 'ideal' },
  ],
};

const result = () =>
  resultOf(
    row,
    [
      { contender: C, trials: [{ perSecond: 100 }, { perSecond: 120 }, { perSecond: 80 }] },
      { contender: MILTER, trials: [{ perSecond: 130, kibPerConnection: 101 }], failure: 'it broke off' },
    ],
    row.load.messages,
  );

describe('statistics of the benchmark', () => {
  it('the median is the middle figure, or the mean of the middle two', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 9, 2])).toBe(3);
    expect(() => median([])).toThrow(RangeError);
  });

  it('the summary has the spread', () => {
    expect(summarize([10, 8, 12])).toStrictEqual({ median: 10, least: 8, most: 12, spread: 0.4 });
    expect(summarize([0, 0]).spread).toBe(0);
  });
});

describe('verdicts of the benchmark', () => {
  it('compare medians with each other, with the ideal rate, or with a fixed number', () => {
    const { judgements, idealPerSecond } = result();
    // 10 x 5 messages in 2 x 20 + 5 x (4 x 20 + 100) ms
    expect(idealPerSecond?.toFixed(3)).toBe((50 / 0.94).toFixed(3));
    expect(
      judgements.map(({ value, verdict }) => [value === null ? null : Number(value.toFixed(3)), verdict]),
    ).toStrictEqual([
      [1.3, 'met'],
      [2.444, 'met'],
      [101, 'missed'],
      [null, 'not measured'],
      [1.88, 'told'],
    ]);
  });

  it('subtract the floor from both sides', () => {
    const target: Target = { of: MILTER, metric: 'perMessage', against: PYMILTER, above: C_NOOP, most: 1 };
    const judged = (own: number, other: number, floor: number) => {
      const of = (contender: Contender, perMessage: number) => ({
        name: contender.name,
        trials: [],
        summary: { perMessage: summarize([perMessage]) },
      });
      const { value, verdict } = judge(
        target,
        [of(MILTER, own), of(PYMILTER, other), of(C_NOOP, floor)],
        undefined,
      );
      return [value, verdict];
    };
    expect(judged(2, 3, 1)).toStrictEqual([0.5, 'met']);
    expect(judged(4, 3, 1)).toStrictEqual([1.5, 'missed']);
    expect(judged(2, 1, 1)).toStrictEqual([null, 'not measured']);
  });

  it('have no ideal rate if nothing waits', () => {
    expect(idealRate({ ...row, work: {}, load: { ...row.load, pause: 0 } }, 5)).toBeUndefined();
  });
});

describe('rows of the benchmark', () => {
  it('have names of their own', () => {
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  });

  for (const { name, contenders: bearers, targets } of rows) {
    it(`${name}: measures all that its targets name`, () => {
      const measured = new Set(bearers.map((contender) => contender.name));
      const named = targets
        .flatMap(({ of, against, above }) => [of, against, above])
        .filter((who) => typeof who === 'object');
      expect(named.filter((who) => !measured.has(who.name))).toStrictEqual([]);
    });
  }

  it('name programs that take the same arguments', () => {
    const socket = 'unix:/run/sock';
    for (const contender of [C, PYMILTER, onInet(MILTER)]) {
      const { args } = commandOf(contender, '/project', socket, { wait: 100 });
      expect(args.slice(-4)).toStrictEqual([socket, 'plain', '100', '0']);
    }
    expect(() => commandOf(NONE, '/project', socket, {})).toThrow(/no filter is not a program/);
  });
});

describe('report of the benchmark', () => {
  const results = (): Results => ({
    date: '2026-01-02T03:04:05.000Z',
    rounds: 3,
    quick: true,
    machine: {
      cpu: 'A CPU',
      cores: 2,
      memoryGib: 4,
      kernel: 'Linux 6',
      loadBefore: 0.1,
      versions: { 'Node.js': '24' },
    },
    libmilter: ['libmilter.so.1'],
    rows: [result()],
  });

  it('has medians with their range, ratios with their verdicts, and failures', () => {
    const text = report(results());
    expect(text).toMatch(/^A quick run/);
    expect(text).toMatch(/^2026-01-02: A CPU, 2 cores, 4 GiB, Linux 6, load 0\.1 before the run\.$/m);
    expect(text).toMatch(/^\| An example: tsmilter : C, messages\/s \| 1\.30 x \| at least 1\.3 \| met \|$/m);
    expect(text).toMatch(/^\| An example: tsmilter, KiB per connection \| 101 \| at most 100 \| missed \|$/m);
    expect(text).toMatch(
      /^\| An example: tsmilter : pymilter, messages\/s \| {2}\| at least 2 \| not measured \|$/m,
    );
    expect(text).toMatch(/^\| C \| 100 \(80 to 120\) \| {2}\|$/m);
    expect(text).toMatch(/^Ideal: 53 messages\/s\.$/m);
    expect(text).toMatch(/^tsmilter was not measured further: it broke off$/m);
  });

  it('explains the missed expectations, and only those', () => {
    const text = report(results());
    expect(text).toMatch(
      /^### Why expectations were missed\n\n- Strings take room\.\n {2}- An example: tsmilter, KiB per connection\n\n###/m,
    );
    const met = { ...results(), rows: [{ ...result(), judgements: [] }] };
    expect(report(met)).not.toMatch(/Why expectations/);
  });
});

describe('the page with the results', () => {
  it('has them inserted between its markers, repeatably', () => {
    const page = readFileSync(join(projectRoot, 'docs/performance.md'), 'utf8');
    const once = filledIn(page, 'first\n');
    expect(once).toMatch(/<!-- results -->\n\nfirst\n\n<!-- end of results -->/);
    expect(filledIn(once, 'second')).toBe(filledIn(page, 'second'));
  });

  it('must have markers', () => {
    expect(() => filledIn('# A page\n', 'text')).toThrow(/no <!-- results -->/);
  });
});

describe('what the kernel reports about a process', () => {
  it('counts the CPU of threads and ended children, and resident memory', () => {
    const before = cpuSeconds(process.pid);
    // The child counts its own CPU time: on a busy machine, 300 ms by the clock may be much less.
    spawnSync(process.execPath, ['-e', 'while (process.cpuUsage().user < 300_000);']);
    const used = cpuSeconds(process.pid) - before;
    expect(used).toBeGreaterThan(0.28); // the kernel counts in ticks of 10 ms
    expect(used).toBeLessThan(30);
    const { now, peak } = resident(process.pid);
    expectThat(now, `${now} of ${peak}`).toBeGreaterThan(2 ** 20);
    expectThat(peak, `${now} of ${peak}`).toBeGreaterThanOrEqual(now);
  });
});

describe('command line of the benchmark', () => {
  const bench = (...args: string[]) =>
    spawnSync(process.execPath, [join(projectRoot, '.build/bench/run.js'), ...args], { encoding: 'utf8' });

  it('lists the rows', () => {
    const { status, stdout } = bench('--list');
    expect(status).toBe(0);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toStrictEqual(rows.map(({ name }) => name));
  });

  it('explains itself', () => expect(bench('--help').stdout).toMatch(/npm run bench -- --quick/));

  for (const [args, message] of [
    [['--only', 'nothing'], /there is no row nothing: see --list/],
    [['--rounds', '0'], /--rounds takes a whole number from 1 on, not '0'/],
    [['--docs', '--quick'], /--docs is for a whole run/],
    [['--fast'], /'--fast'/],
  ] as const) {
    it(`refuses ${args.join(' ')}`, () => {
      const { status, stderr } = bench(...args);
      expect(status).toBe(2);
      expect(stderr).toMatch(message);
    });
  }
});
