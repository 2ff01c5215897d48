/** The options of an MtaSession, checked, with their defaults. */
import { badArgument } from '../../internal/errors.js';
import { checkBooleans, checkOptions, type OptionNames } from '../../internal/validate.js';
import { checkMacros, type MacrosByStep } from './macros.js';
import { completeOffer, type Offer } from './negotiation.js';
import { CHUNK_SIZE, STEPS } from './protocol.js';

/** How a session is opened. */
export interface MtaSessionOptions extends Partial<Offer> {
  /** The protocol version to offer; an MTA of 2002 offers 2. Default: 6. */
  readonly version?: number;
  /** The rights to offer, a sum of `Actions`. Default: all that the version knows, 0x1ff or 0x3f. */
  readonly actions?: number;
  /** The protocol bits to offer, a sum of `Protocol`. Default: all that the version knows, 0x1fffff or 0x7f. */
  readonly protocol?: number;
  /** Whether to negotiate at once; without it, call `negotiate()` or send frames of your own. Default: true. */
  readonly negotiate?: boolean;
  /** Macros that each step sends ahead of itself, reduced to the filter's symbol lists. Default: none. */
  readonly macros?: MacrosByStep;
  /** Bytes of body in a frame. Default: 65,535, as MTAs do. */
  readonly chunkSize?: number;
  /** Milliseconds that the filter has for each expected frame, 0 for no limit. Default: 10,000. */
  readonly timeout?: number;
  /** The largest payload accepted, in bytes. Default: what was negotiated, at first 65,535. */
  readonly maxFrameSize?: number;
  /** Whether to keep trying, for as long as `timeout`, while no filter listens on the socket yet. Default: false. */
  readonly retry?: boolean;
}

/** The options with their defaults. */
export interface NormalisedMtaSessionOptions {
  readonly offer: Offer;
  readonly negotiate: boolean;
  readonly macros: MacrosByStep;
  readonly chunkSize: number;
  readonly timeout: number;
  /** Undefined where the negotiated limit counts. */
  readonly maxFrameSize: number | undefined;
  readonly retry: boolean;
}

const NAMES: OptionNames<MtaSessionOptions> = {
  version: true,
  actions: true,
  protocol: true,
  negotiate: true,
  macros: true,
  chunkSize: true,
  timeout: true,
  maxFrameSize: true,
  retry: true,
};

const DEFAULT_TIMEOUT = 10_000;

function checkNumber(name: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least && value < 2 ** 31)) return;
  throw badArgument(`${name} must be a whole number from ${least} on: ${value}`);
}

/** Checks options and fills in the defaults. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function normaliseMtaSessionOptions(options: MtaSessionOptions): NormalisedMtaSessionOptions {
  checkOptions('MtaSession', options, NAMES);
  checkNumber('timeout', options.timeout, 0);
  checkNumber('maxFrameSize', options.maxFrameSize, 0);
  checkNumber('chunkSize', options.chunkSize, 1);
  const { negotiate = true, retry = false, macros = {} } = options;
  checkBooleans('', { negotiate, retry });
  checkMacros('MtaSession', macros, Object.keys(STEPS));
  return {
    offer: completeOffer(options),
    negotiate,
    macros,
    chunkSize: options.chunkSize ?? CHUNK_SIZE,
    timeout: options.timeout ?? DEFAULT_TIMEOUT,
    maxFrameSize: options.maxFrameSize,
    retry,
  };
}
