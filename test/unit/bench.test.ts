/** The benchmark's reckoning: medians, ratios, verdicts, the table, and the command line. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Contender, commandOf, contenders, onInet } from '../../bench/contenders';
import { cpuSeconds, resident } from '../../bench/proc';
import { filledIn, report } from '../../bench/report';
import { judge, type Results, resultOf } from '../../bench/results';
import { type DirectRow, idealRate, rows, type Target } from '../../bench/rows';
import { median, summarize } from '../../bench/statistics';
import { projectRoot } from '../../tools/mta/installation';

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
  it('takes the middle, or the mean of two', () => {
    assert.equal(median([9, 1, 5]), 5);
    assert.equal(median([4, 1, 9, 2]), 3);
    assert.throws(() => median([]), RangeError);
  });

  it('tells the spread', () => {
    assert.deepEqual(summarize([10, 8, 12]), { median: 10, least: 8, most: 12, spread: 0.4 });
    assert.equal(summarize([0, 0]).spread, 0);
  });
});

describe('verdicts of the benchmark', () => {
  it('come of the ratio of medians, the ideal rate, or a figure as it stands', () => {
    const { judgements, idealPerSecond } = result();
    // 10 x 5 messages in 2 x 20 + 5 x (4 x 20 + 100) ms
    assert.equal(idealPerSecond?.toFixed(3), (50 / 0.94).toFixed(3));
    assert.deepEqual(
      judgements.map(({ value, verdict }) => [value === null ? null : Number(value.toFixed(3)), verdict]),
      [
        [1.3, 'met'],
        [2.444, 'met'],
        [101, 'missed'],
        [null, 'not measured'],
        [1.88, 'told'],
      ],
    );
  });

  it('take the floor away from both sides', () => {
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
    assert.deepEqual(judged(2, 3, 1), [0.5, 'met']);
    assert.deepEqual(judged(4, 3, 1), [1.5, 'missed']);
    assert.deepEqual(judged(2, 1, 1), [null, 'not measured']);
  });

  it('know no ideal where nothing waits', () => {
    assert.equal(idealRate({ ...row, work: {}, load: { ...row.load, pause: 0 } }, 5), undefined);
  });
});

describe('rows of the benchmark', () => {
  it('have names of their own', () => {
    assert.equal(new Set(rows.map(({ name }) => name)).size, rows.length);
  });

  for (const { name, contenders: bearers, targets } of rows) {
    it(`${name}: measures all that its targets name`, () => {
      const measured = new Set(bearers.map((contender) => contender.name));
      const named = targets
        .flatMap(({ of, against, above }) => [of, against, above])
        .filter((who) => typeof who === 'object');
      assert.deepEqual(
        named.filter((who) => !measured.has(who.name)),
        [],
      );
    });
  }

  it('name programs that take the same arguments', () => {
    const socket = 'unix:/run/sock';
    for (const contender of [C, PYMILTER, onInet(MILTER)]) {
      const { args } = commandOf(contender, '/project', socket, { wait: 100 });
      assert.deepEqual(args.slice(-4), [socket, 'plain', '100', '0']);
    }
    assert.throws(() => commandOf(NONE, '/project', socket, {}), /no filter is no program/);
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

  it('has medians with their range, ratios with their verdicts, and what failed', () => {
    const text = report(results());
    assert.match(text, /^A quick run/);
    assert.match(text, /^2026-01-02: A CPU, 2 cores, 4 GiB, Linux 6, load 0\.1 before the run\.$/m);
    assert.match(text, /^\| An example: tsmilter : C, messages\/s \| 1\.30 x \| at least 1\.3 \| met \|$/m);
    assert.match(text, /^\| An example: tsmilter, KiB per connection \| 101 \| at most 100 \| missed \|$/m);
    assert.match(
      text,
      /^\| An example: tsmilter : pymilter, messages\/s \| {2}\| at least 2 \| not measured \|$/m,
    );
    assert.match(text, /^\| C \| 100 \(80 to 120\) \| {2}\|$/m);
    assert.match(text, /^Ideal: 53 messages\/s\.$/m);
    assert.match(text, /^tsmilter was not measured further: it broke off$/m);
  });

  it('tells what bounds that which was missed, and only that', () => {
    const text = report(results());
    assert.match(
      text,
      /^### What bounds those that are missed\n\n- Strings take room\.\n {2}- An example: tsmilter, KiB per connection\n\n###/m,
    );
    const met = { ...results(), rows: [{ ...result(), judgements: [] }] };
    assert.doesNotMatch(report(met), /What bounds/);
  });
});

describe('the page with the results', () => {
  it('gets them between its marks, again and again', () => {
    const page = readFileSync(join(projectRoot, 'docs/performance.md'), 'utf8');
    const once = filledIn(page, 'first\n');
    assert.match(once, /<!-- results -->\n\nfirst\n\n<!-- end of results -->/);
    assert.equal(filledIn(once, 'second'), filledIn(page, 'second'));
  });

  it('must have marks', () => {
    assert.throws(() => filledIn('# A page\n', 'text'), /no <!-- results -->/);
  });
});

describe('what the kernel tells of a process', () => {
  it('counts the CPU of threads and ended children, and resident memory', () => {
    const before = cpuSeconds(process.pid);
    spawnSync(process.execPath, ['-e', 'for (const end = Date.now() + 300; Date.now() < end; );']);
    const used = cpuSeconds(process.pid) - before;
    assert.ok(used > 0.05 && used < 30, `${used} s`);
    const { now, peak } = resident(process.pid);
    assert.ok(now > 2 ** 20 && peak >= now, `${now} of ${peak}`);
  });
});

describe('command line of the benchmark', () => {
  const bench = (...args: string[]) =>
    spawnSync(process.execPath, [join(projectRoot, '.build/bench/run.js'), ...args], { encoding: 'utf8' });

  it('lists the rows', () => {
    const { status, stdout } = bench('--list');
    assert.equal(status, 0);
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0]),
      rows.map(({ name }) => name),
    );
  });

  it('explains itself', () => assert.match(bench('--help').stdout, /npm run bench -- --quick/));

  for (const [args, message] of [
    [['--only', 'nothing'], /no row is called nothing: see --list/],
    [['--rounds', '0'], /--rounds takes a whole number from 1 on, not '0'/],
    [['--docs', '--quick'], /--docs is for a whole run/],
    [['--fast'], /'--fast'/],
  ] as const) {
    it(`refuses ${args.join(' ')}`, () => {
      const { status, stderr } = bench(...args);
      assert.equal(status, 2);
      assert.match(stderr, message);
    });
  }
});
