// A filter that stops or dies while SMTP clients are in the middle of something.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { SmtpClient } from '../../tools/mta';
import { expectThat } from '../support/expect';
import { compose, type Kind, kinds, Lab, nextId, patienceMs } from './support/lab';

const drainTimeout = 1500;

describe('a filter ends', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.start({ fixture: 'mta/holding', filter: { drainTimeout } });
  });
  afterAll(() => lab?.stop());

  // A test that fails must not make the next ones fail, whose filter would be the one that it left behind.
  let sound = true;
  beforeEach(async () => {
    if (!sound) {
      await lab.killFilter();
      await lab.startFilter();
    }
    sound = false;
  });

  /** An SMTP session that has come as far as one recipient. */
  async function inTransaction(kind: Kind): Promise<SmtpClient> {
    const client = await lab.open(kind);
    await client.command('EHLO client.test');
    await client.command('MAIL FROM:<from@src.test>');
    expect((await client.command('RCPT TO:<rcpt@dest.test>')).code).toBe(250);
    return client;
  }

  /** DATA and the content; resolves to the code of the last reply. */
  async function finish(client: SmtpClient, id: string, headers: readonly string[] = []): Promise<number> {
    return (await client.data(compose(id, headers, 'a line\r\n'))).code;
  }

  /** Sends SIGTERM and waits until the filter stops. */
  async function beginToStop(): Promise<void> {
    process.kill(lab.filter().pid, 'SIGTERM');
    await lab.filter().event('told to stop', patienceMs);
  }

  /** The filter's process has ended by itself; what every stop promises is checked, and another is started. */
  async function replaceFilter(): Promise<void> {
    await lab.filter().exited(patienceMs);
    await lab.stopFilter();
    await lab.startFilter();
  }

  async function worksAgain(kind: Kind): Promise<void> {
    const { id, last } = await lab.submit(kind);
    expectThat(last.code, last.text).toBe(250);
    expect((await lab.delivered(id)).text).toMatch(/^X-Filtered: /m);
    sound = true;
  }

  for (const kind of kinds) {
    describe(kind, () => {
      test('SIGTERM: a client finishes its message, a new one is put off', async () => {
        using client = await inTransaction(kind);
        await beginToStop();
        const { last } = await lab.submit(kind);
        expectThat(last.code, last.text).toBe(451);
        const id = nextId();
        expect(await finish(client, id)).toBe(250);
        expectThat((await lab.delivered(id)).text, 'by the filter that stops').toMatch(/^X-Filtered: /m);
        await lab.filter().exited(patienceMs);
        // the same session: its filter is gone
        expect((await client.command('MAIL FROM:<from@src.test>')).code).toBe(451);
        await replaceFilter();
        await worksAgain(kind);
      });

      test('SIGTERM: a session that is not in a message is put off', async () => {
        using idle = await lab.open(kind);
        await idle.command('EHLO client.test');
        using client = await inTransaction(kind);
        await beginToStop();
        expect((await idle.command('MAIL FROM:<from@src.test>')).code).toBe(451);
        const id = nextId();
        expect(await finish(client, id)).toBe(250);
        await lab.delivered(id);
        await replaceFilter();
        await worksAgain(kind);
      });

      test('SIGTERM: a handler that awaits in eom gets the time to finish', async () => {
        const filter = lab.filter();
        await filter.use('Holding');
        using client = await inTransaction(kind);
        const id = nextId();
        const reply = finish(client, id, ['X-Hold: eom']);
        await filter.event('held', patienceMs);
        await beginToStop();
        await filter.request('open', 'eom');
        expect(await reply).toBe(250);
        expect((await lab.delivered(id)).text).toMatch(/^X-Filtered: /m);
        await replaceFilter();
        await worksAgain(kind);
      });

      test('SIGTERM: a handler that awaits for longer is answered for, its signal aborted', async () => {
        const filter = lab.filter();
        await filter.use('Holding');
        using client = await inTransaction(kind);
        const id = nextId();
        const reply = finish(client, id, ['X-Hold: never']);
        await filter.event('held', patienceMs);
        await beginToStop();
        expect(await reply).toBe(451);
        expect((await filter.event('aborted', patienceMs)).slice(0, 2)).toStrictEqual(['aborted', 'eom']);
        await replaceFilter();
        expect(await lab.wasDelivered(kind, id)).toBe(false);
        await worksAgain(kind);
      });

      test('SIGTERM: a client that takes too long is put off', async () => {
        using client = await inTransaction(kind);
        await beginToStop();
        await lab.filter().exited(patienceMs);
        const id = nextId();
        expect(await finish(client, id)).toBe(451);
        await replaceFilter();
        expect(await lab.wasDelivered(kind, id)).toBe(false);
        await worksAgain(kind);
      });

      for (const [where, hold] of [
        ['between two commands', undefined],
        ['while it waits in eom', 'X-Hold: killed'],
      ] as const) {
        test(`SIGKILL ${where}: the client is put off`, async () => {
          const filter = lab.filter();
          await filter.use('Holding');
          using client = await inTransaction(kind);
          const id = nextId();
          let reply: Promise<number> | undefined;
          if (hold) {
            reply = finish(client, id, [hold]);
            await filter.event('held', patienceMs);
          }
          await lab.killFilter();
          expect(await (reply ?? finish(client, id))).toBe(451);
          expectThat((await lab.submit(kind)).last.code, 'nor is a new message taken').toBe(451);
          await lab.startFilter();
          expect(await lab.wasDelivered(kind, id)).toBe(false);
          await worksAgain(kind);
        });
      }
    });
  }
});
