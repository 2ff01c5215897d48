/** progress: by hand, and by itself while eom is awaited. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
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
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted', { options: { progressInterval: 0 } });
  });
  afterAll(() => filter?.stop());

  describe('called by a handler', () => {
    it('is sent immediately, before the modifications, which wait for the verdict', async () => {
      await filter.use({
        handlers: {
          eom: { call: [['addheader', 'X-A', '1'], ['progress'], ['progress']], gate: 'eom' },
        },
      });
      await using mta = await filter.greeted();
      await endMessage(mta);
      expect((await mta.readFrame()).command).toBe('p');
      expect((await mta.readFrame()).command).toBe('p');
      await filter.request('open', 'eom');
      expect((await mta.readFrame()).command).toBe('h');
      expect((await mta.readFrame()).command).toBe('c');
    });

    it('from a handler that does not await', async () => {
      await filter.use({
        handlers: { eom: { call: [['progress'], ['addheader', 'X-A', '1'], ['progress']] } },
      });
      await using mta = await filter.greeted();
      const { progress, verdict } = await mta.message(ENVELOPE);
      expect([progress, verdict]).toStrictEqual([2, 'continue']);
    });

    it('a thousand times', async () => {
      await filter.use({ handlers: { eom: { call: Array(1000).fill(['progress']) } } });
      await using mta = await filter.greeted();
      expect((await mta.message(ENVELOPE)).progress).toBe(1000);
    });

    it('not outside eom', async () => {
      await filter.use({ handlers: { envfrom: { call: [['progress']] } } });
      await using mta = await filter.greeted();
      expect((await mta.mail('<a@b.example>')).verdict).toBe('continue');
      const [, , error] = await filter.event('error');
      expect((error as ToldError).code).toBe('ERR_MILTER_NOT_IN_EOM');
    });
  });

  it('with progressInterval 0, none is sent automatically', async () => {
    await filter.use({ handlers: { eom: { wait: 200 } } });
    await using mta = await filter.greeted();
    expect((await mta.message(ENVELOPE)).progress).toBe(0);
  });

  describe('sent automatically every 30 ms', () => {
    let eager: FilterProcess;
    beforeAll(async () => {
      eager = await FilterProcess.start('scripted', {
        options: { progressInterval: 30 },
      });
    });
    afterAll(() => eager?.stop());

    it('while eom is awaited, and not after it has answered', async () => {
      await eager.use({ handlers: { envfrom: {}, eom: { gate: 'eom' } } });
      await using mta = await eager.greeted();
      await endMessage(mta);
      for (let i = 0; i < 3; i++) expect((await mta.readFrame()).command).toBe('p');
      await eager.request('open', 'eom');
      let last = 'p';
      while (last === 'p') last = (await mta.readFrame()).command;
      expect(last).toBe('c');
      // Time enough for three more; a frame that nobody awaits would fail the next step.
      await eager.use({ handlers: { envfrom: { wait: 100 } } });
      await using other = await eager.greeted();
      expect((await other.mail('<b@b.example>')).verdict).toBe('continue');
      expect((await mta.mail('<again@b.example>')).verdict).toBe('continue');
    });

    it('while a header handler that was deferred to the end of the message is awaited', async () => {
      await eager.use({ handlers: { header: { gate: 'header' } } });
      await using mta = await eager.greeted();
      await mta.mail('<a@b.example>');
      await mta.rcpt('<c@d.example>');
      await mta.header('Subject', 'x');
      await mta.sendFrame('E');
      for (let i = 0; i < 3; i++) expect((await mta.readFrame()).command).toBe('p');
      await eager.request('open', 'header');
    });

    it('not while another step is awaited, where MTAs do not expect it', async () => {
      const wait = { wait: 100 };
      await eager.use({ handlers: { connect: wait, hello: wait, envfrom: wait, envrcpt: wait, data: wait } });
      await using mta = await eager.greeted();
      expect(await mta.message(ENVELOPE).then(({ verdict, progress }) => [verdict, progress])).toStrictEqual([
        'continue',
        0,
      ]);
    });

    it('does not extend handlerTimeout', async () => {
      await using own = await FilterProcess.start('scripted', {
        options: { progressInterval: 30, handlerTimeout: 1000 },
      });
      await own.use({ handlers: { eom: { gate: 'eom' } } });
      await using mta = await own.greeted();
      const { verdict, progress } = await mta.message(ENVELOPE);
      expect(verdict).toBe('tempfail');
      expect(progress).toBeGreaterThanOrEqual(1);
      await own.request('open', 'eom');
    });
  });
});
