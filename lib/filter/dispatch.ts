/** From libmilter's callbacks to the methods of a filter object: makes it, finds it, and enforces its decorators. */

import { types } from 'node:util';
import { CONTINUE, NOREPLY } from '../addon/constants.js';
import {
  ABORT,
  BODY,
  bitOf,
  CLOSE,
  CONNECT,
  DATA,
  ENVFROM,
  ENVRCPT,
  EOH,
  EOM,
  HEADER,
  HELO,
  NEGOTIABLE,
  STEP_NAMES,
  UNKNOWN,
} from '../addon/steps.js';
import { badArgument, MilterError } from '../internal/errors.js';
import { ownPromise } from '../internal/own-promise.js';
import { sharedPrototype } from '../internal/shared-instanceof.js';
import type { Callbacks } from '../session/callbacks.js';
import type { Context } from '../session/context.js';
import { AnyFilter } from './base.js';
import { type DecodePolicy, decodeAs } from './decode.js';
import type { Plan } from './plan.js';

/** A filter's class, or a function that makes a filter object for a session. */
export type Factory = (new () => AnyFilter) | (() => AnyFilter);

let factory: Factory | null = null;

/**
 * Sets the factory for the sessions to come, also while the filter runs.
 * @returns the old one
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for anything but a factory, and for a class with a decorator or a method name
 *   that must be a mistake: see docs/callbacks.md
 */
export function setFactory(next: Factory | null): Factory | null {
  if (next !== null) checkFactory(next);
  const old = factory;
  factory = next;
  return old;
}

/** Refuses what cannot be a factory, as far as that shows before the first session. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function checkFactory(factory: Factory): void {
  if (typeof factory !== 'function') {
    throw badArgument('the factory must be a class that extends Base, or a function');
  }
  if (isFilterClass(factory)) baseOf(factory.prototype).check(factory as typeof AnyFilter);
  else if (isClass(factory)) {
    throw badArgument(
      `the factory must be a class that extends Base: ${factory.name || 'this class'} does not`,
    );
  }
}

/** The factory now. */
export function currentFactory(): Factory | null {
  return factory;
}

/** Whether it is a class that extends Base, of this or another copy of the package. */
export const isFilterClass = (candidate: unknown): candidate is new () => AnyFilter =>
  typeof candidate === 'function' && candidate.prototype instanceof AnyFilter;

/** Whether it is written with the keyword `class`, and cannot be called without `new`. */
const isClass = (candidate: Factory): boolean =>
  Object.getOwnPropertyDescriptor(candidate, 'prototype')?.writable === false;

/** The Base that a filter extends: this one, or that of another copy of the package. */
const baseOf = (filter: object): typeof AnyFilter =>
  sharedPrototype(filter, 'Base').constructor as typeof AnyFilter;

/** Makes a filter object. @throws MilterError ERR_MILTER_BAD_ARGUMENT if the factory gives something else */
export function makeFilter(factory: Factory): AnyFilter {
  const filter: unknown = isFilterClass(factory) ? new factory() : factory();
  if (filter instanceof AnyFilter) return filter;
  // Nobody else waits for it, so that its rejection would end the process.
  if (types.isPromise(filter)) ownPromise(filter).catch(() => {});
  throw badArgument(
    `the factory must give an object of a class that extends Base${types.isPromise(filter) ? ', not a promise of one' : ''}`,
  );
}

const NR_OF = new Map(NEGOTIABLE.map(({ step, nr }) => [step, nr]));

