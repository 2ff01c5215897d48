/** The callbacks of the running filter, one per step, as libmilter's smfiDesc has them. */

import type { StepName } from '../addon/steps.js';
import type { Context } from './context.js';
import type { Peer } from './hostaddr.js';

/** The offer of the MTA in negotiate, changed in place to what the filter takes: actions, protocol, 0, 0. */
export type NegotiationOptions = [actions: number, protocol: number, f2: number, f3: number];

/** A callback's answer is checked at run time: whatever is not a status follows the exception policy. */
export interface CallbackTypes {
  negotiate: (context: Context, options: NegotiationOptions) => unknown;
  connect: (context: Context, hostname: string, ...peer: Peer) => unknown;
  helo: (context: Context, hostname: string) => unknown;
  envfrom: (context: Context, sender: string, ...params: string[]) => unknown;
  envrcpt: (context: Context, recipient: string, ...params: string[]) => unknown;
  data: (context: Context) => unknown;
  header: (context: Context, name: string, value: string) => unknown;
  eoh: (context: Context) => unknown;
  body: (context: Context, chunk: Buffer) => unknown;
  eom: (context: Context) => unknown;
  unknown: (context: Context, command: string) => unknown;
  abort: (context: Context) => unknown;
  close: (context: Context) => unknown;
}

/** The callbacks; null where the filter does not want the step. */
export type Callbacks = { [Step in StepName]: CallbackTypes[Step] | null };

/** A set of callbacks that wants nothing. */
export function noCallbacks(): Callbacks {
  return {
    negotiate: null,
    connect: null,
    helo: null,
    envfrom: null,
    envrcpt: null,
    data: null,
    header: null,
    eoh: null,
    body: null,
    eom: null,
    unknown: null,
    abort: null,
    close: null,
  };
}
