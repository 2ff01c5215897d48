/** Contract 3, 4: what is kept beyond a handler: the context must refuse, the bytes must last. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

const BAD = 'ERR_MILTER_BAD_CONTEXT';
const ACTIONS = [
  'getsymval',
  'setreply',
  'addheader',
  'chgheader',
  'addrcpt',
  'delrcpt',
  'replacebody',
  'chgfrom',
  'quarantine',
  'progress',
];

describe('what is kept', () => {
  let filter: FilterProcess;
  before(async () => {
    filter = await FilterProcess.start('keepers');
  });
  after(() => filter?.stop());

  describe('contract 4: a context after its session', () => {
    it('each method throws bad context; getpriv and setpriv still work for the close handler', async () => {
      await filter.use('KeepsItself');
      await using mta = await filter.greeted();
      await mta.quit();
      for (const when of ['in close', 'late in close']) {
        const [, outcome] = (await filter.event(when)) as [string, Record<string, unknown>];
        for (const action of ACTIONS) assert.equal(outcome[action], BAD, `${action} ${when}`);
        assert.equal(outcome.setsymlist, 'ERR_MILTER_BAD_SYMLIST');
        assert.deepEqual([outcome.getpriv, outcome.setpriv], [null, null], when);
      }
      await filter.event('closed');
      const outcome = await filter.request<Record<string, unknown>>('tryAll');
      for (const action of [...ACTIONS, 'getpriv', 'setpriv']) assert.equal(outcome[action], BAD, action);
      assert.ok(outcome.setsymlist !== null, 'setsymlist');
    });

    it('between two steps, while the MTA waits for nothing, each throws bad context too', async () => {
      await filter.use('KeepsItself');
      await using mta = await filter.greeted();
      const outcome = await filter.request<Record<string, unknown>>('tryAll');
      for (const action of ['getsymval', 'setreply']) assert.equal(outcome[action], BAD, action);
      for (const action of ['addheader', 'progress']) assert.ok(outcome[action] !== null, action);
      assert.deepEqual([outcome.getpriv, outcome.setpriv], [null, null]);
      await mta.quit();
      await filter.event('closed');
    });

    it('before the session has begun: the constructor is told to wait', async () => {
      await filter.use('TooEarly');
      await using mta = await filter.session();
      const { code, message } = await filter.report();
      assert.equal(code, BAD);
      assert.match(message, /constructor/);
      assert.equal((await mta.connect('client.example')).verdict, 'tempfail');
    });
  });

  describe('contract 3: body chunks', () => {
    const body = Buffer.alloc(3_000_000, 'every byte of it counts.\r\n');

    it('kept until the end they are what they were', async () => {
      await filter.use('KeepsChunks');
      await using mta = await filter.greeted();
      assert.equal((await mta.message({ ...ENVELOPE, body })).verdict, 'continue');
      const [, kept, chunks] = await filter.event('body');
      assert.equal(chunks, Math.ceil(body.length / 65535));
      assert.equal(Buffer.compare(kept as Buffer, body), 0);
    });

    it('writing into one changes no other', async () => {
      await filter.use('ScribblesOnChunks');
      await using mta = await filter.session({ chunkSize: 20_000 });
      await mta.connect('client.example');
      await mta.helo('x');
      assert.equal((await mta.message({ ...ENVELOPE, body })).verdict, 'continue');
      const chunks = await filter.eventsOf('chunk');
      assert.equal(Buffer.compare(Buffer.concat(chunks.map(([, chunk]) => chunk as Buffer)), body), 0);
    });
  });

  describe('the factory', () => {
    it('may be a function', async () => {
      await filter.use('a function');
      await using mta = await filter.greeted();
      assert.equal((await mta.message(ENVELOPE)).verdict, 'continue');
    });

    for (const gives of ['nothing', 'a plain object']) {
      it(`that gives ${gives}: reported, the policy answers`, async () => {
        await filter.use(gives);
        await using mta = await filter.session();
        assert.equal((await filter.report()).code, 'ERR_MILTER_BAD_ARGUMENT');
        assert.equal((await mta.connect('client.example')).verdict, 'tempfail');
      });
    }

    it('that is no function is refused where it is set', async () => {
      for (const wrong of [{}, 'Filter', 7, undefined]) {
        await assert.rejects(filter.request('chooseWrong', wrong), { code: 'ERR_MILTER_BAD_ARGUMENT' });
      }
    });
  });
});
