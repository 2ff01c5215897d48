/** The callbacks of a filter, one per step, as in libmilter's smfiDesc. */

import type { StepName } from '../addon/steps.js';
import type { Context } from './context.js';
import type { Peer } from './hostaddr.js';

/** What the MTA offers in negotiate, to be changed in place to what the filter takes: actions, protocol, 0, 0. */
export type NegotiationOptions = [actions: number, protocol: number, f2: number, f3: number];

/** A callback's answer is checked at run time: the exception policy answers in place of one that is not a status. */
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

/** The callbacks; null for steps that the filter does not want. */
export type Callbacks = { [Step in StepName]: CallbackTypes[Step] | null };

/** A set without any callback. */
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
