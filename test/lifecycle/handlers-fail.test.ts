/**
 * Handlers that throw, reject or return something other than a status: in every step the exception policy answers, the error
 * is reported once, the session's close handler runs, and the filter continues. Contract lines 4 and 9.
 */
import { afterAll, expect, test } from '@jest/globals';
import type { MtaSession, Response } from 'tsmilter/testing';
import { until } from '../../tools/wait.js';
import { FAILURES, RIGHT, TWICE } from '../fixtures/lifecycle/behaviours.js';
import { expectThat } from '../support/expect.js';
import { STEP_HANDLERS, type StepHandler } from '../support/handlers.js';
import { inLanes } from '../support/in-lanes.js';
import { servesWell } from './support/messages.js';
import { CLEAN_END, ObservedFilter } from './support/observed-filter.js';

const goesOn = ({ verdict }: Response) => ['continue', 'noreply', 'skipped'].includes(verdict);

/** Sends every step of a session until the filter ends it; returns the last response. */
async function everyStep(
  session: MtaSession,
  steer: string,
): Promise<{ at: StepHandler; response: Response }> {
  const steps: [StepHandler, () => Promise<Response>][] = [
    ['connect', () => session.connect(steer)],
    ['hello', () => session.helo('client.example')],
    ['unknown', () => session.unknown('HUH')],
    ['envfrom', () => session.mail('<a@client.example>')],
    ['envrcpt', () => session.rcpt('<b@example.com>')],
    ['abort', () => session.abort().then(() => ({ verdict: 'noreply' }))],
    ['envfrom', () => session.mail('<a@client.example>')],
    ['envrcpt', () => session.rcpt('<b@example.com>')],
    ['data', () => session.data()],
    ['header', () => session.header('Subject', 'lunch')],
    ['eoh', () => session.eoh()],
    ['body', () => session.body('At noon.\r\n')],
    ['eom', () => session.eom()],
  ];
  for (const [at, step] of steps) {
    const response = await step();
    if (!goesOn(response)) return { at, response };
  }
  return { at: 'close', response: { verdict: 'continue' } };
}

const DEFERRED: readonly StepHandler[] = ['header', 'eoh', 'body'];

/** Runs one behaviour in every step, one session each. */
async function inEveryStep(
  filter: ObservedFilter,
  behaviour: string,
  check: (step: StepHandler, end: { at: StepHandler; response: Response }) => void,
): Promise<void> {
  await inLanes(4, STEP_HANDLERS, async (step) => {
    const session = await filter.open();
    const end = await everyStep(session, `${behaviour}.${step}`);
    await session.quit();
    check(step, end);
  });
}

async function countsAgree(filter: ObservedFilter, sessions: number): Promise<void> {
  let found = { made: 0, ended: 0 };
  await until(
    'as many contexts ended as were made',
    async () => {
      found = await filter.diag();
      return found.made === sessions && found.ended === sessions;
    },
    5_000,
    () => JSON.stringify(found),
  );
}

