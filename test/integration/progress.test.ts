/** progress: by hand, and by itself while eom is awaited. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { MtaSession } from 'tsmilter/testing';
import type { ToldError } from '../fixtures/serve.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

/** Sends the end of a message; its frames are read one by one. */
async function endMessage(mta: MtaSession): Promise<void> {
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
  await mta.sendFrame('E');
}

describe('progress', () => {
  let filter: FilterProcess;
  before(async () => {
    filter = await FilterProcess.start('scripted', { options: { progressInterval: 0 } });
  });
  after(() => filter?.stop());

  describe('by hand', () => {
    it('leaves at once, ahead of the modifications, which wait for the verdict', async () => {
      await filter.use({
        handlers: {
          eom: { call: [['addheader', 'X-A', '1'], ['progress'], ['progress']], gate: 'eom' },
        },
      });
      await using mta = await filter.greeted();
      await endMessage(mta);
      assert.equal((await mta.readFrame()).command, 'p');
      assert.equal((await mta.readFrame()).command, 'p');
      await filter.request('open', 'eom');
      assert.equal((await mta.readFrame()).command, 'h');
      assert.equal((await mta.readFrame()).command, 'c');
    });

    it('in a handler that does not wait', async () => {
      await filter.use({
        handlers: { eom: { call: [['progress'], ['addheader', 'X-A', '1'], ['progress']] } },
      });
      await using mta = await filter.greeted();
      const { progress, verdict } = await mta.message(ENVELOPE);
      assert.deepEqual([progress, verdict], [2, 'continue']);
    });

    it('a thousand times', async () => {
      await filter.use({ handlers: { eom: { call: Array(1000).fill(['progress']) } } });
      await using mta = await filter.greeted();
      assert.equal((await mta.message(ENVELOPE)).progress, 1000);
    });

    it('not outside eom', async () => {
      await filter.use({ handlers: { envfrom: { call: [['progress']] } } });
      await using mta = await filter.greeted();
      assert.equal((await mta.mail('<a@b.example>')).verdict, 'continue');
      const [, , error] = await filter.event('error');
      assert.equal((error as ToldError).code, 'ERR_MILTER_NOT_IN_EOM');
    });
  });

  it('progressInterval 0: none by itself', async () => {
    await filter.use({ handlers: { eom: { wait: 200 } } });
    await using mta = await filter.greeted();
    assert.equal((await mta.message(ENVELOPE)).progress, 0);
  });

  describe('by itself, every 30 ms', () => {
    let eager: FilterProcess;
    before(async () => {
      eager = await FilterProcess.start('scripted', {
        options: { progressInterval: 30, handlerTimeout: 1000 },
      });
    });
    after(() => eager?.stop());

    it('while eom is awaited, and not after it has answered', async () => {
      await eager.use({ handlers: { envfrom: {}, eom: { gate: 'eom' } } });
      await using mta = await eager.greeted();
      await endMessage(mta);
      for (let i = 0; i < 3; i++) assert.equal((await mta.readFrame()).command, 'p');
      await eager.request('open', 'eom');
      let last = 'p';
      while (last === 'p') last = (await mta.readFrame()).command;
      assert.equal(last, 'c');
      // Time enough for three more; a frame that nobody awaits would fail the next step.
      await eager.use({ handlers: { envfrom: { wait: 100 } } });
      await using other = await eager.greeted();
      assert.equal((await other.mail('<b@b.example>')).verdict, 'continue');
      assert.equal((await mta.mail('<again@b.example>')).verdict, 'continue');
    });

    it('while a header that the end of the message brought along is awaited', async () => {
      await eager.use({ handlers: { header: { gate: 'header' } } });
      await using mta = await eager.greeted();
      await mta.mail('<a@b.example>');
      await mta.rcpt('<c@d.example>');
      await mta.header('Subject', 'x');
      await mta.sendFrame('E');
      for (let i = 0; i < 3; i++) assert.equal((await mta.readFrame()).command, 'p');
      await eager.request('open', 'header');
    });

    it('not while another step is awaited: MTAs do not expect it there', async () => {
      const wait = { wait: 100 };
      await eager.use({ handlers: { connect: wait, hello: wait, envfrom: wait, envrcpt: wait, data: wait } });
      await using mta = await eager.greeted();
      assert.deepEqual(await mta.message(ENVELOPE).then(({ verdict, progress }) => [verdict, progress]), [
        'continue',
        0,
      ]);
    });

    it('does not prolong the time of the handler: handlerTimeout comes all the same', async () => {
      await eager.use({ handlers: { eom: { gate: 'eom' } } });
      await using mta = await eager.greeted();
      const { verdict, progress } = await mta.message(ENVELOPE);
      assert.equal(verdict, 'tempfail');
      assert.ok(progress > 3, `${progress} signs of life`);
      await eager.request('open', 'eom');
    });
  });
});
