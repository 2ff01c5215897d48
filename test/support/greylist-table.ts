/** What every store of tsmilter/greylist must do; the tests of each store run the same table. */
import { describe, expect, it } from '@jest/globals';
import { Greylist, type GreylistOptions, type GreylistStore, type Triple } from 'tsmilter/greylist';
import { isExpired, recordAttempt, type TripleRecord } from '#lib/greylist/rules.js';
import { Clock } from './clock';
import { expectThat } from './expect';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A new, empty store, which is closed with the greylist. */
export type MakeStore = () => GreylistStore;

/** At a time, counted from the first try: what the check answers. */
type Tries = readonly (readonly [time: number, answer: number])[];

const LIFE = 36 * DAY;
const LET_IN = 10 * MINUTE + 5 * SECOND;

/** With the defaults. The times are where pymilter's answers change, by a second or less. */
const TABLE: readonly (readonly [title: string, tries: Tries])[] = [
  ['a first try is put off', [[0, 0]]],
  [
    'a retry before the delay is put off, and does not begin it anew',
    [
      [0, 0],
      [MINUTE, 0],
      [9 * MINUTE, 0],
      [LET_IN, 1],
    ],
  ],
  [
    'a retry within 5 s of grace is put off',
    [
      [0, 0],
      [10 * MINUTE, 0],
      [LET_IN - 1, 0],
    ],
  ],
  [
    'a retry after delay and grace is let in, and counted',
    [
      [0, 0],
      [LET_IN, 1],
      [LET_IN + 1, 2],
      [DAY, 3],
    ],
  ],
  [
    'a retry at the end of the window is let in',
    [
      [0, 0],
      [4 * HOUR - 1, 1],
    ],
  ],
  [
    'a retry after the window is a first try',
    [
      [0, 0],
      [4 * HOUR, 0],
      [4 * HOUR + LET_IN - 1, 0],
      [4 * HOUR + LET_IN, 1],
    ],
  ],
  [
    'the window is over long after, too',
    [
      [0, 0],
      [LIFE * 3, 0],
      [LIFE * 3 + LET_IN, 1],
    ],
  ],
  [
    'who was let in is known at the end of the lifetime',
    [
      [0, 0],
      [LET_IN, 1],
      [LET_IN + LIFE - 1, 2],
    ],
  ],
  [
    'the lifetime begins anew with each mail',
    [
      [0, 0],
      [LET_IN, 1],
      [LIFE, 2],
      [2 * LIFE - 1, 3],
      [3 * LIFE - 2, 4],
    ],
  ],
  [
    'after the lifetime it is a first try',
    [
      [0, 0],
      [LET_IN, 1],
      [LET_IN + LIFE, 0],
      [LET_IN + LIFE + LET_IN, 1],
    ],
  ],
  [
    'a clock that was ahead delays no sender longer',
    [
      [DAY, 0],
      [0, 0],
      [LET_IN, 1],
    ],
  ],
  [
    "a host whose clock is behind does not make another's mail older",
    [
      [0, 0],
      [HOUR, 1],
      [HOUR - SECOND, 2],
      [HOUR + LIFE - 1, 3],
    ],
  ],
];

