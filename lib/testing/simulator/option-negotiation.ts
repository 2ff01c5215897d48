/** libmilter's part in option negotiation: st_optionneg in its engine.c. */
import { ALL_OPTS, CONTINUE } from '../../addon/constants.js';
import type { NegotiatedOptions } from '../../addon/native.js';
import { NEGOTIABLE } from '../../addon/steps.js';
import { MilterError } from '../../internal/errors.js';
import type { Offer } from '../wire/negotiation.js';
import { Actions, CURRENT_VERSION, Protocol } from '../wire/protocol.js';

/** libmilter always offers "no reply": it replies in place of the filter if the MTA does not know it. */
const ALL_NO_REPLY = NEGOTIABLE.reduce((bits, { nr }) => bits | nr, 0);
/** SMFI_INTERNAL: bits that libmilter and the MTA use between themselves. */
const INTERNAL = 0x70000000;
/** SMFI_V1_ACTS and SMFI_V1_PROT: what an MTA that offers nothing is taken to offer. */
const V1_ACTIONS = Actions.ADDHDRS | Actions.CHGBODY | Actions.ADDRCPT | Actions.DELRCPT;
const V1_PROTOCOL = 0x3f;

/** What libmilter makes of an MTA's offer. */
export interface ReceivedOffer {
  readonly version: number;
  readonly actions: number;
  readonly protocol: number;
}

/** The result of a negotiation. */
export interface NegotiationResult {
  /** The protocol bits that libmilter itself follows. */
  readonly protocol: number;
  /** The answer to the MTA. */
  readonly answer: Offer;
}

function refused(reason: string): MilterError {
  return new MilterError(
    'ERR_MILTER_CLOSED',
    `the negotiation failed, and libmilter closes the connection: ${reason}`,
  );
}

/** Reads an offer. @throws MilterError ERR_MILTER_CLOSED if libmilter closes the connection */
export function receiveOffer(offer: Offer): ReceivedOffer {
  if (offer.version < 2) throw refused(`version ${offer.version} is too old`);
  return {
    version: offer.version,
    actions: offer.actions === 0 ? V1_ACTIONS : offer.actions,
    protocol: (offer.protocol === 0 ? V1_PROTOCOL : offer.protocol) & ~INTERNAL,
  };
}

/** The arguments of the callback xxfi_negotiate. */
export function negotiateArguments({ actions, protocol }: ReceivedOffer): readonly number[] {
  return [actions >>> 0, (protocol | ALL_NO_REPLY) >>> 0, 0, 0];
}

/** Completes a negotiation. @throws MilterError ERR_MILTER_CLOSED if libmilter closes the connection */
export function completeNegotiation(
  offer: ReceivedOffer,
  verdict: number,
  options: NegotiatedOptions,
): NegotiationResult {
  if (verdict !== CONTINUE && verdict !== ALL_OPTS) throw refused(`negotiate answered ${verdict}`);
  const chosen = verdict === CONTINUE;
  const actions = chosen ? options.actions : offer.actions;
  const followed = chosen ? options.protocol | options.added : 0;
  let protocol = chosen ? followed : offer.protocol & Protocol.SKIP;
  protocol &= ~(ALL_NO_REPLY & ~offer.protocol);
  if (actions & ~offer.actions) throw refused('the filter wants rights that were not offered');
  if (protocol & ~offer.protocol) {
    protocol &= ~((Protocol.NODATA | Protocol.NOUNKNOWN) & ~offer.protocol);
  }
  if (protocol & ~offer.protocol) throw refused('the filter wants protocol bits that were not offered');
  return {
    protocol: followed,
    answer: {
      version: Math.min(offer.version, CURRENT_VERSION),
      actions: actions >>> 0,
      protocol: (protocol & ~INTERNAL) >>> 0,
    },
  };
}
