// Asynchronous handlers under real MTAs: in every step, many at the same time, and for longer than handlerTimeout.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { endpointNames } from '../../tools/mta';
import { TIMEOUT } from '../../tools/wait';
import type { Acts } from '../fixtures/script';
import { expectThat } from '../support/expect';
import { itUnless } from '../support/skip';
import { heard } from './support/conversation';
import { type Kind, kinds, MtaFixture, type Sent, skipWithout } from './support/mta-fixture';

describe('asynchronous handlers in every step', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ endpoints: endpointNames });
  });
  afterAll(() => mtas?.stop());

  const names = 'connect hello envfrom envrcpt data header eoh body eom';

  for (const kind of kinds) {
    for (const endpoint of endpointNames) {
      for (const immediate of [false, true]) {
        const how = immediate ? 'immediate' : 'deferred';
        itUnless(
          skipWithout(endpoint),
          `run one by one, in order: ${kind}, ${endpoint}, ${how}`,
          async () => {
            const filter = mtas.filter(endpoint);
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
            const { id, last } = await mtas.submit(kind, {
              endpoint,
              body: 'x'.repeat(70).concat('\r\n').repeat(3000),
            });
            expectThat(last.code, last.text).toBe(250);
            expect((await mtas.delivered(id)).text).toMatch(/^X-Late: yes\r$/m);
            await filter.event('close', TIMEOUT);
            const events = await filter.events();
            const calls = events.filter(([name]) => names.split(' ').includes(name)).map(([name]) => name);
            expect(calls.filter((name, i) => name !== calls[i - 1])).toStrictEqual(names.split(' '));
            const results = events.filter(([name, method]) => name === 'result' && method === 'getsymval');
            expect(results).toHaveLength(calls.length);
            expect(results.every(([, , value]) => value === `${kind}.test`)).toBe(true);
          },
        );
      }
    }
  }
});

describe('waiting sessions', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ fixture: 'mta/holding' });
  });
  afterAll(() => mtas?.stop());

  const others = 20;

  /** Some messages at once, half of them by each MTA; every one must get through. */
  async function traffic(count: number): Promise<void> {
    const sent = await Promise.all(
      Array.from({ length: count }, (_, i) =>
        mtas.submit(kinds[i % 2] as Kind, { headers: ['X-Traffic: yes'] }),
      ),
    );
    for (const { id, last } of sent) {
      expectThat(last.code, last.text).toBe(250);
      expect((await mtas.delivered(id)).text).toMatch(/^X-Filtered: /m);
    }
  }

  for (const kind of kinds) {
    for (const handler of ['envfrom', 'eom'] as const) {
      test(`while one session waits in ${handler}, others are served: ${kind}`, async () => {
        const filter = mtas.filter();
        await filter.use('Holding');
        const gate = `${kind}${handler}`;
        const mail = handler === 'eom' ? { headers: [`X-Hold: ${gate}`] } : { from: `hold-${gate}@src.test` };
        let over = false;
        const waiting = mtas.submit(kind, mail).finally(() => {
          over = true;
        });
        expect(await filter.event('held', TIMEOUT)).toStrictEqual(['held', handler, gate]);
        await traffic(others);
        expectThat(over, 'it still waits').toBe(false);
        await filter.request('open', gate);
        const { id, last } = await waiting;
        expectThat(last.code, last.text).toBe(250);
        await mtas.delivered(id);
      });
    }

    test(`many sessions wait at once: ${kind}`, async () => {
      const filter = mtas.filter();
      await filter.use('Holding');
      const gate = `many${kind}`;
      const waiting = Promise.all(
        Array.from({ length: others }, () => mtas.submit(kind, { headers: [`X-Hold: ${gate}`] })),
      );
      for (let i = 0; i < others; i++) await filter.event('held', TIMEOUT);
      await filter.request('open', gate);
      for (const { id, last } of (await waiting) as Sent[]) {
        expectThat(last.code, last.text).toBe(250);
        await mtas.delivered(id);
      }
    });

    test(`the client hangs up while its message waits in envfrom: ${kind}`, async () => {
      const filter = mtas.filter();
      await filter.use('Holding');
      const client = await mtas.open(kind);
      await client.command('EHLO client.test');
      client.write(`MAIL FROM:<hold-gone${kind}@src.test>\r\n`);
      await filter.event('held', TIMEOUT);
      client.destroy();
      // neither MTA looks at its client before it has the filter's answer
      await filter.request('open', `gone${kind}`);
      await filter.event('close', TIMEOUT);
      await traffic(2);
    });
  }
});

describe('handlerTimeout', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ filter: { handlerTimeout: 1_000 } });
  });
  afterAll(() => mtas?.stop());

  for (const kind of kinds) {
    for (const handler of ['envfrom', 'envrcpt', 'data', 'header', 'body', 'eom'] as const) {
      test(`${handler} does not answer: the exception policy does, and the session continues: ${kind}`, async () => {
        const filter = mtas.filter();
        const act = { gate: 'never opened', watchSignal: true };
        await filter.use({ handlers: { [handler]: [act, {}], close: {} } });
        using client = await mtas.open(kind);
        const first = await mtas.send(client);
        const refused = first.last === first.data ? first.data : first.last;
        // DATA without a recipient is what comes after a recipient that was refused
        const reply = handler === 'envrcpt' ? first.rcpt[0] : refused;
        expect(reply && heard(reply)).toBe('451 4.3.0 fixture: untrapped exception');
        const report = await filter.report();
        expect([report.step, report.code]).toStrictEqual([handler, 'ERR_MILTER_HANDLER_TIMEOUT']);
        const [, where, error] = await filter.event('aborted', TIMEOUT);
        expect([where, (error as { code: string }).code]).toStrictEqual([
          handler,
          'ERR_MILTER_HANDLER_TIMEOUT',
        ]);

        await client.command('RSET');
        const second = await mtas.send(client);
        expectThat(second.last.code, second.last.text).toBe(250);
        await client.quit();
        await mtas.delivered(second.id);
        await filter.event('close', TIMEOUT);
      });
    }
  }
});
