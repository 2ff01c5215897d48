// An eom handler that takes longer than the MTA waits for a reply: progress extends the wait. These tests take seconds, because
// the MTAs' timeouts are in seconds.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectThat } from '../support/expect';
import { type Kind, kinds, MtaFixture, type Sent } from './support/mta-fixture';

describe('a slow eom', () => {
  describe('short timeouts', () => {
    let mtas: MtaFixture;
    beforeAll(async () => {
      mtas = await MtaFixture.start({
        endpoints: ['unix', 'inet'],
        filter: (endpoint) => ({ progressInterval: endpoint === 'unix' ? 300 : 0 }),
        mta: {
          // 5 s for each reply, since a busy machine may delay progress, and 14 s for the whole end of a message
          sendmail: { timeouts: { command: 5, content: 14 } },
          postfix: { timeouts: { content: 5 } },
        },
      });
    });
    afterAll(() => mtas?.stop());

    /** A message to each MTA at once, whose eom takes that long. */
    async function both(endpoint: 'unix' | 'inet', wait: number): Promise<Readonly<Record<Kind, Sent>>> {
      const eom = { wait, afterwards: [['addheader', 'X-Late', 'yes']] } as const;
      await mtas.filter(endpoint).use({ handlers: { eom, close: {} } });
      const [sendmail, postfix] = await Promise.all(kinds.map((kind) => mtas.submit(kind, { endpoint })));
      return { sendmail: sendmail as Sent, postfix: postfix as Sent };
    }

    test('the MTA waits while progress is sent, and gives up without it', async () => {
      const [withProgress, without] = await Promise.all([both('unix', 8000), both('inet', 8000)]);
      for (const kind of kinds) {
        const { id, last } = withProgress[kind];
        expectThat(last.code, `${kind}: ${last.text}`).toBe(250);
        expectThat((await mtas.delivered(id)).text, 'modified after the wait').toMatch(/^X-Late: yes\r$/m);
        expectThat(without[kind].last.code, `${kind} without progress: ${without[kind].last.text}`).toBe(451);
        expect(await mtas.wasDelivered(kind, without[kind].id)).toBe(false);
      }
    });

    test('Sendmail has a limit (E) that progress does not extend, Postfix has none', async () => {
      const { sendmail, postfix } = await both('unix', 18_000);
      expect([sendmail.last.code, postfix.last.code]).toStrictEqual([451, 250]);
    });
  });

  // Sendmail gives a filter 10 s for each answer where MAIL_FILTER has no T=: less than the package's default interval,
  // so docs/delivery.md says what to set.
  describe('the defaults of the MTAs', () => {
    let mtas: MtaFixture;
    beforeAll(async () => {
      mtas = await MtaFixture.start({
        filter: () => ({ progressInterval: 5000 }),
        mta: {
          // MAIL_FILTER without T=
          sendmail: { timeouts: { connect: 300, command: 10, content: 300 } },
          postfix: { timeouts: { connect: 30, command: 30, content: 300 } },
        },
      });
    });
    afterAll(() => mtas?.stop());

    test('the MTAs wait for an eom of 13 s with progress every 5 s', async () => {
      await mtas.filter().use({ handlers: { eom: { wait: 13_000 } } });
      const sent = await Promise.all(kinds.map((kind) => mtas.submit(kind)));
      expect(sent.map(({ last }) => last.code)).toStrictEqual([250, 250]);
    });
  });
});
