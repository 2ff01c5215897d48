/** Contract 1: each session has an object of its own, whatever the factory gives. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

/** @contract 1 */
describe('a factory', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('factories');
  });
  afterAll(() => filter?.stop());

  it('that gives the object of another session is refused, and that session’s message gets its own actions', async () => {
    await filter.use('the same object');
    await using alice = await filter.greeted();
    const message = alice.message({ ...ENVELOPE, sender: '<alice@a.example>' });
    await filter.event('eom');

    await using bob = await filter.session();
    expect(await filter.report()).toMatchObject({
      step: 'negotiate',
      code: 'ERR_MILTER_BAD_ARGUMENT',
      message: expect.stringContaining('serves another session'),
    });
    expect((await bob.connect('client.example')).verdict).toBe('tempfail');

    await filter.request('open', '<alice@a.example>');
    const { verdict, modifications } = await message;
    expect(verdict).toBe('continue');
    expect(modifications).toStrictEqual([
      { type: 'addheader', name: 'X-Sender', value: '<alice@a.example>' },
    ]);
    await alice.quit();
    await filter.event('close');
  });

  it('may give an object again when its session has ended', async () => {
    await filter.use('the same object');
    for (const sender of ['<first@a.example>', '<second@a.example>']) {
      await using mta = await filter.greeted();
      await filter.request('open', sender);
      const { modifications } = await mta.message({ ...ENVELOPE, sender });
      expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-Sender', value: sender }]);
      await mta.quit();
      await filter.event('close');
    }
    expect(await filter.eventsOf('report')).toStrictEqual([]);
  });

  for (const what of ['a promise of an object', 'a promise that rejects']) {
    it(`that gives ${what} is refused, and the filter goes on`, async () => {
      await filter.use(what);
      await using mta = await filter.session();
      expect(await filter.report()).toMatchObject({
        step: 'negotiate',
        code: 'ERR_MILTER_BAD_ARGUMENT',
        message: expect.stringContaining('not a promise of one'),
      });
      expect((await mta.connect('client.example')).verdict).toBe('tempfail');
      await mta.quit();

      await filter.use('the same object');
      await filter.request('open', '<alice@a.example>');
      await using next = await filter.greeted();
      expect((await next.message({ ...ENVELOPE, sender: '<alice@a.example>' })).verdict).toBe('continue');
      await next.quit();
      await filter.event('close');
    });
  }
});
