/** Async handlers: one by one within a session, hundreds of sessions side by side. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ACCEPT } from 'tsmilter';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

describe('concurrency', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  it('handlers of a session run one by one: none begins before the previous one has ended', async () => {
    const act = { wait: 2, afterwards: [['getsymval', 'i']] as const };
    const names = ['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'header', 'eoh', 'body', 'eom'];
    for (const immediate of [false, true]) {
      await filter.use({
        handlers: Object.fromEntries(names.map((name) => [name, act])),
        statics: { immediate },
      });
      await using mta = await filter.greeted();
      await mta.message({
        ...ENVELOPE,
        headers: [
          ['X-One', '1'],
          ['X-Two', '2'],
        ],
        body: 'x',
      });
      const expected = [
        'connect',
        'hello',
        'envfrom',
        'envrcpt',
        'data',
        'header',
        'header',
        'eoh',
        'body',
        'eom',
      ];
      expect((await filter.eventsOf('result', ...names)).map(([name]) => name)).toStrictEqual(
        expected.flatMap((name) => [name, 'result']),
      );
    }
  });

  it('300 sessions are served while one handler awaits', async () => {
    await filter.use({ handlers: { eom: { gate: 'slow', answer: ACCEPT } } });
    await using slow = await filter.greeted();
    const waiting = slow.message(ENVELOPE);
    await filter.event('eom');
    let done = false;
    void waiting.then(() => {
      done = true;
    });
    await filter.request('useBesides', { handlers: { eom: { wait: 1 } } });
    const lanes = Array.from({ length: 10 }, async () => {
      for (let i = 0; i < 30; i++) {
        await using mta = await filter.greeted();
        expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
      }
    });
    await Promise.all(lanes);
    expect(done).toBe(false);
    await filter.request('open', 'slow');
    expect((await waiting).verdict).toBe('accept');
  });

  it('handlers of 300 sessions await at the same time', async () => {
    await filter.use({ handlers: { eom: { gate: 'all', answer: ACCEPT } } });
    const sessions = await Promise.all(
      Array.from({ length: 300 }, () => filter.greeted({ timeout: 60_000 })),
    );
    const results: Promise<string>[] = [];
    for (const mta of sessions) {
      const result = mta.message(ENVELOPE).then(({ verdict }) => verdict);
      result.catch(() => {}); // told below
      results.push(result);
      // One after the other: libmilter is slow to start threads for many that come in one instant.
      await filter.event('eom');
    }
    await filter.request('open', 'all');
    expect(await Promise.all(results)).toStrictEqual(Array(300).fill('accept'));
    await Promise.all(sessions.map((mta) => mta.close()));
  });

  it('200 simultaneous sessions each see only their own message', async () => {
    await using own = await FilterProcess.start('echo');
    const sessions = Array.from({ length: 200 }, async (_, i) => {
      await using mta = await own.session({ timeout: 30_000, macros: { mail: { i: `Q${i}` } } });
      await mta.connect(`client-${i}.example`);
      await mta.helo('x');
      for (let m = 0; m < 3; m++) {
        const mark = `${i}.${m}`;
        const { verdict, modifications } = await mta.message({
          sender: `<s${mark}@b.example>`,
          recipients: [`<r${mark}@b.example>`],
          headers: [
            ['X-A', mark],
            ['X-B', mark],
          ],
          body: `body ${mark}`,
        });
        expect(verdict).toBe('accept');
        const before = m === 0 ? `client-${i}.example()` : '';
        expect(modifications).toStrictEqual([
          {
            type: 'addheader',
            name: 'X-Seen',
            value:
              `${before}<s${mark}@b.example>()<r${mark}@b.example>()` +
              `X-A: ${mark}()X-B: ${mark}()body ${mark}()eom()`,
          },
          { type: 'addheader', name: 'X-Macro', value: `Q${i}` },
        ]);
      }
    });
    await Promise.all(sessions);
    for (let i = 0; i < 200; i++) await own.event('closed', 30_000);
    const most = await own.request<number>('most');
    expectThat(most, `at most ${most} handlers were at work at once`).toBeGreaterThan(4);
    await own.stop();
  });
});
