/** What every store of tsmilter/reputation must do; the tests of each store run the same table. */
import { describe, expect, it } from '@jest/globals';
import {
  type Outcome,
  Reputation,
  type ReputationEntry,
  type ReputationOptions,
  type ReputationStore,
} from 'tsmilter/reputation';
import { Clock } from './clock';
import { errorWith, expectThat } from './expect';
import { Random } from './random';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A new, empty store, which is closed with the reputation. */
export type MakeReputationStore = () => ReputationStore;

/** Bounds of the Wilson interval (95 %), as textbooks have it. */
function interval(ham: number, spam: number): [number, number] {
  const z = 1.959964;
  const n = ham + spam;
  const p = ham / n;
  const centre = (p + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
  const margin = (z / (1 + z ** 2 / n)) * Math.sqrt((p * (1 - p)) / n + z ** 2 / (4 * n ** 2));
  return [centre - margin, centre + margin];
}

export const exported = async (reputation: Reputation): Promise<ReputationEntry[]> => {
  const entries: ReputationEntry[] = [];
  for await (const entry of reputation.export()) entries.push(entry);
  return entries.sort((a, b) => (`${a.id} ${a.host}` < `${b.id} ${b.host}` ? -1 : 1));
};

export function testReputationStore(makeStore: MakeReputationStore): void {
  const withReputation = async (
    use: (reputation: Reputation, clock: Clock) => Promise<void>,
    options: ReputationOptions = {},
  ) => {
    const clock = new Clock();
    await using reputation = new Reputation(makeStore(), { host: 'a', now: clock.now, ...options });
    await use(reputation, clock);
  };
  const record = async (reputation: Reputation, outcome: Outcome, times: number, name = 'example.com') => {
    for (let i = 0; i < times; i++) expect(await reputation.record(name, 'pass', outcome)).toBe(true);
  };

  it('knows nothing at first', () =>
    withReputation(async (reputation) => {
      expect(await reputation.score('example.com', 'pass')).toStrictEqual({
        score: 0,
        confidence: 0,
        messages: 0,
      });
    }));

  it.each([
    [1, 0],
    [0, 4],
    [3, 1],
    [50, 50],
    [100, 0],
    [1, 199],
  ])(
    '%i ham and %i spam: the score is the difference of the shares, the confidence the width of the interval',
    (ham, spam) =>
      withReputation(async (reputation) => {
        await record(reputation, 'ham', ham);
        await record(reputation, 'spam', spam);
        const { score, confidence, messages } = await reputation.score('example.com', 'pass');
        expect(score).toBeCloseTo((100 * (ham - spam)) / (ham + spam), 9);
        const [from, to] = interval(ham, spam);
        expect(confidence).toBeCloseTo(100 * (1 - (to - from)), 9);
        expect(messages).toBe(ham + spam);
      }),
  );

  it('judges a domain together with its level, in any spelling', () =>
    withReputation(async (reputation) => {
      await reputation.record('Example.COM.', 'pass', 'ham');
      await reputation.record('example.com', 'neutral', 'spam');
      await reputation.record('MÜNCHEN.example', 'pass', 'ham');
      expect(await reputation.score('EXAMPLE.com', 'pass')).toMatchObject({ score: 100, messages: 1 });
      expect(await reputation.score('example.com', 'neutral')).toMatchObject({ score: -100, messages: 1 });
      expect(await reputation.score('example.com', 'none')).toMatchObject({ messages: 0 });
      expect(await reputation.score('mail.example.com', 'pass')).toMatchObject({ messages: 0 });
      expect(await reputation.score('xn--mnchen-3ya.example', 'pass')).toMatchObject({ messages: 1 });
    }));

  it('judges by exactly the last 1,024 messages', () =>
    withReputation(async (reputation) => {
      await record(reputation, 'spam', 1030);
      await record(reputation, 'ham', 1023);
      expect(await reputation.score('example.com', 'pass')).toMatchObject({
        score: (100 * 1022) / 1024,
        messages: 1024,
      });
      await record(reputation, 'ham', 1);
      expect(await reputation.score('example.com', 'pass')).toMatchObject({ score: 100, messages: 1024 });
      await record(reputation, 'spam', 1);
      expect(await reputation.score('example.com', 'pass')).toMatchObject({
        score: (100 * 1022) / 1024,
        messages: 1024,
      });
    }));

  it('halves the weight of messages with each half-life', () =>
    withReputation(
      async (reputation, clock) => {
        await record(reputation, 'ham', 8);
        const fresh = await reputation.score('example.com', 'pass');
        clock.time += 20 * DAY;
        const old = await reputation.score('example.com', 'pass');
        expect(old).toMatchObject({ score: 100, messages: 8 });
        const [from, to] = interval(2, 0);
        expect(old.confidence).toBeCloseTo(100 * (1 - (to - from)), 9);
        expect(old.confidence).toBeLessThan(fresh.confidence);
        await record(reputation, 'spam', 3);
        expect((await reputation.score('example.com', 'pass')).score).toBeCloseTo(
          (100 * (2 - 3)) / (2 + 3),
          9,
        );
      },
      { halfLife: 10 * DAY },
    ));

  it('has weights that become 0, but no score that is not a number', () =>
    withReputation(
      async (reputation, clock) => {
        await record(reputation, 'ham', 3);
        clock.time += 170 * DAY;
        const { score, confidence, messages } = await reputation.score('example.com', 'pass');
        expect([score, messages]).toStrictEqual([0, 3]);
        expect(confidence).toBeCloseTo(0, 9);
      },
      { halfLife: HOUR },
    ));

  it('forgets an identity after its lifetime, and begins anew', () =>
    withReputation(
      async (reputation, clock) => {
        await record(reputation, 'spam', 1);
        clock.time += 10 * DAY - 1;
        expect(await reputation.clean()).toBe(0);
        expect(await reputation.score('example.com', 'pass')).toMatchObject({ messages: 1 });
        clock.time += 1;
        expect(await reputation.score('example.com', 'pass')).toMatchObject({ messages: 0 });
        await record(reputation, 'ham', 1);
        expect(await reputation.score('example.com', 'pass')).toMatchObject({ score: 100, messages: 1 });
        clock.time += 10 * DAY;
        expect(await reputation.clean()).toBe(1);
        expect(await exported(reputation)).toStrictEqual([]);
      },
      { lifetime: 10 * DAY },
    ));

  it('is not confused by a clock that was wrong', () =>
    withReputation(async (reputation, clock) => {
      const right = clock.time;
      clock.time += 4000 * DAY;
      await record(reputation, 'ham', 2);
      for (const time of [right, -DAY, 0]) {
        clock.time = time;
        await record(reputation, 'spam', 1);
        expect(await reputation.score('example.com', 'pass')).toMatchObject({ messages: expect.any(Number) });
      }
      clock.time = right;
      expect(await reputation.score('example.com', 'pass')).toMatchObject({ messages: 5 });
    }));

  it('loses no message of many at the same time', () =>
    withReputation(async (reputation) => {
      const outcomes: Outcome[] = Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? 'spam' : 'ham'));
      await Promise.all(outcomes.map((outcome) => reputation.record('example.com', 'pass', outcome)));
      const { score, messages } = await reputation.score('example.com', 'pass');
      expect(messages).toBe(300);
      expect(score).toBeCloseTo((100 * (200 - 100)) / 300, 9);
    }));

  describe('merge', () => {
    /** Hosts that have recorded random messages, and what each of them exports. */
    async function randomHosts(random: Random, clock: Clock): Promise<ReputationEntry[][]> {
      const snapshots: ReputationEntry[][] = [];
      const made = ['a', 'b', 'c'].map((host) => new Reputation(makeStore(), { host, now: clock.now }));
      for (let round = 0; round < 4; round++) {
        for (const [at, host] of made.entries()) {
          for (let i = random.below(12); i > 0; i--) {
            clock.time += random.below(3 * HOUR);
            await host.record(`d${random.below(4)}.example`, 'pass', random.chance(0.5) ? 'ham' : 'spam');
          }
          snapshots.push(await exported(host));
          const from = made[random.below(made.length)] as Reputation;
          if (random.chance(0.4)) await made[at]?.merge(await exported(from));
        }
      }
      for (const host of made) await host.close();
      return snapshots;
    }

    it('has the same result in any order and grouping, with repetitions', async () => {
      for (let seed = 1; seed <= 4; seed++) {
        const random = new Random(seed);
        const clock = new Clock();
        const snapshots = await randomHosts(random, clock);
        const results: unknown[] = [];
        for (let order = 0; order < 3; order++) {
          await using target = new Reputation(makeStore(), { host: 'x', now: clock.now });
          await using other = new Reputation(makeStore(), { host: 'y', now: clock.now });
          const shuffled = [...snapshots, ...snapshots.slice(0, 4)].sort(() => random.below(3) - 1);
          // Some take the way through another host.
          for (const entries of shuffled) await (random.chance(0.5) ? target : other).merge(entries);
          await target.merge(other.export());
          expectThat(await target.merge(other.export()), 'a second time').toBe(0);
          expectThat(await target.merge(target.export()), 'with itself').toBe(0);
          const scores = await Promise.all([0, 1, 2, 3].map((n) => target.score(`d${n}.example`, 'pass')));
          results.push({ entries: await exported(target), scores });
        }
        expect(results[1]).toStrictEqual(results[0]);
        expect(results[2]).toStrictEqual(results[0]);
      }
    });

    it('counts the last 1,024 messages of all hosts together', async () => {
      const clock = new Clock();
      const options = (host: string) => ({ host, now: clock.now });
      await using a = new Reputation(makeStore(), options('a'));
      await using b = new Reputation(makeStore(), options('b'));
      await record(a, 'spam', 900);
      clock.time += HOUR;
      await record(b, 'ham', 600);
      expect(await a.merge(b.export())).toBe(1);
      const { messages, score } = await a.score('example.com', 'pass');
      expect(messages).toBe(1024);
      const weight = 2 ** (-1 / (30 * 24));
      expect(score).toBeCloseTo((100 * (600 - 424 * weight)) / (600 + 424 * weight), 9);
    });

    it('keeps the newer of two records of the same host, and ignores what has expired', () =>
      withReputation(async (reputation, clock) => {
        const changed = clock.time;
        const entry = (over: Partial<ReputationEntry>) => ({
          id: 'example.com:pass',
          host: 'b',
          changed,
          outcomes: 'DzliDzli',
          ...over,
        });
        expect(await reputation.merge([entry({})])).toBe(1);
        expect(await reputation.merge([entry({ changed: changed - 1, outcomes: 'Dzli' })])).toBe(0);
        // Equal times are the mistake of two hosts with one name: the result is the same on all hosts.
        expect(await reputation.merge([entry({ outcomes: 'Azli' })])).toBe(0);
        expect(await reputation.merge([entry({ outcomes: 'DzliDzlj' })])).toBe(1);
        expect(await reputation.merge([entry({ outcomes: 'Dzlj' })])).toBe(1);
        expect(await reputation.merge([entry({ outcomes: 'Dzli' })])).toBe(0);
        expect(await reputation.merge([entry({ outcomes: 'azli' })])).toBe(1);
        expect(await reputation.merge([entry({ outcomes: 'azliAAAA' })])).toBe(1);
        expect(await reputation.merge([entry({ host: 'c', changed: changed - 180 * DAY })])).toBe(0);
        expect((await exported(reputation)).map(({ host }) => host)).toStrictEqual(['b']);
      }));

    it('continues the record of a host that has lost it', () =>
      withReputation(async (reputation, clock) => {
        const old = { id: 'example.com:pass', host: 'a', changed: clock.time + 5000, outcomes: 'DzliDzli' };
        expect(await reputation.merge([old])).toBe(1);
        await record(reputation, 'ham', 1);
        const [now] = await exported(reputation);
        expect(now?.changed).toBeGreaterThan(old.changed);
        expect(now?.outcomes).toMatch(/^DzliDzli....$/);
      }));

    it('keeps the 64 hosts that have changed last', () =>
      withReputation(async (reputation, clock) => {
        const entries = Array.from({ length: 100 }, (_, i) => ({
          id: 'example.com:pass',
          host: `host${i}`,
          changed: clock.time - ((i * 37) % 100),
          outcomes: 'Dzli',
        }));
        await reputation.merge(entries);
        const kept = (await exported(reputation)).map(({ changed }) => clock.time - changed);
        expect(kept.sort((a, b) => a - b)).toStrictEqual(Array.from({ length: 64 }, (_, i) => i));
      }));

    it('can be restricted to what is new', () =>
      withReputation(async (reputation, clock) => {
        await record(reputation, 'ham', 1, 'old.example');
        clock.time += HOUR;
        await record(reputation, 'ham', 1, 'new.example');
        const ids: string[] = [];
        for await (const { id } of reputation.export(clock.time)) ids.push(id);
        expect(ids).toStrictEqual(['new.example:pass']);
      }));

    it('takes many records', () =>
      withReputation(async (reputation, clock) => {
        const entries = Array.from({ length: 1234 }, (_, i) => ({
          id: `d${i}.example:pass`,
          host: 'b',
          changed: clock.time + i,
          outcomes: 'Dzli',
        }));
        expect(await reputation.merge(entries)).toBe(1234);
        const back = await exported(reputation);
        expect(back).toStrictEqual(entries.sort((a, b) => (a.id < b.id ? -1 : 1)));
      }));

    it.each([
      ['no object', null],
      ['an id without a level', { id: 'example.com' }],
      ['an id with a blank', { id: 'exa mple.com:pass' }],
      ['an id that is too long', { id: `${'x'.repeat(256)}:pass` }],
      ['a host of two lines', { host: 'a\nb' }],
      ['a time that is no number', { changed: '1' }],
      ['a negative time', { changed: -1 }],
      ['outcomes of half a message', { outcomes: 'Dzl' }],
      ['no outcomes', { outcomes: '' }],
      ['outcomes that are not base64', { outcomes: 'Dz i' }],
      ['too many outcomes', { outcomes: 'Dzli'.repeat(1025) }],
    ])('refuses %s', (_, over) =>
      withReputation(async (reputation, clock) => {
        const good = { id: 'example.com:pass', host: 'b', changed: clock.time, outcomes: 'Dzli' };
        const bad = (over === null ? null : { ...good, ...over }) as ReputationEntry;
        await expect(reputation.merge([bad])).rejects.toThrow(
          errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /^merge: / }),
        );
        expect(await exported(reputation)).toStrictEqual([]);
      }),
    );
  });

  it('keeps names of any length and content apart, and its own records short', () =>
    withReputation(async (reputation) => {
      const names = [
        '',
        'x'.repeat(100_000),
        `${'x'.repeat(100_000)}y`,
        'a b.example',
        'gr\udcfc',
        '__proto__',
        'a:b',
        'a\nb',
      ];
      for (const name of names) await reputation.record(name, 'none', 'ham');
      for (const name of names) {
        expectThat(await reputation.score(name, 'none'), name.slice(0, 20)).toMatchObject({ messages: 1 });
      }
      for (const { id } of await exported(reputation)) expect(id).toMatch(/^[!-~]{0,60}:none$/);
    }));
}
