/** The stores of tsmilter/reputation side by side. The addon of SQLite is built for one Node, so this is no test for the others. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { RedisReputationStore, Reputation, SqliteReputationStore } from 'tsmilter/reputation';
import { RedisServer } from '../../tools/redis';
import { Clock } from '../support/clock';
import { expectThat } from '../support/expect';
import { Random } from '../support/random';
import { exported } from '../support/reputation-table';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server?.[Symbol.asyncDispose]());

const HOUR = 3_600_000;

it('records the same in SQLite and in Redis, whatever happens', async () => {
  const random = new Random(20260101);
  const clock = new Clock();
  const options = { host: 'a', now: clock.now, lifetime: 24 * HOUR };
  await using sqlite = new Reputation(new SqliteReputationStore(':memory:'), options);
  await using redis = new Reputation(
    new RedisReputationStore({ client: { socket: { path: server.path, tls: false } }, timeout: 20_000 }),
    options,
  );
  for (let step = 0; step < 600; step++) {
    clock.time += [0, 1, -1, HOUR, -HOUR, 24 * HOUR - 1, 24 * HOUR][
      random.below(random.chance(0.1) ? 7 : 4)
    ] as number;
    const name = `d${random.below(3)}.example`;
    if (random.chance(0.3)) {
      const entry = {
        id: `${name}:pass`,
        host: 'ab'[random.below(2)] as string,
        changed: clock.time + random.below(3) - 1,
        outcomes: ['Dzli', 'Azli', 'azli', 'DzliDzlj'][random.below(4)] as string,
      };
      expectThat(await redis.merge([entry, entry]), `step ${step}`).toBe(await sqlite.merge([entry, entry]));
    } else {
      const outcome = random.chance(0.5) ? 'ham' : 'spam';
      for (const each of [sqlite, redis]) await each.record(name, 'pass', outcome);
    }
    expectThat(await redis.score(name, 'pass'), `step ${step}`).toStrictEqual(
      await sqlite.score(name, 'pass'),
    );
  }
  expect((await exported(redis)).length).toBeGreaterThan(0);
  for (const each of [sqlite, redis]) await each.clean();
  expect(await exported(redis)).toStrictEqual(await exported(sqlite));
});