/** Registers the table's tests. */
export function testStore(makeStore: MakeStore): void {
  const withGreylist = async (
    use: (greylist: Greylist, clock: Clock) => Promise<void>,
    options: GreylistOptions = {},
  ): Promise<void> => {
    const clock = new Clock();
    const greylist = new Greylist(makeStore(), { now: clock.now, ...options });
    try {
      await use(greylist, clock);
    } finally {
      await greylist.close();
    }
  };
  const ALICE: Triple = ['192.0.2.1', 'alice@example.com', 'bob@example.net'];

  /** @contract 35 */
  describe('a triple', () => {
    for (const [title, tries] of TABLE) {
      it(title, () =>
        withGreylist(async (greylist, clock) => {
          const start = clock.time;
          for (const [time, answer] of tries) {
            clock.time = start + time;
            expectThat(await greylist.check(...ALICE), `after ${time} ms`).toBe(answer);
          }
        }),
      );
    }

    it('has delay, grace, window and lifetime of its own', () =>
      withGreylist(
        async (greylist, clock) => {
          const start = clock.time;
          const at = (time: number) => {
            clock.time = start + time;
            return greylist.check(...ALICE);
          };
          expect([
            await at(0),
            await at(14),
            await at(30),
            await at(44),
            await at(45),
            await at(1044),
            await at(2044),
          ]).toStrictEqual([0, 0, 0, 0, 1, 2, 0]);
        },
        { delay: 10, grace: 5, window: 30, lifetime: 1000 },
      ));

    it('may be let in at once', () =>
      withGreylist(
        async (greylist) => {
          expect(await greylist.check(...ALICE)).toBe(0);
          expect(await greylist.check(...ALICE)).toBe(1);
        },
        { delay: 0, grace: 0 },
      ));

    it('is another one where anything differs', () =>
      withGreylist(async (greylist, clock) => {
        const [ip, sender, recipient] = ALICE;
        const others: Triple[] = [
          ['192.0.2.2', sender, recipient],
          [ip, 'Alice@example.com', recipient],
          [ip, '', recipient],
          [ip, sender, 'carol@example.net'],
          [ip, `${sender}b`, recipient.slice(1)],
          [ip, 'gr\udcfc@example.com', recipient],
          [ip, 'gr\udce4@example.com', recipient],
          [ip, `${'x'.repeat(5000)}@example.com`, recipient],
          [ip, `${'x'.repeat(5001)}@example.com`, recipient],
          [ip, "'; DROP TABLE triples; --", recipient],
          ['2001:db8::1', 'üser@example.com', '日本@example.jp'],
        ];
        await greylist.check(...ALICE);
        clock.time += HOUR;
        for (const other of others) expectThat(await greylist.check(...other), JSON.stringify(other)).toBe(0);
        clock.time += HOUR;
        for (const other of others) expectThat(await greylist.check(...other), JSON.stringify(other)).toBe(1);
        expect(await greylist.check(...ALICE)).toBe(1);
      }));

    it('is counted right by many at once', () =>
      withGreylist(async (greylist, clock) => {
        await greylist.check(...ALICE);
        clock.time += HOUR;
        const answers = await Promise.all(Array.from({ length: 50 }, () => greylist.check(...ALICE)));
        expect(answers.sort((a, b) => a - b)).toStrictEqual(Array.from({ length: 50 }, (_, i) => i + 1));
      }));
  });

  /** @contract 35 */
  describe('clean', () => {
    it('counts and removes what is over, and nothing else', () =>
      withGreylist(async (greylist, clock) => {
        const [, sender, recipient] = ALICE;
        const check = (name: string) => greylist.check(name, sender, recipient);
        expect(await greylist.clean()).toBe(0);
        for (const name of ['known', 'late', 'once']) await check(name);
        clock.time += HOUR;
        for (const name of ['known', 'late']) await check(name);
        expect(await greylist.clean()).toBe(0);
        clock.time += 3 * HOUR - 1; // the window's last moment
        expect(await greylist.clean()).toBe(0);
        clock.time += 1;
        expectThat(await greylist.clean(), 'once').toBe(1);
        await check('known');
        clock.time += LIFE - 3 * HOUR; // since 'late' was let in
        expectThat(await greylist.clean(), 'late').toBe(1);
        expect(await check('known')).toBe(3);
        expect(await check('late')).toBe(0);
        clock.time += 10 * LIFE;
        expectThat(await greylist.clean(), 'known, and late again').toBe(2);
        expect(await greylist.clean()).toBe(0);
      }));

    it('counts many', () =>
      withGreylist(async (greylist, clock) => {
        const [, sender, recipient] = ALICE;
        const names = Array.from({ length: 1500 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
        await Promise.all(names.map((name) => greylist.check(name, sender, recipient)));
        clock.time += 4 * HOUR;
        expect(await greylist.clean()).toBe(1500);
      }));

    it('removes what a clock that was ahead has left', () =>
      withGreylist(async (greylist, clock) => {
        await greylist.check(...ALICE);
        clock.time -= DAY;
        expect(await greylist.clean()).toBe(1);
      }));
  });

  describe('the automatic whitelist', () => {
    const whitelisting = { autoWhitelist: 2, ipv4Prefix: 24, delay: MINUTE, grace: 0 };
    /** Mail of a new sender is deferred, and its retry accepted. */
    const pass = async (greylist: Greylist, clock: Clock, ip: string, sender: string) => {
      expectThat(await greylist.check(ip, sender, 'bob@example.net'), sender).toBe(0);
      clock.time += MINUTE;
      expectThat(await greylist.check(ip, sender, 'bob@example.net'), sender).toBe(1);
    };

    it('accepts all mail of a network after enough passes, at most one of which is counted an hour', () =>
      withGreylist(async (greylist, clock) => {
        await pass(greylist, clock, '192.0.2.1', 'a@example.com');
        await pass(greylist, clock, '192.0.2.2', 'b@example.com');
        await pass(greylist, clock, '192.0.2.3', 'c@example.com');
        clock.time += HOUR;
        await pass(greylist, clock, '192.0.2.4', 'd@example.com');
        expect(await greylist.check('192.0.2.5', 'e@example.com', 'bob@example.net')).toBe(2);
        expect(await greylist.check('192.0.3.5', 'e@example.com', 'bob@example.net')).toBe(0);
      }, whitelisting));

    it('lasts for the lifetime after the last message, and then begins anew', () =>
      withGreylist(async (greylist, clock) => {
        await pass(greylist, clock, '192.0.2.1', 'a@example.com');
        clock.time += HOUR;
        await pass(greylist, clock, '192.0.2.1', 'b@example.com');
        for (const name of ['c', 'd']) {
          clock.time += LIFE - 1;
          await greylist.clean();
          expect(await greylist.check('192.0.2.9', `${name}@example.com`, 'bob@example.net')).toBe(2);
        }
        clock.time += LIFE;
        await pass(greylist, clock, '192.0.2.1', 'e@example.com');
        expect(await greylist.check('192.0.2.1', 'f@example.com', 'bob@example.net')).toBe(0);
      }, whitelisting));

    it('is off by default', () =>
      withGreylist(
        async (greylist, clock) => {
          for (let i = 0; i < 20; i++) {
            await pass(greylist, clock, '192.0.2.1', `sender${i}@example.com`);
            clock.time += HOUR;
          }
        },
        { delay: MINUTE, grace: 0 },
      ));
  });

  it('answers as the rules have it, whatever happens', () =>
    withGreylist(async (greylist, clock) => {
      const rules = { delay: LET_IN, window: 4 * HOUR, lifetime: LIFE, autoWhitelist: 0 };
      const steps = [
        0,
        1,
        LET_IN - 1,
        LET_IN,
        4 * HOUR - 1,
        4 * HOUR,
        LIFE - 1,
        LIFE,
        -1,
        -MINUTE,
        -DAY,
        7 * MINUTE,
      ];
      const known = new Map<string, TripleRecord>();
      const random = generator(20260101);
      for (let i = 0; i < 2000; i++) {
        clock.time += steps[random(steps.length)] as number;
        const name = `host${random(4)}`;
        if (random(20) === 0) {
          const over = [...known].filter(([, record]) => isExpired(record, clock.time, rules));
          for (const [gone] of over) known.delete(gone);
          expectThat(await greylist.clean(), `step ${i}`).toBe(over.length);
        }
        const expected = recordAttempt(known.get(name), clock.time, rules);
        known.set(name, expected);
        expectThat(await greylist.check(name, 'a', 'b'), `step ${i}`).toBe(expected.count);
      }
    }));
}

/** Whole numbers below a bound, the same each time (Lehmer's generator). */
function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % bound;
  };
}
