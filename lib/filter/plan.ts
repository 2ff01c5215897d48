/**
 * What a filter class wants of the MTA: the steps that it handles, those without a reply, their macros, how their text is
 * decoded. It is read once per class from its methods, decorators and static fields; a subclass has a plan of its own.
 */
import { P_HDR_LEADSPC, P_RCPT_REJ, P_SKIP } from '../addon/constants.js';
import {
  ABORT,
  bitOf,
  CLOSE,
  EOM,
  type HandlerName,
  NEGOTIABLE,
  type NegotiableStep,
  SYMLIST_STAGES,
} from '../addon/steps.js';
import { badArgument } from '../internal/errors.js';
import type { SessionPlan } from '../session/context.js';
import { macroName } from '../session/kept-macros.js';
import type { DecodePolicy } from './decode.js';
import {
  type ClassMetadata,
  classMetadata,
  type MethodMetadata,
  metadata,
  methodMetadata,
} from './decorators.js';
import { checkMethodNames } from './method-names.js';

/** The static fields that take the place of decorators. */
export interface StaticMetadata extends ClassMetadata {
  readonly nocallback?: readonly string[];
  readonly noreply?: readonly string[];
  readonly borrowed?: readonly string[];
  readonly symlist?: Readonly<Record<string, readonly string[]>>;
  readonly decode?: Readonly<Record<string, DecodePolicy>>;
}

/** What a class wants. Sets of steps are bits by step number. */
export interface Plan extends SessionPlan {
  /** Steps that are marked noreply. */
  readonly noreply: number;
  /** Steps that are marked nocallback. */
  readonly nocallback: number;
  /** The protocol bits that the filter takes of what an MTA offers. */
  readonly protocol: number;
  readonly symlists: readonly (readonly [stage: number, macros: readonly string[]])[];
  readonly decode: { readonly [handler in HandlerName]?: DecodePolicy };
}

type FilterClass = { readonly prototype: object } & object;

const ENDS: readonly [HandlerName, number][] = [
  ['eom', EOM],
  ['abort', ABORT],
  ['close', CLOSE],
];

/** The class whose own prototype defines a method, and the method. */
function definitionOf(target: FilterClass, base: FilterClass, name: string): [FilterClass, object] | null {
  let at: object | null = target.prototype;
  while (at !== null && at !== base.prototype) {
    const method: unknown = Object.getOwnPropertyDescriptor(at, name)?.value;
    if (typeof method === 'function') return [at.constructor as unknown as FilterClass, method];
    at = Object.getPrototypeOf(at);
  }
  return null;
}

/** The static fields of this very class. */
function staticsOf(target: FilterClass): StaticMetadata {
  const own = (name: keyof StaticMetadata) =>
    Object.hasOwn(target, name) ? (target as StaticMetadata)[name] : undefined;
  const found: Record<string, unknown> = {};
  for (const name of [
    'nocallback',
    'noreply',
    'borrowed',
    'symlist',
    'decode',
    'rejectedRecipients',
    'headerLeadingSpace',
    'immediate',
  ] as const) {
    const value = own(name);
    if (value !== undefined) found[name] = value;
  }
  return found as StaticMetadata;
}

/** Refuses a static field that names a method which its class does not define. */
function checkStatics(target: FilterClass, statics: StaticMetadata): void {
  const named = [
    ...(statics.nocallback ?? []).map((name) => [name, metadata.nocallback(name)]),
    ...(statics.noreply ?? []).map((name) => [name, metadata.noreply(name)]),
    ...(statics.borrowed ?? []).map((name) => [name, metadata.borrowed(name)]),
    ...Object.entries(statics.symlist ?? {}).map(([name, list]) => [name, metadata.symlist(name, list)]),
    ...Object.entries(statics.decode ?? {}).map(([name, policy]) => [name, metadata.decode(name, policy)]),
  ] as [string, MethodMetadata][];
  for (const [name] of named) {
    if (!Object.hasOwn(target.prototype, name)) {
      throw badArgument(
        `a static field of ${(target as { name?: string }).name ?? 'the class'} names ${name}, ` +
          'which this class does not define: write it in the class that defines the method',
      );
    }
  }
}

