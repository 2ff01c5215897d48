// An eom handler that takes longer than the MTA waits for an answer: progress says that it is at work. These tests wait
// for seconds, because the MTAs' timeouts are in seconds, and run side by side.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Kind, kinds, Lab, type Sent } from './support/lab';

describe('a slow eom', { concurrency: true }, () => {
  describe('short timeouts', { concurrency: false }, () => {
    let lab: Lab;
    before(async () => {
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
    after(() => lab?.stop());

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
        assert.equal(last.code, 250, `${kind}: ${last.text}`);
        assert.match((await lab.delivered(id)).text, /^X-Late: yes\r$/m, 'modified after the wait');
        assert.equal(without[kind].last.code, 451, `${kind} without progress: ${without[kind].last.text}`);
        assert.equal(await lab.wasDelivered(kind, without[kind].id), false);
      }
    });

    test('Sendmail has a limit (E) that progress does not move, Postfix has none', async () => {
      const { sendmail, postfix } = await both('unix', 9000);
      assert.deepEqual([sendmail.last.code, postfix.last.code], [451, 250]);
    });
  });

  // Sendmail gives a filter 10 s for each answer where MAIL_FILTER has no T=: less than the package's default interval,
  // so docs/delivery.md says what to set.
  describe('the defaults of the MTAs', { concurrency: false }, () => {
    let lab: Lab;
    before(async () => {
      lab = await Lab.start({
        filter: () => ({ progressInterval: 5000 }),
        mta: {
          // MAIL_FILTER without T=
          sendmail: { timeouts: { connect: 300, command: 10, content: 300 } },
          postfix: { timeouts: { connect: 30, command: 30, content: 300 } },
        },
      });
    });
    after(() => lab?.stop());

    test('an eom of 13 s is waited for with a sign of life every 5 s', async () => {
      await lab.filter().use({ handlers: { eom: { wait: 13_000 } } });
      const sent = await Promise.all(kinds.map((kind) => lab.submit(kind)));
      assert.deepEqual(
        sent.map(({ last }) => last.code),
        [250, 250],
      );
    });
  });
});
