/**
 * Decorators (standard ECMAScript ones) that say how a filter's handlers are called. They apply to the method as they find
 * it: write them before decorators that wrap the method, so that they are applied to the wrapper.
 *
 * Without a compiler, static fields of the class say the same about the methods that this very class defines:
 *
 *     class Filter extends Milter.Base {
 *       static noreply = ['header'];            // also: nocallback; for body: borrowed
 *       static symlist = { envfrom: ['i', '{auth_authen}'] };
 *       static decode = { header: 'bytes' };
 *       static rejectedRecipients = true;       // also: headerLeadingSpace, immediate
 *     }
 */

import { type HandlerName, NEGOTIABLE, SYMLIST_STAGES } from '../addon/steps.js';
import { badArgument, MilterError } from '../internal/errors.js';
import { checkField } from '../internal/wire-text.js';
import { DECODE_POLICIES, type DecodePolicy } from './decode.js';

/** What decorators say about a method. */
export interface MethodMetadata {
  nocallback?: boolean;
  noreply?: boolean;
  borrowed?: boolean;
  symlist?: readonly string[];
  decode?: DecodePolicy;
}

/** What decorators say about a class; subclasses inherit it. */
export interface ClassMetadata {
  rejectedRecipients?: boolean;
  headerLeadingSpace?: boolean;
  immediate?: boolean;
}

/** A standard decorator of a method: what {@link noreply} and {@link nocallback} are, {@link symlist} and {@link decode} return. */
export type MethodDecorator = (
  method: (...args: never[]) => unknown,
  context: ClassMethodDecoratorContext,
) => void;
/** A standard decorator of a class, as {@link immediate} is. */
export type ClassDecorator = (
  // biome-ignore lint/suspicious/noExplicitAny: it takes any constructor
  target: abstract new (...args: any[]) => unknown,
  context: ClassDecoratorContext,
) => void;

const methods = new WeakMap<object, MethodMetadata>();
const classes = new WeakMap<object, ClassMetadata>();

/** Handlers that an MTA can be told not to call, or not to wait for. */
export const NEGOTIABLE_HANDLERS: ReadonlySet<string> = new Set(NEGOTIABLE.map(({ handler }) => handler));
const BORROWING_HANDLERS: ReadonlySet<string> = new Set<HandlerName>(['body']);
const SYMLIST_HANDLERS: ReadonlySet<string> = new Set(SYMLIST_STAGES.keys());
const DECODED_HANDLERS: ReadonlySet<string> = new Set<HandlerName>([
  'connect',
  'hello',
  'envfrom',
  'envrcpt',
  'header',
  'unknown',
]);

/** @throws MilterError ERR_MILTER_BAD_ARGUMENT if a decorator has no effect on that method */
function checkMethod(decorator: string, method: string | symbol, allowed: ReadonlySet<string>): void {
  if (typeof method === 'string' && allowed.has(method)) return;
  throw badArgument(`${decorator} is for ${[...allowed].join(', ')}, not for ${String(method)}`);
}

/** @internal What the decorators of a method say. */
export function methodMetadata(method: object): MethodMetadata {
  return methods.get(method) ?? {};
}

/** @internal What the decorators of this very class say. */
export function classMetadata(target: object): ClassMetadata {
  return classes.get(target) ?? {};
}

