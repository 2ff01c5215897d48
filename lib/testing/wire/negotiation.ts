/** Option negotiation: the MTA's offer and the filter's answer (SMFIC_OPTNEG). */
import { decodeBytes } from '../../internal/bytes.js';
import { MilterError } from '../../internal/errors.js';
import { checkInteger } from '../../internal/validate.js';
import { Actions, CURRENT_VERSION, Protocol, SYMLIST_STAGES, type SymlistStage } from './protocol.js';

/** What an MTA offers. */
export interface Offer {
  /** The protocol version. */
  readonly version: number;
  /** The rights it grants, a sum of {@link Actions}. */
  readonly actions: number;
  /** The steps it can leave out and the abilities it has, a sum of {@link Protocol}. */
  readonly protocol: number;
}

/** The filter's answer. */
export interface Negotiated extends Offer {
  /** The macros the filter asked for, by stage; a stage for which it asked for none is absent. */
  readonly symlists: Readonly<Partial<Record<SymlistStage, readonly string[]>>>;
}

const OPTION_BYTES = 12;
/** The oldest protocol version that Sendmail and libmilter still accept. */
const OLDEST_VERSION = 2;

/**
 * Completes an offer; by default it has everything that an MTA of the version knows.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for numbers that a frame cannot carry
 */
export function completeOffer(offer: Partial<Offer>): Offer {
  for (const name of ['version', 'actions', 'protocol'] as const) {
    if (offer[name] !== undefined) checkInteger(name, offer[name], 0, 2 ** 32 - 1);
  }
  const version = offer.version ?? CURRENT_VERSION;
  const old = version < 3;
  return {
    version,
    actions: offer.actions ?? (old ? Actions.V2 : Actions.ALL),
    protocol: offer.protocol ?? (old ? Protocol.V2 : Protocol.ALL),
  };
}

/** The payload of the offer. */
export function encodeOffer(offer: Offer): Buffer {
  const payload = Buffer.alloc(OPTION_BYTES);
  payload.writeUInt32BE(offer.version >>> 0, 0);
  payload.writeUInt32BE(offer.actions >>> 0, 4);
  payload.writeUInt32BE(offer.protocol >>> 0, 8);
  return payload;
}

const hex = (bits: number): string => `0x${(bits >>> 0).toString(16)}`;

function refuse(message: string): never {
  throw new MilterError('ERR_MILTER_PROTOCOL', `negotiation failed: ${message}`);
}

function readSymlists(payload: Buffer): Partial<Record<SymlistStage, readonly string[]>> {
  const symlists: Partial<Record<SymlistStage, readonly string[]>> = {};
  let at = OPTION_BYTES;
  while (at < payload.length) {
    const end = payload.indexOf(0, at + 4);
    if (at + 4 >= payload.length || end < 0) refuse('the list of wanted macros is cut off');
    const number = payload.readUInt32BE(at);
    const stage = SYMLIST_STAGES[number];
    if (stage === undefined) refuse(`the list of wanted macros names a stage ${number}, 0 to 6 exist`);
    symlists[stage] = decodeBytes(payload.subarray(at + 4, end))
      .split(/[ ,\t]+/)
      .filter((name) => name !== '');
    at = end + 1;
  }
  return symlists;
}

/**
 * Refuses what Sendmail refuses (milter_negotiate in its milter.c): a version that was not offered, rights or protocol
 * bits that were not offered.
 */
export function checkAnswer({ version, actions, protocol }: Offer, offer: Offer): void {
  if (version < OLDEST_VERSION || version > offer.version) {
    refuse(`the filter answered version ${version}, ${OLDEST_VERSION} to ${offer.version} would do`);
  }
  const moreActions = actions & ~offer.actions;
  if (moreActions !== 0) refuse(`the filter wants the actions ${hex(moreActions)}, which were not offered`);
  const moreProtocol = protocol & ~offer.protocol;
  if (moreProtocol !== 0) {
    refuse(`the filter wants the protocol bits ${hex(moreProtocol)}, which were not offered`);
  }
}

/** Reads the filter's answer; refuses one that is too short, and what {@link checkAnswer} refuses. */
export function readAnswer(payload: Buffer, offer: Offer): Negotiated {
  if (payload.length < OPTION_BYTES) {
    refuse(`the filter's answer has ${payload.length} bytes, ${OPTION_BYTES} are needed`);
  }
  const answer = {
    version: payload.readUInt32BE(0),
    actions: payload.readUInt32BE(4),
    protocol: payload.readUInt32BE(8),
  };
  checkAnswer(answer, offer);
  return { ...answer, symlists: readSymlists(payload) };
}

/** The protocol bits in effect: those of the answer, and those of the steps that an old version does not have. */
export function effectiveProtocol(negotiated: Negotiated): number {
  let protocol = negotiated.protocol;
  if (negotiated.version < 3) protocol |= Protocol.NOUNKNOWN;
  if (negotiated.version < 4) protocol |= Protocol.NODATA;
  return protocol;
}

/** The largest payload that both sides accept: MILTER_MDS_64K, _256K or _1M in mfdef.h. */
export function frameLimit(protocol: number): number {
  if ((protocol & Protocol.MDS_1M) !== 0) return 1024 * 1024 - 1;
  if ((protocol & Protocol.MDS_256K) !== 0) return 256 * 1024 - 1;
  return 64 * 1024 - 1;
}
