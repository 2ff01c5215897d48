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
import { checkBoolean, shownValue } from '../internal/validate.js';
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
  /** Steps whose handlers may be called: those above, of which an MTA may send some all the same. No others are called. */
  readonly callable: number;
  /** The protocol bits that the filter takes of what an MTA offers. */
  readonly protocol: number;
  readonly symlists: readonly (readonly [stage: number, macros: readonly string[]])[];
  readonly decode: { readonly [handler in HandlerName]?: DecodePolicy };
}

type FilterClass = { readonly prototype: object } & object;

/** The handlers whose steps cannot be negotiated away. */
const ALWAYS_CALLED: readonly [HandlerName, number][] = [
  ['eom', EOM],
  ['abort', ABORT],
  ['close', CLOSE],
];

/** The class whose own prototype defines a method, and the method. What is no function hides the method of a parent. */
function definitionOf(target: FilterClass, base: FilterClass, name: string): [FilterClass, object] | null {
  let at: object | null = target.prototype;
  while (at !== null && at !== base.prototype) {
    const property = Object.getOwnPropertyDescriptor(at, name);
    if (property) {
      const method: unknown = property.value;
      return typeof method === 'function' ? [at.constructor as unknown as FilterClass, method] : null;
    }
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

function checkNames(where: string, value: unknown, example: string): void {
  if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return;
  throw badArgument(`${where} must be an array of names, such as ['${example}'], not ${shownValue(value)}`);
}

function checkByMethod(where: string, value: unknown, example: string): void {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  throw badArgument(`${where} must be an object, such as ${example}, not ${shownValue(value)}`);
}

/** Refuses static fields that do not have the form of {@link StaticMetadata}. */
function checkForms(owner: string, statics: StaticMetadata): void {
  const where = (field: keyof StaticMetadata) => `static ${field} of ${owner}`;
  for (const field of ['nocallback', 'noreply', 'borrowed'] as const) {
    if (statics[field] !== undefined) checkNames(where(field), statics[field], 'body');
  }
  const { symlist, decode } = statics;
  if (decode !== undefined) checkByMethod(where('decode'), decode, "{ header: 'bytes' }");
  if (symlist !== undefined) checkByMethod(where('symlist'), symlist, "{ envfrom: ['i'] }");
  for (const [name, macros] of Object.entries(symlist ?? {}))
    checkNames(`${where('symlist')}: ${name}`, macros, 'i');
  for (const field of ['rejectedRecipients', 'headerLeadingSpace', 'immediate'] as const) {
    if (statics[field] !== undefined) checkBoolean(where(field), statics[field]);
  }
}

/** Refuses a static field of another form, and one that names a method which its class does not define. */
function checkStatics(target: FilterClass, statics: StaticMetadata): void {
  const owner = (target as { name?: string }).name ?? 'the class';
  checkForms(owner, statics);
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
        `a static field of ${owner} names ${name}, ` +
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
  for (const [handler, step] of ALWAYS_CALLED) if (readHandler(handler)) handled |= bitOf(step);

  const flags = readClassMetadata(target, base);
  if (flags.rejectedRecipients) protocol |= P_RCPT_REJ;
  if (flags.headerLeadingSpace) protocol |= P_HDR_LEADSPC;
  const macros = new Set(symlists.flatMap(([, names]) => names.map(macroName)));
  const immediate = flags.immediate ?? null;
  const callable = handled | nocallback;
  return { handled, noreply, nocallback, callable, protocol, symlists, macros, decode, borrowed, immediate };
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

/** Functions that call the method in whose place they are, with all that it is marked with. */
const wrappers = new WeakSet<object>();

/** Says that a property of an object only wraps the method of its class, and leaves that method's decorators in effect. */
export function keepDecorators(wrapper: object): void {
  wrappers.add(wrapper);
}

/**
 * The plan for one object, whose own properties take the place of the class's methods (arrow functions in class fields) and of all
 * that these are marked with. One that is no function is no handler.
 */
export function planForObject(filter: object, plan: Plan): Plan {
  let { handled, noreply, nocallback, protocol, symlists, borrowed } = plan;
  const decode = { ...plan.decode };
  let replaced = false;
  const replace = (handler: HandlerName, step: number, no: number, nr: number) => {
    const property = Object.getOwnPropertyDescriptor(filter, handler);
    if (!property) return;
    replaced = true;
    const isHandler = typeof property.value === 'function';
    handled = isHandler ? handled | bitOf(step) : handled & ~bitOf(step);
    protocol = isHandler ? protocol & ~no : protocol | no;
    nocallback &= ~bitOf(step);
    if (handler === 'body') borrowed = false;
    if (isHandler && wrappers.has(property.value)) return;
    protocol &= ~nr;
    noreply &= ~bitOf(step);
    symlists = symlists.filter(([stage]) => stage !== SYMLIST_STAGES.get(handler));
    delete decode[handler];
  };
  for (const { handler, step, no, nr } of NEGOTIABLE) replace(handler, step, no, nr);
  for (const [handler, step] of ALWAYS_CALLED) replace(handler, step, 0, 0);
  if (!replaced) return plan;
  const callable = handled | nocallback;
  return { ...plan, handled, noreply, nocallback, callable, protocol, symlists, decode, borrowed };
}