/** Checks what a decorator, or the static field in its place, says about a method, and returns it. */
export const metadata = {
  nocallback(method: string | symbol): MethodMetadata {
    checkMethod('nocallback', method, NEGOTIABLE_HANDLERS);
    return { nocallback: true };
  },
  noreply(method: string | symbol): MethodMetadata {
    checkMethod('noreply', method, NEGOTIABLE_HANDLERS);
    return { noreply: true };
  },
  borrowed(method: string | symbol): MethodMetadata {
    checkMethod('borrowed', method, BORROWING_HANDLERS);
    return { borrowed: true };
  },
  symlist(method: string | symbol, macros: readonly string[]): MethodMetadata {
    checkMethod('symlist', method, SYMLIST_HANDLERS);
    for (const macro of macros) checkField(`symlist on ${String(method)}`, 'macro', macro);
    // As setsymlist does.
    const names = macros.flatMap((macro) => macro.split(/[\s,]+/)).filter(Boolean);
    if (names.length > 5) {
      throw new MilterError(
        'ERR_MILTER_BAD_SYMLIST',
        `symlist on ${String(method)}: at most 5 macros, not ${names.length}`,
      );
    }
    return { symlist: names };
  },
  decode(method: string | symbol, policy: DecodePolicy): MethodMetadata {
    checkMethod('decode', method, DECODED_HANDLERS);
    if (!DECODE_POLICIES.includes(policy)) {
      throw badArgument(`decode takes ${DECODE_POLICIES.join(', ')}, not ${policy}`);
    }
    return { decode: policy };
  },
};

function addMethodMetadata(method: object, more: MethodMetadata): void {
  methods.set(method, { ...methods.get(method), ...more });
}

function classDecorator(more: ClassMetadata): ClassDecorator {
  return (target) => {
    classes.set(target, { ...classes.get(target), ...more });
  };
}

/**
 * The MTA is told not to send this handler's step, as for a handler that is not overridden. An MTA that cannot leave the step
 * out sends it anyway; the handler must answer CONTINUE then. For connect, hello, envfrom, envrcpt, data, header, eoh,
 * body, unknown.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT on another method
 */
export const nocallback: MethodDecorator = (method, context) => {
  addMethodMetadata(method, metadata.nocallback(context.name));
};

/**
 * The MTA does not wait for this handler's answer, which must be CONTINUE where that was negotiated. For the same handlers
 * as {@link nocallback}.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT on another method
 */
export const noreply: MethodDecorator = (method, context) => {
  addMethodMetadata(method, metadata.noreply(context.name));
};

/**
 * The handler `body` only borrows its chunks: it does not use them after it has answered, that is, after it has returned or the
 * promise that it has returned has settled. Later chunks of the same message are then written over them, which makes long bodies
 * faster. What is to be kept must be copied (`Buffer.from(chunk)`), and whatever reads a chunk asynchronously, such as a write to
 * a stream or file, must be awaited. For body; a subclass that overrides it has to say so itself.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT on another method
 */
export const borrowed: MethodDecorator = (method, context) => {
  addMethodMetadata(method, metadata.borrowed(context.name));
};

/**
 * The macros that the MTA shall send before this handler is called, at most 5; several names may stand in one string, separated by
 * white space or commas. They replace the MTA's own list for the stage. For connect, hello, envfrom, envrcpt, data, eoh, eom.
 * @throws MilterError ERR_MILTER_BAD_SYMLIST for more, ERR_MILTER_BAD_ARGUMENT on another method, or for what cannot be a name
 */
export function symlist(...macros: string[]): MethodDecorator {
  return (method, context) => addMethodMetadata(method, metadata.symlist(context.name, macros));
}

/**
 * How this handler's text is decoded: see {@link DecodePolicy}. For connect, hello, envfrom, envrcpt, header (its value),
 * unknown. Declare the parameter as `string | Buffer` for `bytes` and `strict`.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT on another method or for another policy
 */
export function decode(policy: DecodePolicy): MethodDecorator {
  return (method, context) => addMethodMetadata(method, metadata.decode(context.name, policy));
}

/** The filter also gets the recipients that the MTA itself rejects (SMFIP_RCPT_REJ). */
export const rejectedRecipients: ClassDecorator = classDecorator({ rejectedRecipients: true });

/** Header values arrive, and must be sent, with their leading space (SMFIP_HDR_LEADSPC). */
export const headerLeadingSpace: ClassDecorator = classDecorator({ headerLeadingSpace: true });

/** header, eoh and body are answered one by one, as with the option `immediate` of runmilter, which is for all classes. */
export const immediate: ClassDecorator = classDecorator({ immediate: true });
