/** Finds methods whose names look like handlers' and are not: they would never be called. */

import { HANDLER_NAMES, type HandlerName } from '../addon/steps.js';
import { badArgument } from '../internal/errors.js';

type FilterClass = { readonly prototype: object } & object;

const HANDLERS: ReadonlySet<string> = new Set(HANDLER_NAMES);

/** What SMTP and other milter libraries call the steps, in lower case. */
const FOREIGN: ReadonlyMap<string, HandlerName> = new Map([
  ['ehlo', 'hello'],
  ['mail', 'envfrom'],
  ['mailfrom', 'envfrom'],
  ['rcpt', 'envrcpt'],
  ['rcptto', 'envrcpt'],
  ['headers', 'header'],
  ['endofheaders', 'eoh'],
  ['bodychunk', 'body'],
  ['endofbody', 'eom'],
  ['endofmessage', 'eom'],
]);

/** In lower case, without underscores between letters; underscores around a name are kept, for they make it private. */
const plain = (name: string): string => name.toLowerCase().replace(/(?<=[a-z])_(?=[a-z])/g, '');

function handlerNamed(name: string): HandlerName | undefined {
  if (name === 'helo') return 'hello'; // libmilter's name
  return HANDLERS.has(name) ? (name as HandlerName) : undefined;
}

/** The handler that a name of another library stands for: `mail`, `onConnect`, `xxfi_eom`. */
function foreignHandler(name: string): HandlerName | undefined {
  const bare = name.replace(/^(?:on|handle|xxfi)(?=[a-z])/, '');
  return FOREIGN.get(bare) ?? (bare === name ? undefined : handlerNamed(bare));
}

/** The names of a class's methods, including inherited ones but not Base's. No getter is called. */
function* methodsOf(target: FilterClass, base: FilterClass): Generator<string> {
  for (let at: object = target.prototype; at && at !== base.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === 'function') yield name;
    }
  }
}

/**
 * Refuses names that must be mistakes. Any other name is fine for a helper method:
 *
 * - `envFrom`, `env_from`, `helo`: where the class has no handler of that step
 * - `mail`, `onConnect`: where the class has no handler at all, since these are plausible names of helper methods
 *
 * @param handles whether the class has a handler of that name
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT
 */
export function checkMethodNames(
  target: FilterClass,
  base: FilterClass,
  handles: (handler: HandlerName) => boolean,
): void {
  const handlesAny = HANDLER_NAMES.some(handles);
  for (const name of methodsOf(target, base)) {
    if (HANDLERS.has(name)) continue;
    const meant = handlerNamed(plain(name)) ?? (handlesAny ? undefined : foreignHandler(plain(name)));
    if (meant === undefined || handles(meant)) continue;
    throw badArgument(
      `${(target as { name?: string }).name || 'the filter class'} has a method ${name}, which would never be called: ` +
        `the handler's name is ${meant}; if it is not meant as a handler, give it another name`,
    );
  }
}
