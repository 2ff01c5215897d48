/** Contract 13: what is agreed with an MTA, worked out without one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
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

const OFFERED = 0x1fffff;
const ALL_NO = NEGOTIABLE.reduce((bits, { no }) => bits | no, 0);
const steps = (...list: number[]) => list.reduce((bits, step) => bits | bitOf(step), 0);
/** What a filter with these handlers settles on with an MTA that offers everything. */
const agreed = (handled: number, { offered = OFFERED, more = 0, immediate = false } = {}) =>
  completeNegotiation(handled, offered, 0x1ff, offered & (protocolFor(handled) | more), immediate);

describe('handledSteps', () => {
  it('a bit per callback', () => {
    assert.equal(handledSteps(noCallbacks()), 0);
    for (const [step, name] of STEP_NAMES.entries()) {
      assert.equal(handledSteps({ ...noCallbacks(), [name]: () => 0 }), bitOf(step), name);
    }
  });
});

describe('contract 13: protocolFor', () => {
  it('leaves out what has no handler, keeps SKIP', () => {
    assert.equal(protocolFor(0), ALL_NO | P_SKIP);
    assert.equal(protocolFor(0xffff), P_SKIP);
    for (const { step, no } of NEGOTIABLE) assert.equal(protocolFor(bitOf(step)), (ALL_NO & ~no) | P_SKIP);
  });
});

describe('contract 13: completeNegotiation', () => {
  it('only what is handled is asked; eom, abort and close too', () => {
    assert.equal(agreed(0).asked, 0);
    for (const step of [CONNECT, HELO, ENVFROM, HEADER, EOH, BODY, EOM, ABORT, CLOSE]) {
      assert.equal(agreed(bitOf(step)).asked, bitOf(step), STEP_NAMES[step]);
    }
  });

  it('header, eoh and body are deferred, nothing else', () => {
    assert.equal(agreed(0xffff).deferred, steps(HEADER, EOH, BODY));
    assert.equal(agreed(steps(CONNECT, HEADER)).deferred, steps(HEADER));
    assert.equal(agreed(steps(CONNECT, EOM)).deferred, 0);
  });

  it('immediate: nothing is', () => {
    const { deferred, silent, protocol } = agreed(0xffff, { immediate: true });
    assert.deepEqual([deferred, silent, protocol & (P_NR_HDR | P_NR_EOH | P_NR_BODY)], [0, 0, 0]);
  });

  it('deferred headers go without reply, body does not: eom could be lost', () => {
    const { protocol, added, silent } = agreed(0xffff);
    assert.equal(added, P_NR_HDR | P_NR_EOH);
    assert.equal(protocol & (P_NR_HDR | P_NR_EOH | P_NR_BODY), 0, 'what the filter settled on stays');
    assert.equal(silent, steps(HEADER, EOH));
    assert.equal(agreed(steps(BODY)).added, 0);
  });

  it('what was agreed to be silent is silent', () => {
    const { silent, protocol } = agreed(steps(HELO, BODY), { more: P_NR_HELO | P_NR_BODY });
    assert.equal(silent, steps(HELO, BODY));
    assert.equal(protocol & (P_NR_HELO | P_NR_BODY), P_NR_HELO | P_NR_BODY);
  });

  it('a step that the MTA cannot leave out is not asked where nobody handles it', () => {
    const { asked, protocol } = agreed(steps(ENVFROM), { offered: P_SKIP });
    assert.equal(asked, steps(ENVFROM));
    assert.equal(protocol, P_SKIP);
  });

  it('a negotiate handler that wants more than its class handles gets it', () => {
    const { asked } = completeNegotiation(0, OFFERED, 0x1ff, P_NOBODY | P_NOHDRS | P_NOEOH, false);
    assert.equal(asked & bitOf(HELO), bitOf(HELO));
    assert.equal(asked & steps(HEADER, EOH, BODY), 0);
  });

  it('rights are passed on as they are', () => {
    assert.equal(completeNegotiation(0, OFFERED, 0x11, 0, false).actions, 0x11);
  });

  it('nothing of a step that is left out', () => {
    const { asked, deferred } = completeNegotiation(
      steps(HELO, HEADER),
      OFFERED,
      0,
      P_NOHELO | P_NOHDRS | P_NOEOH | P_NOBODY,
      false,
    );
    assert.equal(asked & steps(HELO, HEADER), 0);
    assert.equal(deferred, 0);
  });
});