function readMethodMetadata(definition: [FilterClass, object], name: string): MethodMetadata {
  const [owner, method] = definition;
  const statics = staticsOf(owner);
  return {
    ...methodMetadata(method),
    ...(statics.nocallback?.includes(name) ? metadata.nocallback(name) : {}),
    ...(statics.noreply?.includes(name) ? metadata.noreply(name) : {}),
    ...(statics.borrowed?.includes(name) ? metadata.borrowed(name) : {}),
    ...(statics.symlist?.[name] ? metadata.symlist(name, statics.symlist[name]) : {}),
    ...(statics.decode?.[name] ? metadata.decode(name, statics.decode[name]) : {}),
  };
}

function readClassMetadata(target: FilterClass, base: FilterClass): ClassMetadata {
  if (target === base || target === null) return {};
  const parent = Object.getPrototypeOf(target) as FilterClass;
  const { rejectedRecipients, headerLeadingSpace, immediate } = staticsOf(target);
  const own = { rejectedRecipients, headerLeadingSpace, immediate };
  return {
    ...readClassMetadata(parent, base),
    ...classMetadata(target),
    ...(Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)) as ClassMetadata),
  };
}

function makePlan(target: FilterClass, base: FilterClass): Plan {
  for (let at = target; at !== base && at !== null; at = Object.getPrototypeOf(at))
    checkStatics(at, staticsOf(at));
  checkMethodNames(target, base, (handler) => definitionOf(target, base, handler) !== null);
  let handled = 0;
  let noreply = 0;
  let nocallback = 0;
  let protocol = P_SKIP;
  let borrowed = false;
  const symlists: [number, readonly string[]][] = [];
  const decode: { [handler in HandlerName]?: DecodePolicy } = {};

  const readHandler = (handler: HandlerName): MethodMetadata | null => {
    const definition = definitionOf(target, base, handler);
    if (!definition) return null;
    const found = readMethodMetadata(definition, handler);
    const stage = SYMLIST_STAGES.get(handler);
    if (found.symlist && stage !== undefined) symlists.push([stage, found.symlist]);
    if (found.decode) decode[handler] = found.decode;
    return found;
  };
  const plan = ({ step, handler, no, nr }: NegotiableStep) => {
    const found = readHandler(handler);
    if (found && !found.nocallback) handled |= bitOf(step);
    else protocol |= no;
    if (found?.nocallback) nocallback |= bitOf(step);
    if (found?.borrowed) borrowed = true;
    if (found?.noreply) {
      noreply |= bitOf(step);
      protocol |= nr;
    }
  };
  NEGOTIABLE.forEach(plan);
  for (const [handler, step] of ENDS) if (readHandler(handler)) handled |= bitOf(step);

  const flags = readClassMetadata(target, base);
  if (flags.rejectedRecipients) protocol |= P_RCPT_REJ;
  if (flags.headerLeadingSpace) protocol |= P_HDR_LEADSPC;
  const macros = new Set(symlists.flatMap(([, names]) => names.map(macroName)));
  const immediate = flags.immediate ?? null;
  return { handled, noreply, nocallback, protocol, symlists, macros, decode, borrowed, immediate };
}

const plans = new WeakMap<object, Plan>();

/**
 * The plan of a class that extends `base`.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for static fields without effect, and methods that only look like handlers
 */
export function planOf(target: FilterClass, base: FilterClass): Plan {
  let plan = plans.get(target);
  if (!plan) {
    plan = makePlan(target, base);
    plans.set(target, plan);
  }
  return plan;
}

/** The plan for one object, which may have handlers of its own (arrow functions in class fields). */
export function planForObject(filter: object, plan: Plan): Plan {
  let { handled, protocol, nocallback } = plan;
  const owns = (handler: string) =>
    typeof Object.getOwnPropertyDescriptor(filter, handler)?.value === 'function';
  for (const { step, handler, no } of NEGOTIABLE) {
    if (!owns(handler)) continue;
    handled |= bitOf(step);
    nocallback &= ~bitOf(step);
    protocol &= ~no;
  }
  for (const [handler, step] of ENDS) if (owns(handler)) handled |= bitOf(step);
  const borrowed = plan.borrowed && !owns('body');
  if (handled === plan.handled && borrowed === plan.borrowed) return plan;
  return { ...plan, handled, protocol, nocallback, borrowed };
}
