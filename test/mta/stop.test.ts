// A filter that stops or dies while SMTP clients are in a session.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { SmtpClient } from '../../tools/mta';
import { TIMEOUT } from '../../tools/wait';
import { expectThat } from '../support/expect';
import { compose, type Kind, kinds, MtaFixture, nextId } from './support/mta-fixture';

/** Long enough for every client that is to finish, and short enough to wait for. */
const LONG_DRAIN = 60_000;
const SHORT_DRAIN = 500;

describe('a filter ends', () => {
  let mtas: MtaFixture;
  let drainTimeout = LONG_DRAIN;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ fixture: 'mta/holding', filter: () => ({ drainTimeout }) });
  });
  afterAll(() => mtas?.stop());

  // After a test that failed, the next one gets a new filter.
  let sound = true;
  beforeEach(async () => {
    if (!sound) await restartFilter();
    sound = false;
  });

  async function restartFilter(): Promise<void> {
    await mtas.killFilter();
    await mtas.startFilter();
  }

  /** Runs a test with a filter whose drainTimeout is short. */
  async function withShortDrain(run: () => Promise<void>): Promise<void> {
    drainTimeout = SHORT_DRAIN;
    try {
      await restartFilter();
      await run();
    } finally {
      drainTimeout = LONG_DRAIN;
      sound = false; // the next test starts another filter
    }
  }

  /** An SMTP session in which one recipient was accepted. */
  async function inTransaction(kind: Kind): Promise<SmtpClient> {
    const client = await mtas.open(kind);
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
    process.kill(mtas.filter().pid, 'SIGTERM');
    await mtas.filter().event('told to stop', TIMEOUT);
  }

  /** Waits until the filter's process has ended, checks what every stop must leave, and starts another filter. */
  async function replaceFilter(): Promise<void> {
    await mtas.filter().exited(TIMEOUT);
    await mtas.stopFilter();
    await mtas.startFilter();
  }

  async function worksAgain(kind: Kind): Promise<void> {
    const { id, last } = await mtas.submit(kind);
    expectThat(last.code, last.text).toBe(250);
    expect((await mtas.delivered(id)).text).toMatch(/^X-Filtered: /m);
    sound = true;
  }

  for (const kind of kinds) {
    describe(kind, () => {
      test('SIGTERM: a client finishes its message, a new one gets a temporary failure', async () => {
        using client = await inTransaction(kind);
        await beginToStop();
        const { last } = await mtas.submit(kind);
        expectThat(last.code, last.text).toBe(451);
        const id = nextId();
        expect(await finish(client, id)).toBe(250);
        expectThat((await mtas.delivered(id)).text, 'by the filter that stops').toMatch(/^X-Filtered: /m);
        await mtas.filter().exited(TIMEOUT);
        // the same session: its filter is gone
        expect((await client.command('MAIL FROM:<from@src.test>')).code).toBe(451);
        await replaceFilter();
        await worksAgain(kind);
      });

      test('SIGTERM: a session outside a message gets a temporary failure', async () => {
        using idle = await mtas.open(kind);
        await idle.command('EHLO client.test');
        using client = await inTransaction(kind);
        await beginToStop();
        expect((await idle.command('MAIL FROM:<from@src.test>')).code).toBe(451);
        const id = nextId();
        expect(await finish(client, id)).toBe(250);
        await mtas.delivered(id);
        await replaceFilter();
        await worksAgain(kind);
      });

      test('SIGTERM: a handler that awaits in eom can finish', async () => {
        const filter = mtas.filter();
        await filter.use('Holding');
        using client = await inTransaction(kind);
        const id = nextId();
        const reply = finish(client, id, ['X-Hold: eom']);
        await filter.event('held', TIMEOUT);
        await beginToStop();
        await filter.request('open', 'eom');
        expect(await reply).toBe(250);
        expect((await mtas.delivered(id)).text).toMatch(/^X-Filtered: /m);
        await replaceFilter();
        await worksAgain(kind);
      });

      test('SIGTERM: a handler that awaits longer gets its signal aborted, its client a temporary failure', () =>
        withShortDrain(async () => {
          const filter = mtas.filter();
          await filter.use('Holding');
          using client = await inTransaction(kind);
          const id = nextId();
          const reply = finish(client, id, ['X-Hold: never']);
          await filter.event('held', TIMEOUT);
          await beginToStop();
          expect(await reply).toBe(451);
          expect((await filter.event('aborted', TIMEOUT)).slice(0, 2)).toStrictEqual(['aborted', 'eom']);
          await replaceFilter();
          expect(await mtas.wasDelivered(kind, id)).toBe(false);
          await worksAgain(kind);
        }));

      test('SIGTERM: a client that takes too long gets a temporary failure', () =>
        withShortDrain(async () => {
          using client = await inTransaction(kind);
          await beginToStop();
          await mtas.filter().exited(TIMEOUT);
          const id = nextId();
          expect(await finish(client, id)).toBe(451);
          await replaceFilter();
          expect(await mtas.wasDelivered(kind, id)).toBe(false);
          await worksAgain(kind);
        }));

      for (const [where, hold] of [
        ['between two commands', undefined],
        ['while it waits in eom', 'X-Hold: killed'],
      ] as const) {
        test(`SIGKILL ${where}: the client gets a temporary failure`, async () => {
          const filter = mtas.filter();
          await filter.use('Holding');
          using client = await inTransaction(kind);
          const id = nextId();
          let reply: Promise<number> | undefined;
          if (hold) {
            reply = finish(client, id, [hold]);
            await filter.event('held', TIMEOUT);
          }
          await mtas.killFilter();
          expect(await (reply ?? finish(client, id))).toBe(451);
          expectThat((await mtas.submit(kind)).last.code, 'nor is a new message taken').toBe(451);
          await mtas.startFilter();
          expect(await mtas.wasDelivered(kind, id)).toBe(false);
          await worksAgain(kind);
        });
      }
    });
  }
});
