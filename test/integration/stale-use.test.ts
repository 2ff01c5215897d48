/** Contract 3, 4: what is kept beyond a handler: the context must refuse, the bytes must last. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { errorWith, expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

const BAD = 'ERR_MILTER_BAD_CONTEXT';
const ACTIONS = [
  'getsymval',
  'setreply',
  'setsymlist',
  'addheader',
  'chgheader',
  'addrcpt',
  'delrcpt',
  'replacebody',
  'chgfrom',
  'quarantine',
  'progress',
];

describe('objects that are kept after their session', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('stale-use');
  });
  afterAll(() => filter?.stop());

  /** @contract 4 */
  describe('a context after its session', () => {
    it('every method throws ERR_MILTER_BAD_CONTEXT; getpriv and setpriv still work in the close handler', async () => {
      await filter.use('KeepsItself');
      await using mta = await filter.greeted();
      await mta.quit();
      for (const when of ['in close', 'late in close']) {
        const [, outcome] = (await filter.event(when)) as [string, Record<string, unknown>];
        for (const action of ACTIONS) expectThat(outcome[action], `${action} ${when}`).toBe(BAD);
        expectThat([outcome.getpriv, outcome.setpriv], when).toStrictEqual([null, null]);
      }
      await filter.event('closed');
      const outcome = await filter.request<Record<string, unknown>>('tryAll');
      for (const action of [...ACTIONS, 'getpriv', 'setpriv']) expectThat(outcome[action], action).toBe(BAD);
    });

    it('between two steps, every method throws ERR_MILTER_BAD_CONTEXT too', async () => {
      await filter.use('KeepsItself');
      await using mta = await filter.greeted();
      const outcome = await filter.request<Record<string, unknown>>('tryAll');
      for (const action of ['getsymval', 'setreply']) expectThat(outcome[action], action).toBe(BAD);
      for (const action of ['addheader', 'progress']) expectThat(outcome[action], action).not.toBeNull();
      expect([outcome.getpriv, outcome.setpriv]).toStrictEqual([null, null]);
      await mta.quit();
      await filter.event('closed');
    });

    it('in the constructor, before the session begins, methods throw an error that says so', async () => {
      await filter.use('TooEarly');
      await using mta = await filter.session();
      const { code, message } = await filter.report();
      expect(code).toBe(BAD);
      expect(message).toMatch(/constructor/);
      expect((await mta.connect('client.example')).verdict).toBe('tempfail');
    });
  });

  /** @contract 3 */
  describe('body chunks', () => {
    const body = Buffer.alloc(3_000_000, 'every byte of it counts.\r\n');

    it('chunks that are kept until eom are unchanged', async () => {
      await filter.use('KeepsChunks');
      await using mta = await filter.greeted();
      expect((await mta.message({ ...ENVELOPE, body })).verdict).toBe('continue');
      const [, kept, chunks] = await filter.event('body');
      expect(chunks).toBe(Math.ceil(body.length / 65535));
      expect(Buffer.compare(kept as Buffer, body)).toBe(0);
    });

    it('writing into a chunk changes no other chunk', async () => {
      await filter.use('ScribblesOnChunks');
      await using mta = await filter.session({ chunkSize: 20_000 });
      await mta.connect('client.example');
      await mta.helo('x');
      expect((await mta.message({ ...ENVELOPE, body })).verdict).toBe('continue');
      const chunks = await filter.eventsOf('chunk');
      expect(Buffer.compare(Buffer.concat(chunks.map(([, chunk]) => chunk as Buffer)), body)).toBe(0);
    });
  });

  describe('the factory', () => {
    it('can be a function', async () => {
      await filter.use('a function');
      await using mta = await filter.greeted();
      expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
    });

    for (const gives of ['nothing', 'a plain object']) {
      it(`that returns ${gives}: the error is reported, the exception policy answers`, async () => {
        await filter.use(gives);
        await using mta = await filter.session();
        expect((await filter.report()).code).toBe('ERR_MILTER_BAD_ARGUMENT');
        expect((await mta.connect('client.example')).verdict).toBe('tempfail');
      });
    }

    it('that is not a function is refused by setFactory', async () => {
      for (const wrong of [{}, 'Filter', 7, undefined]) {
        await expect(filter.request('chooseWrong', wrong)).rejects.toThrow(
          errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
        );
      }
    });
  });
});
