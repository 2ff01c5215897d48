// An eom handler that takes longer than the MTA waits for an answer: progress says that it is at work. These tests wait
// for seconds, because the MTAs' timeouts are in seconds.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectThat } from '../support/expect';
import { type Kind, kinds, Lab, type Sent } from './support/lab';

describe('a slow eom', () => {
  describe('short timeouts', () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await Lab.start({
        doors: ['unix', 'inet'],
        filter: (door) => ({ progressInterval: door === 'unix' ? 300 : 0 }),
        mta: {
          // 2 s for each answer, and 6 s for the whole end of a message
          sendmail: { timeouts: { command: 2, content: 6 } },
          postfix: { timeouts: { content: 2 } },
        },
      });
    });
    afterAll(() => lab?.stop());

    /** A message to each MTA at once, whose eom takes that long. */
    async function both(door: 'unix' | 'inet', wait: number): Promise<Readonly<Record<Kind, Sent>>> {
      const eom = { wait, afterwards: [['addheader', 'X-Late', 'yes']] } as const;
      await lab.filter(door).use({ handlers: { eom, close: {} } });
      const [sendmail, postfix] = await Promise.all(kinds.map((kind) => lab.submit(kind, { door })));
      return { sendmail: sendmail as Sent, postfix: postfix as Sent };
    }

    test('is waited for while progress is sent, and given up without', async () => {
      const [withProgress, without] = await Promise.all([both('unix', 4000), both('inet', 4000)]);
      for (const kind of kinds) {
        const { id, last } = withProgress[kind];
        expectThat(last.code, `${kind}: ${last.text}`).toBe(250);
        expectThat((await lab.delivered(id)).text, 'modified after the wait').toMatch(/^X-Late: yes\r$/m);
        expectThat(without[kind].last.code, `${kind} without progress: ${without[kind].last.text}`).toBe(451);
        expect(await lab.wasDelivered(kind, without[kind].id)).toBe(false);
      }
    });

    test('Sendmail has a limit (E) that progress does not move, Postfix has none', async () => {
      const { sendmail, postfix } = await both('unix', 9000);
      expect([sendmail.last.code, postfix.last.code]).toStrictEqual([451, 250]);
    });
  });

  // Sendmail gives a filter 10 s for each answer where MAIL_FILTER has no T=: less than the package's default interval,
  // so docs/delivery.md says what to set.
  describe('the defaults of the MTAs', () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await Lab.start({
        filter: () => ({ progressInterval: 5000 }),
        mta: {
          // MAIL_FILTER without T=
          sendmail: { timeouts: { connect: 300, command: 10, content: 300 } },
          postfix: { timeouts: { connect: 30, command: 30, content: 300 } },
        },
      });
    });
    afterAll(() => lab?.stop());

    test('an eom of 13 s is waited for with a sign of life every 5 s', async () => {
      await lab.filter().use({ handlers: { eom: { wait: 13_000 } } });
      const sent = await Promise.all(kinds.map((kind) => lab.submit(kind)));
      expect(sent.map(({ last }) => last.code)).toStrictEqual([250, 250]);
    });
  });
});
