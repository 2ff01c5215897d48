/** The steps of a session by three names: TestCtx's (libmilter's callbacks), the wire's, and the addon's numbers. */
import { BODY, CONNECT, DATA, ENVFROM, ENVRCPT, EOH, EOM, HEADER, HELO, UNKNOWN } from '../../addon/steps.js';
import type { Step } from '../wire/protocol.js';

/** A step of a session that has a handler and a reply, by the name of its libmilter callback. */
export type TestStep =
  | 'connect'
  | 'helo'
  | 'envfrom'
  | 'envrcpt'
  | 'data'
  | 'header'
  | 'eoh'
  | 'body'
  | 'eom'
  | 'unknown';

/** The steps by the numbers of lib/addon/steps.ts. */
export const STEP_NUMBERS: Readonly<Record<TestStep, number>> = {
  connect: CONNECT,
  helo: HELO,
  envfrom: ENVFROM,
  envrcpt: ENVRCPT,
  data: DATA,
  header: HEADER,
  eoh: EOH,
  body: BODY,
  eom: EOM,
  unknown: UNKNOWN,
};

/** The steps by the names of `tsmilter/testing`'s wire. */
export const WIRE_STEPS: Readonly<Record<TestStep, Step>> = {
  connect: 'connect',
  helo: 'helo',
  envfrom: 'mail',
  envrcpt: 'rcpt',
  data: 'data',
  header: 'header',
  eoh: 'eoh',
  body: 'body',
  eom: 'eom',
  unknown: 'unknown',
};

const TEST_STEPS = new Map(Object.entries(WIRE_STEPS).map(([name, step]) => [step, name as TestStep]));

/** The callback's name of a step of the wire. */
export function testStepOf(step: Step): TestStep {
  return TEST_STEPS.get(step) as TestStep;
}
