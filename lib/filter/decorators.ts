/**
 * Decorators (standard ECMAScript ones) that say how a filter's handlers are called. They mark the method as they find
 * it: of several decorators, write them first, outside of those that wrap it.
 *
 * Without a compiler, the same is said in static fields of the class, for the methods that this very class defines:
 *
 *     class Filter extends Milter.Base {
 *       static noreply = ['header'];            // also: nocallback
 *       static symlist = { envfrom: ['i', '{auth_authen}'] };
 *       static decode = { header: 'bytes' };
 *       static rejectedRecipients = true;       // also: headerLeadingSpace, immediate
 *     }
 */

import { type HandlerName, NEGOTIABLE, SYMLIST_STAGES } from '../addon/steps.js';
import { badArgument, MilterError } from '../internal/errors.js';
import { DECODE_POLICIES, type DecodePolicy } from './decode.js';

/** What the decorators have said about a method. */
export interface MethodMarks {
  nocallback?: boolean;
  noreply?: boolean;
  symlist?: readonly string[];
  decode?: DecodePolicy;
}

/** What the decorators have said about a class; subclasses inherit it. */
export interface ClassMarks {
  rejectedRecipients?: boolean;
  headerLeadingSpace?: boolean;
  immediate?: boolean;
}

/** What {@link noreply} and its kin are, or give: a standard decorator of a method. */
export type MethodDecorator = (
  method: (...args: never[]) => unknown,
  context: ClassMethodDecoratorContext,
) => void;
/** What {@link immediate} and its kin are: a standard decorator of a class. */
export type ClassDecorator = (
  // biome-ignore lint/suspicious/noExplicitAny: it takes any constructor
  target: abstract new (...args: any[]) => unknown,
  context: ClassDecoratorContext,
) => void;

const methodMarks = new WeakMap<object, MethodMarks>();
const classMarks = new WeakMap<object, ClassMarks>();

/** Handlers that an MTA can be told not to call, or not to wait for. */
export const NEGOTIABLE_HANDLERS: ReadonlySet<string> = new Set(NEGOTIABLE.map(({ handler }) => handler));
const SYMLIST_HANDLERS: ReadonlySet<string> = new Set(SYMLIST_STAGES.keys());
const DECODED_HANDLERS: ReadonlySet<string> = new Set<HandlerName>([
  'connect',
  'hello',
  'envfrom',
  'envrcpt',
  'header',
  'unknown',
]);

/** @throws MilterError ERR_MILTER_BAD_ARGUMENT where `mark` means nothing on `method` */
function checkMark(mark: string, method: string | symbol, allowed: ReadonlySet<string>): void {
  if (typeof method === 'string' && allowed.has(method)) return;
  throw badArgument(`${mark} may mark ${[...allowed].join(', ')}, not ${String(method)}`);
}

/** @internal What has been marked on a method. */
export function marksOfMethod(method: object): MethodMarks {
  return methodMarks.get(method) ?? {};
}

/** @internal What has been marked on this very class. */
export function marksOfClass(target: object): ClassMarks {
  return classMarks.get(target) ?? {};
}

/** Checks marks and returns them; decorators and static fields alike. */
export const marks = {
  nocallback(method: string | symbol): MethodMarks {
    checkMark('nocallback', method, NEGOTIABLE_HANDLERS);
    return { nocallback: true };
  },
  noreply(method: string | symbol): MethodMarks {
    checkMark('noreply', method, NEGOTIABLE_HANDLERS);
    return { noreply: true };
  },
  symlist(method: string | symbol, macros: readonly string[]): MethodMarks {
    checkMark('symlist', method, SYMLIST_HANDLERS);
    const names = macros.flatMap((macro) => macro.split(/\s+/)).filter(Boolean);
    if (names.length > 5) {
      throw new MilterError('ERR_MILTER_BAD_SYMLIST', `symlist on ${String(method)}: at most 5 macros`);
    }
    return { symlist: names };
  },
  decode(method: string | symbol, policy: DecodePolicy): MethodMarks {
    checkMark('decode', method, DECODED_HANDLERS);
    if (!DECODE_POLICIES.includes(policy)) {
      throw badArgument(`decode takes ${DECODE_POLICIES.join(', ')}, not ${policy}`);
    }
    return { decode: policy };
  },
};

function markMethod(method: object, more: MethodMarks): void {
  methodMarks.set(method, { ...methodMarks.get(method), ...more });
}

function markClass(more: ClassMarks): ClassDecorator {
  return (target) => {
    classMarks.set(target, { ...classMarks.get(target), ...more });
  };
}

/**
 * The MTA does not call this handler: it is negotiated away, as one that is not overridden. Where the MTA calls it all
 * the same, it must answer CONTINUE. connect, hello, envfrom, envrcpt, data, header, eoh, body, unknown.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT on another method
 */
export const nocallback: MethodDecorator = (method, context) => {
  markMethod(method, marks.nocallback(context.name));
};

/**
 * The MTA does not wait for this handler's answer, which must be CONTINUE where that was negotiated. On the handlers
 * that {@link nocallback} may mark.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT on another method
 */
export const noreply: MethodDecorator = (method, context) => {
  markMethod(method, marks.noreply(context.name));
};

/**
 * The macros the MTA shall send before this handler is called, at most 5: connect, hello, envfrom, envrcpt, data, eoh,
 * eom. They replace the MTA's own list for the stage.
 * @throws MilterError ERR_MILTER_BAD_SYMLIST for more, ERR_MILTER_BAD_ARGUMENT on another method
 */
export function symlist(...macros: string[]): MethodDecorator {
  return (method, context) => markMethod(method, marks.symlist(context.name, macros));
}

/**
 * How this handler's text is decoded: see {@link DecodePolicy}. connect, hello, envfrom, envrcpt, header (its value),
 * unknown. Declare the parameter as `string | Buffer` for `bytes` and `strict`.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT on another method or for another policy
 */
export function decode(policy: DecodePolicy): MethodDecorator {
  return (method, context) => markMethod(method, marks.decode(context.name, policy));
}

/** The filter also wants the recipients that the MTA has rejected itself (SMFIP_RCPT_REJ). */
export const rejectedRecipients: ClassDecorator = markClass({ rejectedRecipients: true });

/** Header values come, and must be sent, with their leading space (SMFIP_HDR_LEADSPC). */
export const headerLeadingSpace: ClassDecorator = markClass({ headerLeadingSpace: true });

/** header, eoh and body are answered one by one, as the option `immediate` of runmilter does for all classes. */
export const immediate: ClassDecorator = markClass({ immediate: true });
