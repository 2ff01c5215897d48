/** Contract 13: what is agreed with an MTA, worked out without one. */
import { describe, expect, it } from '@jest/globals';
import {
  P_NOBODY,
  P_NOEOH,
  P_NOHDRS,
  P_NOHELO,
  P_NR_BODY,
  P_NR_EOH,
  P_NR_HDR,
  P_NR_HELO,
  P_SKIP,
} from 'tsmilter';
import {
  ABORT,
  BODY,
  bitOf,
  CLOSE,
  CONNECT,
  ENVFROM,
  EOH,
  EOM,
  HEADER,
  HELO,
  NEGOTIABLE,
  STEP_NAMES,
} from '#lib/addon/steps.js';
import { noCallbacks } from '#lib/session/callbacks.js';
import { completeNegotiation, handledSteps, protocolFor } from '#lib/session/negotiation.js';
import { expectThat } from '../support/expect';

const OFFERED = 0x1fffff;
const ALL_NO = NEGOTIABLE.reduce((bits, { no }) => bits | no, 0);
const steps = (...list: number[]) => list.reduce((bits, step) => bits | bitOf(step), 0);
/** What a filter with these handlers settles on with an MTA that offers everything. */
const agreed = (handled: number, { offered = OFFERED, more = 0, immediate = false } = {}) =>
  completeNegotiation(handled, offered, 0x1ff, offered & (protocolFor(handled) | more), immediate);

describe('handledSteps', () => {
  it('sets one bit for each callback', () => {
    expect(handledSteps(noCallbacks())).toBe(0);
    for (const [step, name] of STEP_NAMES.entries()) {
      expectThat(handledSteps({ ...noCallbacks(), [name]: () => 0 }), name).toBe(bitOf(step));
    }
  });
});

/** @contract 13 */
describe('protocolFor', () => {
  it('negotiates steps without a handler away, keeps SKIP', () => {
    expect(protocolFor(0)).toBe(ALL_NO | P_SKIP);
    expect(protocolFor(0xffff)).toBe(P_SKIP);
    for (const { step, no } of NEGOTIABLE) expect(protocolFor(bitOf(step))).toBe((ALL_NO & ~no) | P_SKIP);
  });
});

/** @contract 13 */
describe('completeNegotiation', () => {
  it('only handled steps are delivered; eom, abort and close too', () => {
    expect(agreed(0).asked).toBe(0);
    for (const step of [CONNECT, HELO, ENVFROM, HEADER, EOH, BODY, EOM, ABORT, CLOSE]) {
      expectThat(agreed(bitOf(step)).asked, STEP_NAMES[step]).toBe(bitOf(step));
    }
  });

  it('defers only header, eoh and body', () => {
    expect(agreed(0xffff).deferred).toBe(steps(HEADER, EOH, BODY));
    expect(agreed(steps(CONNECT, HEADER)).deferred).toBe(steps(HEADER));
    expect(agreed(steps(CONNECT, EOM)).deferred).toBe(0);
  });

  it('with immediate, none is deferred', () => {
    const { deferred, silent, protocol } = agreed(0xffff, { immediate: true });
    expect([deferred, silent, protocol & (P_NR_HDR | P_NR_EOH | P_NR_BODY)]).toStrictEqual([0, 0, 0]);
  });

  it('requests no reply for deferred headers, but one for body, since eom could be lost otherwise', () => {
    const { protocol, added, silent } = agreed(0xffff);
    expect(added).toBe(P_NR_HDR | P_NR_EOH);
    expectThat(protocol & (P_NR_HDR | P_NR_EOH | P_NR_BODY), 'what the filter settled on stays').toBe(0);
    expect(silent).toBe(steps(HEADER, EOH));
    expect(agreed(steps(BODY)).added).toBe(0);
  });

  it('steps negotiated without reply have none', () => {
    const { silent, protocol } = agreed(steps(HELO, BODY), { more: P_NR_HELO | P_NR_BODY });
    expect(silent).toBe(steps(HELO, BODY));
    expect(protocol & (P_NR_HELO | P_NR_BODY)).toBe(P_NR_HELO | P_NR_BODY);
  });

  it('an unhandled step that the MTA cannot leave out is not delivered', () => {
    const { asked, protocol } = agreed(steps(ENVFROM), { offered: P_SKIP });
    expect(asked).toBe(steps(ENVFROM));
    expect(protocol).toBe(P_SKIP);
  });

  it('delivers steps that a negotiate handler requests beyond those its class handles', () => {
    const { asked } = completeNegotiation(0, OFFERED, 0x1ff, P_NOBODY | P_NOHDRS | P_NOEOH, false);
    expect(asked & bitOf(HELO)).toBe(bitOf(HELO));
    expect(asked & steps(HEADER, EOH, BODY)).toBe(0);
  });

  it('passes rights on unchanged', () => {
    expect(completeNegotiation(0, OFFERED, 0x11, 0, false).actions).toBe(0x11);
  });

  it('a step that was negotiated away is not delivered', () => {
    const { asked, deferred } = completeNegotiation(
      steps(HELO, HEADER),
      OFFERED,
      0,
      P_NOHELO | P_NOHDRS | P_NOEOH | P_NOBODY,
      false,
    );
    expect(asked & steps(HELO, HEADER)).toBe(0);
    expect(deferred).toBe(0);
  });
});
