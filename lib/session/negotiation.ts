/** What is settled with the MTA at the beginning: the steps it sends, the replies it waits for, the rights. */

import { P_NR_EOH, P_NR_HDR, P_SKIP } from '../addon/constants.js';
import type { NegotiatedOptions } from '../addon/native.js';
import { ABORT, bitOf, CLOSE, DEFERRABLE, EOH, EOM, HEADER, NEGOTIABLE, STEP_NAMES } from '../addon/steps.js';
import type { Callbacks } from './callbacks.js';

/** The steps that have a callback. */
export function handledSteps(callbacks: Callbacks): number {
  return STEP_NAMES.reduce((steps, name, step) => (callbacks[name] ? steps | bitOf(step) : steps), 0);
}

/** The protocol bits for a filter with these handlers: SKIP, and the other steps left out. */
export function protocolFor(handled: number): number {
  return NEGOTIABLE.reduce(
    (bits, { step, no }) => (handled & bitOf(step) ? bits : bits | no),
    P_SKIP as number,
  );
}

/**
 * Completes what a filter's negotiate handler chose.
 *
 * header and eoh are deferred with "no reply" even where the MTA does not know it: libmilter then replies CONTINUE by
 * itself. body is deferred with replies: libmilter 8.17 drops eom where body data comes with the end of the message
 * and the body step is without reply (st_bodyend in its engine.c), so each chunk is answered CONTINUE at once.
 *
 * @param handled the steps with a handler
 * @param offered the protocol that the MTA offers
 * @param actions the rights that negotiate settled on
 * @param protocol the protocol that negotiate settled on
 */
export function completeNegotiation(
  handled: number,
  offered: number,
  actions: number,
  protocol: number,
  immediate: boolean,
): NegotiatedOptions {
  let asked = 0;
  let silent = 0;
  for (const { step, no, nr } of NEGOTIABLE) {
    // An MTA that cannot leave a step out sends it all the same.
    const wanted = offered & no ? !(protocol & no) : (handled & bitOf(step)) !== 0;
    if (wanted) asked |= bitOf(step);
    if (protocol & nr) silent |= bitOf(step);
  }
  asked |= handled & (bitOf(EOM) | bitOf(ABORT) | bitOf(CLOSE));
  const deferred = immediate ? 0 : asked & DEFERRABLE;
  const withoutReply = deferred & (bitOf(HEADER) | bitOf(EOH));
  const added = (withoutReply & bitOf(HEADER) ? P_NR_HDR : 0) | (withoutReply & bitOf(EOH) ? P_NR_EOH : 0);
  return { actions, protocol, added: added & ~protocol, asked, deferred, silent: silent | withoutReply };
}