for (const immediate of [false, true]) {
  const mode = immediate ? 'immediate' : 'deferred';

  test(`control (${mode}): handlers that answer CONTINUE, immediately or later, pass every step`, async () => {
    await using filter = await ObservedFilter.start({ run: { immediate } });
    for (const behaviour of Object.keys(RIGHT)) {
      await inEveryStep(filter, behaviour, (_, { at }) => expectThat(at, behaviour).toBe('close'));
    }
    await countsAgree(filter, Object.keys(RIGHT).length * STEP_HANDLERS.length);
    expectThat(filter.count('error'), filter.state()).toBe(0);
    expect(await filter.stop()).toStrictEqual(CLEAN_END);
  });

  for (const behaviour of Object.keys(FAILURES)) {
    test(`${behaviour} (${mode}): every step answers by the exception policy`, async () => {
      const filter = await sharedFilter(immediate);
      const errors = filter.count('error');
      const { made } = await filter.diag();
      await inEveryStep(filter, behaviour, (step, { at, response }) => {
        if (step === 'abort' || step === 'close') {
          expectThat(at, step).toBe('close');
          return;
        }
        expect(at).toBe(!immediate && DEFERRED.includes(step) ? 'eom' : step);
        expect(response.verdict).toBe('tempfail');
        expectThat([response.reply?.code, response.reply?.xcode, response.reply?.lines], step).toStrictEqual([
          '451',
          '4.3.0',
          ['controllable: untrapped exception'],
        ]);
      });
      await countsAgree(filter, made + STEP_HANDLERS.length);
      // The return values of abort and close are ignored, so they cannot be wrong.
      const expected = /^(answers|resolves)/.test(behaviour)
        ? STEP_HANDLERS.length - 2
        : STEP_HANDLERS.length;
      await until(
        `one report for each of ${expected} failures`,
        () => filter.count('error') === errors + expected,
        5_000,
        () => String(filter.count('error') - errors),
      );
      await servesWell(filter);
    });
  }

  for (const behaviour of Object.keys(TWICE)) {
    test(`${behaviour} (${mode}): the first answer counts`, async () => {
      const filter = await sharedFilter(immediate);
      const { made } = await filter.diag();
      await inEveryStep(filter, behaviour, (step, { at }) => expectThat(at, step).toBe('close'));
      await countsAgree(filter, made + STEP_HANDLERS.length);
      await servesWell(filter);
    });
  }

  test(`the filter of these tests (${mode}) stops with exit code 0`, async () => {
    const filter = await sharedFilter(immediate);
    await servesWell(filter);
    expect(await filter.stop()).toStrictEqual(CLEAN_END);
  });
}

/** One process for all behaviours of a mode; a new one if the last was killed. */
const shared = new Map<boolean, ObservedFilter>();
async function sharedFilter(immediate: boolean): Promise<ObservedFilter> {
  let filter = shared.get(immediate);
  if (!filter?.running) {
    filter = await ObservedFilter.start({ run: { immediate } });
    shared.set(immediate, filter);
  }
  return filter;
}

afterAll(async () => {
  for (const filter of shared.values()) await filter[Symbol.asyncDispose]();
});

for (const hook of ['throw', 'reject', 'none'] as const) {
  test(`an error hook that ${hook}s does not affect the filter`, async () => {
    await using filter = await ObservedFilter.start({ hook });
    await inLanes(4, Object.keys(FAILURES), async (behaviour) => {
      for (const step of ['hello', 'eom', 'abort', 'close']) {
        const session = await filter.open();
        await everyStep(session, `${behaviour}.${step}`);
        await session.quit();
      }
    });
    await countsAgree(filter, Object.keys(FAILURES).length * 4);
    await servesWell(filter);
    expect(await filter.stop()).toStrictEqual(CLEAN_END);
    expect(filter.output).toMatch(/on purpose/); // written to stderr in place of the hook
  });
}

test('errors in negotiate accept the MTA’s whole offer, and the session continues', async () => {
  await using filter = await ObservedFilter.start();
  for (const behaviour of Object.keys(FAILURES)) {
    filter.tell({ do: 'negotiation', value: behaviour });
    await filter.event('negotiation', undefined, filter.count('negotiation') + 1);
    const session = await filter.open();
    expectThat((await session.helo('client.example')).verdict, behaviour).toBe('continue');
    await session.quit();
  }
  filter.tell({ do: 'negotiation', value: '' });
  await filter.event('negotiation', undefined, Object.keys(FAILURES).length + 1);
  await servesWell(filter);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

test('a closed stderr does not end the filter', async () => {
  await using filter = await ObservedFilter.start({ hook: 'none' });
  filter.child.stderr?.destroy();
  filter.child.stdout?.destroy();
  for (let i = 0; i < 20; i++) {
    const session = await filter.open();
    await everyStep(session, 'throws.eom');
    await session.quit();
  }
  await servesWell(filter);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});
