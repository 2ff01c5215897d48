/** The negotiation at the start of a session: the steps that the MTA sends, the replies that it waits for, the rights. */

import { inspect } from 'node:util';
import {
  CONTINUE,
  P_MDS_1M,
  P_MDS_256K,
  P_NODATA,
  P_NOUNKNOWN,
  P_NR_EOH,
  P_NR_HDR,
  P_SKIP,
} from '../addon/constants.js';
import type { NegotiatedOptions } from '../addon/native.js';
import { ABORT, bitOf, CLOSE, DEFERRABLE, EOH, EOM, HEADER, NEGOTIABLE, STEP_NAMES } from '../addon/steps.js';
import { badArgument } from '../internal/errors.js';
import type { Callbacks } from './callbacks.js';
import type { Context } from './context.js';
import { currentFlags } from './flags.js';
import { keptNames } from './kept-macros.js';
import type { NegotiationOptions } from './negotiation-options.js';

/** MILTER_MDS_256K and MILTER_MDS_1M in mfdef.h. libmilter shows these bits of an offer if it has agreed to them. */
const MAX_DATA_SIZE_256K = 256 * 1024 - 1;
const MAX_DATA_SIZE_1M = 1024 * 1024 - 1;

/** The ends of a message; the MTA sends them in any case. */
const ENDS = bitOf(EOM) | bitOf(ABORT);

/** Bits that libmilter takes back by itself where the MTA does not offer them. */
const TAKEN_BACK = P_NODATA | P_NOUNKNOWN;

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
 * Completes what a filter's negotiate handler has chosen.
 *
 * header and eoh are deferred with "no reply" even where the MTA does not know it: libmilter then replies CONTINUE by
 * itself. body is deferred with replies: libmilter 8.17 drops eom where body data comes with the end of the message
 * and the body step is without reply (st_bodyend in its engine.c), so each chunk is answered CONTINUE at once.
 * The other steps are deferred where the filter has chosen "no reply" for them.
 *
 * @param handled the steps with a handler
 * @param offered the protocol that the MTA offers
 * @param actions the rights that negotiate has chosen
 * @param protocol the protocol that negotiate has chosen
 * @param macros the macros that the filter asks for, besides the common ones
 */
export function completeNegotiation(
  handled: number,
  offered: number,
  actions: number,
  protocol: number,
  immediate: boolean,
  macros: Iterable<string> = [],
): NegotiatedOptions {
  let asked = 0;
  let silent = 0;
  for (const { step, no, nr } of NEGOTIABLE) {
    // An MTA that cannot leave a step out sends it anyway.
    const wanted = offered & no ? !(protocol & no) : (handled & bitOf(step)) !== 0;
    if (wanted) asked |= bitOf(step);
    if (protocol & nr) silent |= bitOf(step);
  }
  asked |= handled & (bitOf(EOM) | bitOf(ABORT) | bitOf(CLOSE));
  const deferred = immediate ? 0 : asked & (DEFERRABLE | silent);
  const withoutReply = deferred & (bitOf(HEADER) | bitOf(EOH));
  const added = (withoutReply & bitOf(HEADER) ? P_NR_HDR : 0) | (withoutReply & bitOf(EOH) ? P_NR_EOH : 0);
  return {
    actions,
    protocol,
    added: added & ~protocol,
    asked,
    deferred,
    silent: silent | withoutReply,
    macros: deferred & ~DEFERRABLE ? keptNames(macros) : '',
  };
}

/** A word of the options as libmilter gets it. JavaScript's bit operators make a negative number of bit 31. */
function chosenBits(index: number, name: string, chosen: unknown, offered: number): number {
  if (!Number.isInteger(chosen) || (chosen as number) < -(2 ** 31) || (chosen as number) >= 2 ** 32) {
    throw badArgument(
      `negotiate: options[${index}] (${name}) must be a 32-bit integer, not ${inspect(chosen, { depth: 0 })}`,
    );
  }
  const beyond = ((chosen as number) & ~offered) >>> 0;
  if (beyond !== 0) {
    throw badArgument(
      `negotiate: options[${index}] (${name}) has bits that the MTA does not offer (0x${beyond.toString(16)}): ` +
        'libmilter would close the connection',
    );
  }
  return (chosen as number) >>> 0;
}

/** The negotiation of one session, with the filter as one side. */
export class Negotiation {
  readonly #callbacks: Callbacks;
  readonly #context: Context;
  readonly #offer: Readonly<NegotiationOptions>;
  /** The offer, which the handler changes in place to what the filter takes. */
  readonly #options: NegotiationOptions;

  constructor(callbacks: Callbacks, context: Context, offer: NegotiationOptions) {
    this.#callbacks = callbacks;
    this.#context = context;
    this.#offer = offer;
    this.#options = [...offer];
    const [, protocol] = offer;
    if (protocol & P_MDS_1M) context.maxDataSize = MAX_DATA_SIZE_1M;
    else if (protocol & P_MDS_256K) context.maxDataSize = MAX_DATA_SIZE_256K;
  }

  /** Calls the negotiate handler; without one, takes the steps that have a callback. */
  callHandler(): unknown {
    const options = this.#options;
    if (this.#callbacks.negotiate) return this.#callbacks.negotiate(this.#context, options);
    options[0] &= currentFlags();
    options[1] &= protocolFor(handledSteps(this.#callbacks));
    return CONTINUE;
  }

  /** Refuses a choice that libmilter cannot answer the MTA with. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
  checkChoice(): void {
    const options = this.#options;
    const [actions, protocol] = this.#offer;
    options[0] = chosenBits(0, 'actions', options[0], actions);
    options[1] = chosenBits(1, 'protocol', options[1], protocol | TAKEN_BACK);
  }

  /**
   * Ends the negotiation, and gives the context its rights.
   * @param verdict CONTINUE for what the handler has chosen and {@link checkChoice} has let pass, anything else for all that the
   *   MTA offers
   * @param immediate the option of that name, unless the filter's class says otherwise
   * @param observed whether the ends of messages are passed on even to a filter that has no handlers for them
   */
  conclude(verdict: number, immediate: boolean, observed: boolean): NegotiatedOptions {
    const context = this.#context;
    const handled = context.plan?.handled ?? handledSteps(this.#callbacks);
    const [actions, protocol] = verdict === CONTINUE ? this.#options : this.#offer;
    const negotiated = completeNegotiation(
      observed ? handled | ENDS : handled,
      this.#offer[1],
      actions,
      protocol,
      context.plan?.immediate ?? immediate,
      context.plan?.macros,
    );
    if (verdict === CONTINUE) {
      context.actions = negotiated.actions;
      context.protocol = negotiated.protocol;
    } else {
      context.actions = actions;
    }
    return negotiated;
  }
}
