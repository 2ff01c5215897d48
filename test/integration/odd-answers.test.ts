/** Contract 9, R6: answers that come in odd ways; the first one counts, and nothing is fatal. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

const CASES: readonly (readonly [how: string, verdict: 'reject' | 'tempfail'])[] = [
  ['a thenable that answers', 'reject'],
  ['a thenable that answers at once', 'reject'],
  ['a thenable that answers twice', 'reject'],
  ['a thenable that answers and rejects', 'reject'],
  ['a thenable that throws', 'tempfail'],
  ['a promise whose own then answers twice', 'reject'],
  ['a promise whose own then throws', 'tempfail'],
  ['a getter that throws', 'tempfail'],
  ['a promise of a promise', 'reject'],
  ['a function', 'tempfail'],
  ['a symbol', 'tempfail'],
  ['a big integer', 'tempfail'],
  ['a boxed status', 'tempfail'],
  ['a status in a string', 'tempfail'],
];

describe('odd answers', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('odd-answers');
  });
  afterAll(() => filter?.stop());

  for (const [how, verdict] of CASES) {
    it(`${how}: ${verdict}, and the session continues`, async () => {
      await filter.use(how);
      await using mta = await filter.greeted();
      expect((await mta.mail('<odd@b.example>')).verdict).toBe(verdict);
      expect((await mta.message({ ...ENVELOPE, sender: '<>' })).verdict).toBe('continue');
      const reports = await filter.eventsOf('report');
      expect(reports).toHaveLength(verdict === 'reject' ? 0 : 1);
    });
  }

  it('the class Base itself is a filter without steps', async () => {
    await filter.use('the class Base itself');
    await using mta = await filter.greeted();
    expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
    expect(await filter.eventsOf('report')).toStrictEqual([]);
  });
});
