/** From libmilter's callbacks to the methods of a filter object: makes it, finds it, holds its marks against it. */

import { CONTINUE, NOREPLY } from '../addon/constants.js';
import {
  BODY,
  bitOf,
  CONNECT,
  DATA,
  ENVFROM,
  ENVRCPT,
  EOH,
  type HandlerName,
  HEADER,
  HELO,
  NEGOTIABLE,
  STEP_NAMES,
  UNKNOWN,
} from '../addon/steps.js';
import { badArgument, MilterError } from '../internal/errors.js';
import type { Callbacks } from '../session/callbacks.js';
import type { Context } from '../session/context.js';
import { Base } from './base.js';
import { decodeAs } from './decode.js';
import { type Plan, planOf } from './plan.js';

/** A filter's class, or a function that makes a filter object for a session. */
export type Factory = (new () => Base) | (() => Base);

let factory: Factory | null = null;

/**
 * Sets the factory for the sessions to come, also while the filter runs.
 * @returns the old one
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for what is no factory, and for a class with a mark or a method that can only be a
 *   slip: see docs/callbacks.md
 */
export function setFactory(next: Factory | null): Factory | null {
  if (next !== null) checkFactory(next);
  const old = factory;
  factory = next;
  return old;
}

/** What can be known of a factory before its first session. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function checkFactory(factory: Factory): void {
  if (typeof factory !== 'function') {
    throw badArgument('the factory must be a class that extends Base, or a function');
  }
  if (isClass(factory)) planOf(factory, Base);
  else if (isForeignClass(factory)) {
    throw badArgument(
      `the factory must be a class that extends Base: ${factory.name || 'this class'} does not, ` +
        'or extends the Base of another copy of the package',
    );
  }
}

/** The factory now. */
export function currentFactory(): Factory | null {
  return factory;
}

const isClass = (candidate: Factory): candidate is new () => Base =>
  candidate === Base || candidate.prototype instanceof Base;

/** A class that makes no filters: it cannot be called as a function, so that every session would fail. */
const isForeignClass = (candidate: Factory): boolean =>
  Object.getOwnPropertyDescriptor(candidate, 'prototype')?.writable === false;

/** A filter object of a factory's. @throws MilterError ERR_MILTER_BAD_ARGUMENT where it gives something else */
export function makeFilter(factory: Factory): Base {
  const filter = isClass(factory) ? new factory() : factory();
  if (!(filter instanceof Base)) {
    throw badArgument('the factory must give an object of a class that extends Base');
  }
  return filter;
}

const NR_OF = new Map(NEGOTIABLE.map(({ step, nr }) => [step, nr]));

function checkMarked(context: Context, plan: Plan, step: number, answer: unknown): unknown {
  if (answer === CONTINUE) return answer;
  const name = STEP_NAMES[step];
  if (plan.nocallback & bitOf(step)) {
    throw new MilterError(
      'ERR_MILTER_BAD_STATUS',
      `${name} is marked nocallback: it may answer CONTINUE only`,
    );
  }
  if (context.protocol & (NR_OF.get(step) ?? 0) && answer !== NOREPLY) {
    throw new MilterError('ERR_MILTER_BAD_STATUS', `${name} is marked noreply: it may answer CONTINUE only`);
  }
  return answer;
}

/** Holds an answer against what the method is marked with; nearly always there is nothing to do. */
function guard(context: Context, filter: Base, step: number, answer: unknown): unknown {
  const plan = Base.plan(filter);
  if (!((plan.nocallback | plan.noreply) & bitOf(step))) return answer;
  if (typeof (answer as PromiseLike<unknown> | null)?.then === 'function') {
    return Promise.resolve(answer).then((value) => checkMarked(context, plan, step, value));
  }
  return checkMarked(context, plan, step, answer);
}

/** The text as the method's @decode wants it; the types of the method are the filter's affair. */
function decoded(filter: Base, handler: HandlerName, text: string): string {
  const policy = Base.plan(filter).decode[handler];
  return policy ? (decodeAs(policy, text) as string) : text;
}

/**
 * The callbacks that bring a session's events before its filter object.
 * @param chosen the factory; asked anew for each object, so that setFactory takes effect at once
 */
export function filterCallbacks(chosen: () => Factory | null = currentFactory): Callbacks {
  const make = (context: Context): Base => {
    const factory = chosen();
    if (!factory) throw badArgument('no factory: call setFactory or pass one to runmilter');
    const filter = makeFilter(factory);
    Base.attach(filter, context);
    context.setpriv(filter);
    return filter;
  };
  /** The session's object, made here where the MTA reuses its connection and does not negotiate again. */
  const filterOf = (context: Context): Base => context.getpriv<Base | null>() ?? make(context);
  return {
    negotiate: (context, options) => make(context).negotiate(options),
    connect: (context, hostname, ...peer) => {
      const filter = filterOf(context);
      return guard(context, filter, CONNECT, filter.connect(decoded(filter, 'connect', hostname), ...peer));
    },
    helo: (context, hostname) => {
      const filter = filterOf(context);
      return guard(context, filter, HELO, filter.hello(decoded(filter, 'hello', hostname)));
    },
    envfrom: (context, ...args) => {
      const filter = filterOf(context);
      const [sender, ...params] = args.map((arg) => decoded(filter, 'envfrom', arg));
      return guard(context, filter, ENVFROM, filter.envfrom(sender as string, ...params));
    },
    envrcpt: (context, ...args) => {
      const filter = filterOf(context);
      const [recipient, ...params] = args.map((arg) => decoded(filter, 'envrcpt', arg));
      return guard(context, filter, ENVRCPT, filter.envrcpt(recipient as string, ...params));
    },
    data: (context) => {
      const filter = filterOf(context);
      return guard(context, filter, DATA, filter.data());
    },
    header: (context, name, value) => {
      const filter = filterOf(context);
      return guard(context, filter, HEADER, filter.header(name, decoded(filter, 'header', value)));
    },
    eoh: (context) => {
      const filter = filterOf(context);
      return guard(context, filter, EOH, filter.eoh());
    },
    body: (context, chunk) => {
      const filter = filterOf(context);
      return guard(context, filter, BODY, filter.body(chunk));
    },
    eom: (context) => filterOf(context).eom(),
    unknown: (context, command) => {
      const filter = filterOf(context);
      return guard(context, filter, UNKNOWN, filter.unknown(decoded(filter, 'unknown', command)));
    },
    abort: (context) => context.getpriv<Base | null>()?.abort() ?? CONTINUE,
    close: (context) => context.getpriv<Base | null>()?.close() ?? CONTINUE,
  };
}
