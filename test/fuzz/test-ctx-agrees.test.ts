/**
 * TestCtx answers as libmilter with the real addon does: random sessions are run through both, and all that an MTA or the
 * filter can see of them is compared. MILTER_SEED in the environment repeats a run.
 */

import { inspect, isDeepStrictEqual } from 'node:util';
import { describe, it } from '@jest/globals';
import { type EomResponse, MilterError, MtaSession, type Response, TestCtx } from 'tsmilter/testing';
import { StateTable } from '#lib/testing/simulator/libmilter-states.js';
import { restrictToSymlist } from '#lib/testing/wire/macros.js';
import { Command } from '#lib/testing/wire/protocol.js';
import { makeTelling } from '../fixtures/script.js';
import { toldError } from '../fixtures/serve.js';
import { expectThat } from '../support/expect.js';
import { type FilterEvent, FilterProcess } from '../support/filter-process.js';
import { Random } from '../support/random.js';
import { type Move, type ScriptedSession, scriptedSession } from '../support/scripted-sessions.js';

const SEED = Number(process.env.MILTER_SEED ?? 1_002_003);
const SESSIONS = 150;
const NAME = 'fixture';

/** What came of a move: `ignored` where libmilter takes no notice of it, null where it has no reply. */
type Outcome = Response | EomResponse | 'ignored' | null;

/** A session, as the MTA and the filter have seen it. */
interface Course {
  /** What was negotiated, or the code of the error that ended it. */
  readonly negotiated: unknown;
  readonly outcomes: Outcome[];
  readonly events: FilterEvent[];
}

async function play(
  session: ScriptedSession,
  options: { readonly handlerTimeout: number },
  states: StateTable,
): Promise<Course> {
  const events: FilterEvent[] = [];
  const tell = (name: string, ...args: unknown[]) => events.push([name, ...args]);
  const ctx = new TestCtx(makeTelling(session.script, tell), {
    ...session.offer,
    ...options,
    macros: session.macros,
    chunkSize: session.chunkSize,
    exceptionPolicy: session.policy,
    name: NAME,
    errorHook: (error, step) => tell('report', step, toldError(error)),
    states,
  });
  const outcomes: Outcome[] = [];
  let negotiated: unknown;
  try {
    negotiated = await ctx.negotiate();
    for (const move of session.moves) outcomes.push(await take(ctx, move));
  } catch (error) {
    if (negotiated !== undefined || !(error instanceof MilterError)) throw error;
    negotiated = error.code;
  }
  await ctx.close();
  return { negotiated, outcomes, events };
}

async function take(ctx: TestCtx, [name, ...args]: Move): Promise<Outcome> {
  try {
    const step = ctx[name] as (...args: unknown[]) => Promise<Response | undefined>;
    return (await step.apply(ctx, args)) ?? null;
  } catch (error) {
    if (error instanceof MilterError && error.code === 'ERR_MILTER_PROTOCOL') return 'ignored';
    throw error;
  }
}

/** The MTA's words for the steps. */
const MTA_STEPS = { envfrom: 'mail', envrcpt: 'rcpt' } as const;
const stepOf = (name: string): string => (MTA_STEPS as Record<string, string>)[name] ?? name;

/** The frame of a command that libmilter is expected to ignore: its payload must only be well-formed. */
const FRAMES: Readonly<Record<string, readonly [command: number, payload: Buffer]>> = {
  connect: [Command.CONNECT, Buffer.from('host\0U\0')],
  helo: [Command.HELO, Buffer.from('host\0')],
  envfrom: [Command.MAIL, Buffer.from('<a@b>\0')],
  envrcpt: [Command.RCPT, Buffer.from('<a@b>\0')],
  data: [Command.DATA, Buffer.alloc(0)],
  header: [Command.HEADER, Buffer.from('Name\0value\0')],
  eoh: [Command.EOH, Buffer.alloc(0)],
  body: [Command.BODY, Buffer.from('text')],
  eom: [Command.BODYEOB, Buffer.alloc(0)],
  unknown: [Command.UNKNOWN, Buffer.from('command\0')],
};

