/** From an event, as the native side delivers it, to the callback of its step. */

import { CONTINUE } from '../addon/constants.js';
import type { Events } from '../addon/events.js';
import {
  ABORT,
  BODY,
  CONNECT,
  DATA,
  ENVFROM,
  ENVRCPT,
  EOH,
  EOM,
  HEADER,
  HELO,
  type StepName,
  UNKNOWN,
} from '../addon/steps.js';
import type { Callbacks } from './callbacks.js';
import type { Context } from './context.js';
import { peerOf } from './hostaddr.js';

type ConnectArguments = [
  family: number,
  port: number,
  flowinfo: number,
  scopeid: number,
  hostname: string,
  address: string | undefined,
];

/** A callback of any step: the native side delivers the arguments that native/protocol.json has for it. */
type AnyCallback = (context: Context, ...args: unknown[]) => unknown;

/**
 * Calls the callback of a step of SMTP, and returns its answer; CONTINUE where there is none.
 * @param at where the event's arguments begin in `events`
 * @param count how many arguments it has
 */
export function callHandler(
  callbacks: Callbacks,
  context: Context,
  step: number,
  events: Events,
  at: number,
  count: number,
): unknown {
  if (step === CONNECT)
    return callConnect(callbacks, context, events.slice(at, at + count) as ConnectArguments);
  const callback = callbackOf(callbacks, step) as AnyCallback | null;
  if (!callback) return CONTINUE;
  // A message has many headers and pieces of body. Spreading an array for each of them would cost too much.
  if (count === 0) return callback(context);
  if (count === 1) return callback(context, events[at]);
  if (count === 2) return callback(context, events[at], events[at + 1]);
  return callback(context, ...events.slice(at, at + count));
}

/** A property whose name differs from call to call takes V8 several times as long as one that stands here. */
function callbackOf(callbacks: Callbacks, step: number): Callbacks[StepName] {
  switch (step) {
    case HEADER:
      return callbacks.header;
    case BODY:
      return callbacks.body;
    case HELO:
      return callbacks.helo;
    case ENVFROM:
      return callbacks.envfrom;
    case ENVRCPT:
      return callbacks.envrcpt;
    case DATA:
      return callbacks.data;
    case EOH:
      return callbacks.eoh;
    case EOM:
      return callbacks.eom;
    case UNKNOWN:
      return callbacks.unknown;
    case ABORT:
      return callbacks.abort;
    default:
      return null;
  }
}

function callConnect(callbacks: Callbacks, context: Context, args: ConnectArguments): unknown {
  if (!callbacks.connect) return CONTINUE;
  const [family, port, flowinfo, scopeid, hostname, address] = args;
  return callbacks.connect(context, hostname, ...peerOf(family, port, flowinfo, scopeid, address));
}
