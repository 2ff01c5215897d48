/** From an event, as the native side delivers it, to the callback of its step. */

import { CONTINUE } from '../addon/constants.js';
import type { Events } from '../addon/native.js';
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
  switch (step) {
    case CONNECT: {
      if (!callbacks.connect) return CONTINUE;
      const [family, port, flowinfo, scopeid, hostname, address] = events.slice(
        at,
        at + count,
      ) as ConnectArguments;
      return callbacks.connect(context, hostname, ...peerOf(family, port, flowinfo, scopeid, address));
    }
    case HELO:
      return callbacks.helo ? callbacks.helo(context, events[at] as string) : CONTINUE;
    case ENVFROM:
      return callbacks.envfrom
        ? callbacks.envfrom(context, ...(events.slice(at, at + count) as [string, ...string[]]))
        : CONTINUE;
    case ENVRCPT:
      return callbacks.envrcpt
        ? callbacks.envrcpt(context, ...(events.slice(at, at + count) as [string, ...string[]]))
        : CONTINUE;
    case DATA:
      return callbacks.data ? callbacks.data(context) : CONTINUE;
    case HEADER:
      return callbacks.header
        ? callbacks.header(context, events[at] as string, events[at + 1] as string)
        : CONTINUE;
    case EOH:
      return callbacks.eoh ? callbacks.eoh(context) : CONTINUE;
    case BODY:
      return callbacks.body ? callbacks.body(context, events[at] as Buffer) : CONTINUE;
    case EOM:
      return callbacks.eom ? callbacks.eom(context) : CONTINUE;
    case UNKNOWN:
      return callbacks.unknown ? callbacks.unknown(context, events[at] as string) : CONTINUE;
    case ABORT:
      return callbacks.abort ? callbacks.abort(context) : CONTINUE;
    default:
      throw new Error(`unknown step: ${step}`);
  }
}
