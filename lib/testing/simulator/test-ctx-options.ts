/** The options of a TestCtx, checked, with their defaults. */
import { badArgument } from '../../internal/errors.js';
import type { Logger } from '../../internal/logger.js';
import {
  checkBooleans,
  checkFunction,
  checkOptions,
  checkText,
  type OptionNames,
  shownValue,
} from '../../internal/validate.js';
import { completeLogger } from '../../log/given-logger.js';
import { type GivenLogger, normaliseLogOptions } from '../../log/options.js';
import { normaliseMainOptions } from '../../runtime/options.js';
import { runtime } from '../../runtime/runtime.js';
import type { SessionOptions } from '../../session/dependencies.js';
import type { ErrorHook, ExceptionPolicy } from '../../session/exception-policy.js';
import { checkMacros, type Macros } from '../wire/macros.js';
import { completeOffer, type Offer } from '../wire/negotiation.js';
import type { PeerAddress } from '../wire/peer-address.js';
import { CHUNK_SIZE } from '../wire/protocol.js';
import { StateTable } from './libmilter-states.js';
import { STEP_NUMBERS, type TestStep } from './steps.js';
import type { HeaderRules } from './test-message.js';

/** Macros by the step they are sent ahead of. */
export type MacrosByTestStep = Readonly<Partial<Record<TestStep, Macros>>>;

/** How a {@link TestCtx} simulates the MTA and libmilter. */
export interface TestCtxOptions extends Partial<Offer> {
  /** The protocol version that the MTA offers. Default: 6. */
  readonly version?: number;
  /** The rights it offers, a sum of `Actions`. Default: all that the version knows. */
  readonly actions?: number;
  /** The protocol bits it offers, a sum of `Protocol`. Default: all that the version knows. */
  readonly protocol?: number;
  /** Whether the MTA negotiates. Default: true. */
  readonly negotiate?: boolean;
  /** Macros sent ahead of each step. Default: none. */
  readonly macros?: MacrosByTestStep;
  /** Whether `macros` are reduced to those that the filter asked for with setsymlist. Default: true. */
  readonly honourSymlists?: boolean;
  /** The SMTP client's host name. Default: `localhost`. */
  readonly hostname?: string;
  /** The SMTP client's address. Default: 127.0.0.1, port 25000. */
  readonly hostaddr?: PeerAddress;
  /** The name that the client gives in HELO. Default: `localhost`. */
  readonly helo?: string;
  /** The filter's name, as runmilter gets it. Default: `milter`. */
  readonly name?: string;
  /** As runmilter's option, in milliseconds; 0 for no limit. Default: 300,000. */
  readonly handlerTimeout?: number;
  /** As runmilter's option, in milliseconds; 0 for none. Default: 5,000. */
  readonly progressInterval?: number;
  /** As runmilter's option. Default: false. */
  readonly immediate?: boolean;
  /** As for setExceptionPolicy. Default: what setExceptionPolicy was told last, TEMPFAIL at first. */
  readonly exceptionPolicy?: ExceptionPolicy;
  /** Called with errors in handlers, instead of writing them to stderr; `errors` has them in either case. */
  readonly errorHook?: ErrorHook;
  /** Gets what the filter logs, as runmilter's option. Default: nothing is logged. */
  readonly logger?: GivenLogger;
  /** Which MTA's way of changing headers `message.headers` follows. Default: `postfix`. */
  readonly headerRules?: HeaderRules;
  /** Bytes of body in a chunk. Default: 65,535, as MTAs do. */
  readonly chunkSize?: number;
  /** The largest message that `feedFile` and `feedMessage` accept, in bytes. Default: 256 MiB. */
  readonly maxMessageSize?: number;
  /** @internal The table of states that sessions of one process share. */
  readonly states?: StateTable;
}

/** The options with their defaults. */
export interface NormalisedTestCtxOptions {
  readonly offer: Offer;
  readonly negotiate: boolean;
  readonly macros: MacrosByTestStep;
  readonly honourSymlists: boolean;
  readonly hostname: string;
  readonly hostaddr: PeerAddress;
  readonly helo: string;
  readonly name: string;
  readonly session: SessionOptions;
  readonly exceptionPolicy: ExceptionPolicy;
  readonly errorHook: ErrorHook | null;
  readonly logger: Logger | null;
  readonly headerRules: HeaderRules;
  readonly chunkSize: number;
  readonly maxMessageSize: number;
  readonly states: StateTable;
}

const NAMES: OptionNames<TestCtxOptions> = {
  version: true,
  actions: true,
  protocol: true,
  negotiate: true,
  macros: true,
  honourSymlists: true,
  hostname: true,
  hostaddr: true,
  helo: true,
  name: true,
  handlerTimeout: true,
  progressInterval: true,
  immediate: true,
  exceptionPolicy: true,
  errorHook: true,
  logger: true,
  headerRules: true,
  chunkSize: true,
  maxMessageSize: true,
  states: true,
};

const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;

function checkSize(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw badArgument(`${name} must be a whole number from 1 on, not ${shownValue(value)}`);
}

function checkHeaderRules(rules: HeaderRules): HeaderRules {
  if (rules === 'postfix' || rules === 'sendmail') return rules;
  throw badArgument(`headerRules must be 'postfix' or 'sendmail', not ${shownValue(rules)}`);
}

/** Checks options and fills in the defaults. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function normaliseTestCtxOptions(options: TestCtxOptions): NormalisedTestCtxOptions {
  checkOptions('TestCtx', options, NAMES);
  const { handlerTimeout, progressInterval, immediate } = normaliseMainOptions(options);
  const { logger } = normaliseLogOptions(options.logger ? { logger: options.logger } : {});
  const { negotiate = true, honourSymlists = true, macros = {}, errorHook = null } = options;
  const { hostname = 'localhost', helo = 'localhost', name = 'milter' } = options;
  checkBooleans('', { negotiate, honourSymlists });
  for (const [option, value] of Object.entries({ hostname, helo, name })) checkText(option, value);
  checkMacros('TestCtx', macros, Object.keys(STEP_NUMBERS));
  if (errorHook !== null) checkFunction('errorHook', errorHook);
  return {
    offer: completeOffer(options),
    negotiate,
    macros: { ...macros },
    honourSymlists,
    hostname,
    hostaddr: options.hostaddr ?? { family: 'inet', address: '127.0.0.1', port: 25000 },
    helo,
    name,
    session: { handlerTimeout, progressInterval, immediate },
    exceptionPolicy: options.exceptionPolicy ?? runtime.exceptions.policy,
    errorHook,
    logger: logger ? completeLogger(logger) : null,
    headerRules: checkHeaderRules(options.headerRules ?? 'postfix'),
    chunkSize: checkSize('chunkSize', options.chunkSize ?? CHUNK_SIZE),
    maxMessageSize: checkSize('maxMessageSize', options.maxMessageSize ?? MAX_MESSAGE_BYTES),
    states: options.states ?? new StateTable(),
  };
}