/** Runs the session through libmilter; `expected` says which commands it leaves without a reply. */
async function run(filter: FilterProcess, session: ScriptedSession, expected: Course): Promise<Course> {
  await filter.use(session.script);
  await filter.request('policy', session.policy);
  const macros = Object.fromEntries(
    Object.entries(session.macros).map(([step, values]) => [stepOf(step), values]),
  );
  const outcomes: Outcome[] = [];
  let negotiated: unknown;
  try {
    await using mta = await MtaSession.open(filter.socket, {
      ...session.offer,
      macros,
      chunkSize: session.chunkSize,
      timeout: 20_000,
    });
    negotiated = mta.negotiated;
    for (const [at, move] of session.moves.entries()) {
      const ignored = expected.outcomes[at] === 'ignored';
      outcomes.push(ignored ? await shout(mta, macros, move) : await send(mta, move));
    }
  } catch (error) {
    if (negotiated !== undefined) {
      throw new Error(`move ${outcomes.length}: ${inspect(session.moves[outcomes.length])}`, {
        cause: error,
      });
    }
    if (!(error instanceof MilterError)) throw error;
    negotiated = error.code;
  }
  return { negotiated, outcomes, events: await eventsUpTo(filter, expected.events) };
}

async function send(mta: MtaSession, [name, ...args]: Move): Promise<Outcome> {
  const step = mta[stepOf(name) as 'data'] as (...args: unknown[]) => Promise<Response | undefined>;
  return (await step.apply(mta, args)) ?? null;
}

/** Sends a command without waiting for its reply: one that comes all the same breaks the next step. */
async function shout(mta: MtaSession, macros: Record<string, object>, [name]: Move): Promise<'ignored'> {
  if (name === 'quitNewConnection') {
    await mta.quitNewConnection();
    return 'ignored';
  }
  const step = stepOf(name) as 'mail';
  const values = restrictToSymlist(
    (macros[step] ?? {}) as Record<string, string>,
    step,
    mta.negotiated.symlists,
  );
  if (Object.keys(values).length > 0) mta.macros(step, values);
  const [command, payload] = FRAMES[name] as readonly [number, Buffer];
  await mta.sendFrame(command, payload);
  return 'ignored';
}

/** What the filter told, until it has told as many ends of sessions as are expected: those come after the MTA has gone. */
async function eventsUpTo(filter: FilterProcess, expected: readonly FilterEvent[]): Promise<FilterEvent[]> {
  const ends = (events: readonly FilterEvent[]) => events.filter(([name]) => name === 'close').length;
  const events: FilterEvent[] = [];
  for (let looks = 0; looks < 500; looks++) {
    events.push(...(await filter.events()));
    if (ends(events) >= ends(expected) && looks > 0) break;
  }
  return events;
}

/** Where two courses part, in one line each. */
function firstDifference(played: Course, real: Course): string {
  const differ = (one: unknown, other: unknown) => !isDeepStrictEqual(one, other);
  const show = (what: string, one: unknown, other: unknown) =>
    `${what}\n  TestCtx:   ${inspect(one, { depth: 6 })}\n  libmilter: ${inspect(other, { depth: 6 })}`;
  if (differ(played.negotiated, real.negotiated))
    return show('negotiation', played.negotiated, real.negotiated);
  for (const part of ['outcomes', 'events'] as const) {
    for (let at = 0; at < Math.max(played[part].length, real[part].length); at++) {
      if (differ(played[part][at], real[part][at]))
        return show(`${part} ${at}`, played[part].slice(at, at + 3), real[part].slice(at, at + 3));
    }
  }
  return 'no difference';
}

const GROUPS = [
  { title: 'handlers in time', late: false },
  { title: 'handlers in time, another process', late: false },
  { title: 'handlers in time, a third process', late: false },
  { title: 'handlers that take too long', late: true },
];

/** @contract 20, 21, 22 */
describe('TestCtx and libmilter agree', () => {
  for (const [group, { title, late }] of GROUPS.entries()) {
    it(`${title}: ${SESSIONS} sessions`, async () => {
      const seed = SEED + group * 100_000;
      console.log(`seed ${SEED}: sessions ${seed} to ${seed + SESSIONS - 1}`);
      const options = { handlerTimeout: late ? 40 : 20_000 };
      const filter = await FilterProcess.start('scripted', { name: NAME, options });
      const states = new StateTable(); // what a process's sessions have left out holds for its later ones
      try {
        for (let at = 0; at < SESSIONS; at++) {
          const session = scriptedSession(new Random(seed + at), late);
          const expected = await play(session, options, states);
          const about = () =>
            `session ${seed + at} (MILTER_SEED=${SEED}): ${inspect(session, { depth: 8, maxStringLength: 60 })}`;
          const real = await run(filter, session, expected).catch((cause) => {
            throw new Error(`${about()}\nTestCtx: ${inspect(expected, { depth: 8, maxStringLength: 60 })}`, {
              cause,
            });
          });
          expectThat(expected, `${firstDifference(expected, real)}\n${about()}`).toStrictEqual(real);
        }
      } finally {
        await filter.stop();
      }
    });
  }
});