function checkAnswer(context: Context, plan: Plan, step: number, answer: unknown): unknown {
  if (answer === CONTINUE) return answer; // the result of a promise
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

/** Enforces the method's decorators on its answer; most methods have none that restrict it. */
function enforceDecorators(context: Context, step: number, answer: unknown): unknown {
  if (answer === CONTINUE) return answer;
  const plan = context.plan as Plan;
  if (!((plan.nocallback | plan.noreply) & bitOf(step))) return answer;
  if (typeof (answer as PromiseLike<unknown> | null)?.then === 'function') {
    return ownPromise(answer as PromiseLike<unknown>).then((value) =>
      checkAnswer(context, plan, step, value),
    );
  }
  return checkAnswer(context, plan, step, answer);
}

/** The methods' policies; there is a plan wherever a filter object is. */
const decodeOf = (context: Context): Plan['decode'] => (context.plan as Plan).decode;

/**
 * The text as the method's @decode asks for; whether the method's types allow a Buffer is up to the filter. The policy is looked up
 * where the method is called: V8 takes several times as long for a property whose name differs from call to call.
 */
function decoded(policy: DecodePolicy | undefined, text: string): string {
  return policy === undefined ? text : (decodeAs(policy, text) as string);
}

function allDecoded(policy: DecodePolicy | undefined, texts: [string, ...string[]]): typeof texts {
  return policy === undefined ? texts : (texts.map((text) => decoded(policy, text)) as typeof texts);
}

/**
 * The callbacks that pass a session's events to its filter object.
 * @param getFactory called for each object, so that setFactory takes effect at once
 */
export function filterCallbacks(getFactory: () => Factory | null = currentFactory): Callbacks {
  const make = (context: Context): AnyFilter => {
    const factory = getFactory();
    if (!factory) throw badArgument('no factory: call setFactory or pass one to runmilter');
    const filter = makeFilter(factory);
    baseOf(filter).attach(filter, context);
    context.setpriv(filter);
    return filter;
  };
  /**
   * The session's object if it has a handler for the step. It is made here where the MTA reuses its connection, and
   * does not negotiate again.
   */
  const handlerOf = (context: Context, step: number): AnyFilter | null => {
    const filter = context.getpriv<AnyFilter | null>() ?? make(context);
    return ((context.plan as Plan).callable >> step) & 1 ? filter : null;
  };
  /** As handlerOf, but without making an object for the end of a session that has none. */
  const presentHandlerOf = (context: Context, step: number): AnyFilter | null =>
    context.getpriv() === null ? null : handlerOf(context, step);
  return {
    negotiate: (context, options) => make(context).negotiate(options),
    connect: (context, hostname, ...peer) => {
      const filter = handlerOf(context, CONNECT);
      if (!filter) return CONTINUE;
      return enforceDecorators(
        context,
        CONNECT,
        filter.connect(decoded(decodeOf(context).connect, hostname), ...peer),
      );
    },
    helo: (context, hostname) => {
      const filter = handlerOf(context, HELO);
      if (!filter) return CONTINUE;
      return enforceDecorators(context, HELO, filter.hello(decoded(decodeOf(context).hello, hostname)));
    },
    envfrom: (context, ...args) => {
      const filter = handlerOf(context, ENVFROM);
      if (!filter) return CONTINUE;
      return enforceDecorators(
        context,
        ENVFROM,
        filter.envfrom(...allDecoded(decodeOf(context).envfrom, args)),
      );
    },
    envrcpt: (context, ...args) => {
      const filter = handlerOf(context, ENVRCPT);
      if (!filter) return CONTINUE;
      return enforceDecorators(
        context,
        ENVRCPT,
        filter.envrcpt(...allDecoded(decodeOf(context).envrcpt, args)),
      );
    },
    data: (context) => {
      const filter = handlerOf(context, DATA);
      if (!filter) return CONTINUE;
      return enforceDecorators(context, DATA, filter.data());
    },
    header: (context, name, value) => {
      const filter = handlerOf(context, HEADER);
      if (!filter) return CONTINUE;
      return enforceDecorators(
        context,
        HEADER,
        filter.header(name, decoded(decodeOf(context).header, value)),
      );
    },
    eoh: (context) => {
      const filter = handlerOf(context, EOH);
      if (!filter) return CONTINUE;
      return enforceDecorators(context, EOH, filter.eoh());
    },
    body: (context, chunk) => {
      const filter = handlerOf(context, BODY);
      if (!filter) return CONTINUE;
      return enforceDecorators(context, BODY, filter.body(chunk));
    },
    eom: (context) => {
      const filter = handlerOf(context, EOM);
      return filter ? filter.eom() : CONTINUE;
    },
    unknown: (context, command) => {
      const filter = handlerOf(context, UNKNOWN);
      if (!filter) return CONTINUE;
      return enforceDecorators(context, UNKNOWN, filter.unknown(decoded(decodeOf(context).unknown, command)));
    },
    abort: (context) => presentHandlerOf(context, ABORT)?.abort(),
    close: (context) => presentHandlerOf(context, CLOSE)?.close(),
  };
}
