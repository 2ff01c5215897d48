// Handlers that take their time, under real MTAs: in every step, many at once, and for longer than they may.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { doors } from '../../tools/mta';
import type { Acts } from '../fixtures/script';
import { heard } from './support/conversation';
import { type Kind, kinds, Lab, patienceMs, type Sent, skipWithout } from './support/lab';

describe('asynchronous handlers in every step', () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.start({ doors });
  });
  after(() => lab?.stop());

  const names = 'connect hello envfrom envrcpt data header eoh body eom';

  for (const kind of kinds) {
    for (const door of doors) {
      for (const immediate of [false, true]) {
        const how = immediate ? 'immediate' : 'deferred';
        test(`run one by one, in order: ${kind}, ${door}, ${how}`, { skip: skipWithout(door) }, async () => {
          const filter = lab.filter(door);
          // each looks for a macro after its wait: the MTA's thread must still be there
          const slow = { wait: 3, afterwards: [['getsymval', 'j']] } as const;
          const handlers: Acts = Object.fromEntries(names.split(' ').map((name) => [name, slow]));
          const added = ['addheader', 'X-Late', 'yes'] as const;
          await filter.use({
            handlers: {
              ...handlers,
              eom: { ...slow, afterwards: [...slow.afterwards, added] },
              close: { wait: 3 },
            },
            statics: { immediate },
          });
          const { id, last } = await lab.submit(kind, {
            door,
            body: 'x'.repeat(70).concat('\r\n').repeat(3000),
          });
          assert.equal(last.code, 250, last.text);
          assert.match((await lab.delivered(id)).text, /^X-Late: yes\r$/m);
          await filter.event('close', patienceMs);
          const events = await filter.events();
          const calls = events.filter(([name]) => names.split(' ').includes(name)).map(([name]) => name);
          assert.deepEqual(
            calls.filter((name, i) => name !== calls[i - 1]),
            names.split(' '),
          );
          const results = events.filter(([name, method]) => name === 'result' && method === 'getsymval');
          assert.equal(results.length, calls.length);
          assert.ok(results.every(([, , value]) => value === `${kind}.test`));
        });
      }
    }
  }
});

describe('sessions that wait', () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.start({ fixture: 'mta/holding' });
  });
  after(() => lab?.stop());

  const others = 20;

  /** Some messages at once, half of them by each MTA; every one must get through. */
  async function traffic(count: number): Promise<void> {
    const sent = await Promise.all(
      Array.from({ length: count }, (_, i) =>
        lab.submit(kinds[i % 2] as Kind, { headers: ['X-Traffic: yes'] }),
      ),
    );
    for (const { id, last } of sent) {
      assert.equal(last.code, 250, last.text);
      assert.match((await lab.delivered(id)).text, /^X-Filtered: /m);
    }
  }

  for (const kind of kinds) {
    for (const handler of ['envfrom', 'eom'] as const) {
      test(`while one waits in ${handler}, others are served: ${kind}`, async () => {
        const filter = lab.filter();
        await filter.use('Holding');
        const gate = `${kind}${handler}`;
        const mail = handler === 'eom' ? { headers: [`X-Hold: ${gate}`] } : { from: `hold-${gate}@src.test` };
        let over = false;
        const waiting = lab.submit(kind, mail).finally(() => {
          over = true;
        });
        assert.deepEqual(await filter.event('held', patienceMs), ['held', handler, gate]);
        await traffic(others);
        assert.equal(over, false, 'it still waits');
        await filter.request('open', gate);
        const { id, last } = await waiting;
        assert.equal(last.code, 250, last.text);
        await lab.delivered(id);
      });
    }

    test(`many wait at once: ${kind}`, async () => {
      const filter = lab.filter();
      await filter.use('Holding');
      const gate = `many${kind}`;
      const waiting = Promise.all(
        Array.from({ length: others }, () => lab.submit(kind, { headers: [`X-Hold: ${gate}`] })),
      );
      for (let i = 0; i < others; i++) await filter.event('held', patienceMs);
      await filter.request('open', gate);
      for (const { id, last } of (await waiting) as Sent[]) {
        assert.equal(last.code, 250, last.text);
        await lab.delivered(id);
      }
    });

    test(`the client hangs up while its message waits in envfrom: ${kind}`, async () => {
      const filter = lab.filter();
      await filter.use('Holding');
      const client = await lab.open(kind);
      await client.command('EHLO client.test');
      client.write(`MAIL FROM:<hold-gone${kind}@src.test>\r\n`);
      await filter.event('held', patienceMs);
      client.destroy();
      // neither MTA looks at its client before it has the filter's answer
      await filter.request('open', `gone${kind}`);
      await filter.event('close', patienceMs);
      await traffic(2);
    });
  }
});

describe('handlerTimeout', () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.start({ filter: { handlerTimeout: 400 } });
  });
  after(() => lab?.stop());

  for (const kind of kinds) {
    for (const handler of ['envfrom', 'envrcpt', 'data', 'header', 'body', 'eom'] as const) {
      test(`${handler} does not answer: the exception policy does; the session goes on: ${kind}`, async () => {
        const filter = lab.filter();
        const act = { gate: 'never opened', watchSignal: true };
        await filter.use({ handlers: { [handler]: [act, {}], close: {} } });
        using client = await lab.open(kind);
        const first = await lab.send(client);
        const refused = first.last === first.data ? first.data : first.last;
        // DATA without a recipient is what comes after a recipient that was refused
        const reply = handler === 'envrcpt' ? first.rcpt[0] : refused;
        assert.equal(reply && heard(reply), '451 4.3.0 fixture: untrapped exception');
        const report = await filter.report();
        assert.deepEqual([report.step, report.code], [handler, 'ERR_MILTER_HANDLER_TIMEOUT']);
        const [, where, error] = await filter.event('aborted', patienceMs);
        assert.deepEqual([where, (error as { code: string }).code], [handler, 'ERR_MILTER_HANDLER_TIMEOUT']);

        await client.command('RSET');
        const second = await lab.send(client);
        assert.equal(second.last.code, 250, second.last.text);
        await client.quit();
        await lab.delivered(second.id);
        await filter.event('close', patienceMs);
      });
    }
  }
});
