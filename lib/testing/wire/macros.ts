/** Macros: facts about the session that an MTA sends ahead of a step (SMFIC_MACRO). */
import { badArgument } from '../../internal/errors.js';
import { shownValue } from '../../internal/validate.js';
import { bytesOf, type Text } from './frames.js';
import { STEPS, type Step, type SymlistStage } from './protocol.js';

/** Macros by name. `i` and `{i}` name the same one; a longer name gets its braces if it has none. */
export type Macros = Readonly<Record<string, Text>>;

/** Macros by the step they are sent ahead of. */
export type MacrosByStep = Readonly<Partial<Record<Step, Macros>>>;

const NUL = Uint8Array.of(0);

/** A macro's name as MTAs write it: single letters bare, others in braces. */
export function wireName(name: string): string {
  return name.length === 1 || name.startsWith('{') ? name : `{${name}}`;
}

/**
 * Refuses macros of an unknown step: they would never be sent.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT
 */
export function checkMacros(
  where: string,
  bySteps: Readonly<Record<string, Macros | undefined>>,
  steps: readonly string[],
): void {
  const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject(bySteps))
    throw badArgument(`${where}: macros must be an object, such as { connect: { j: 'mx.example' } }`);
  for (const [step, macros] of Object.entries(bySteps)) {
    if (!steps.includes(step))
      throw badArgument(`${where}: macros: ${step} is not one of the steps ${steps.join(', ')}`);
    if (macros === undefined) continue;
    if (!isObject(macros))
      throw badArgument(`${where}: macros: ${step} must be an object, not ${shownValue(macros)}`);
    for (const [name, value] of Object.entries(macros)) {
      if (typeof value === 'string' || (value as unknown) instanceof Uint8Array) continue;
      throw badArgument(
        `${where}: macros: ${name} of ${step} must be a string or bytes, not ${shownValue(value)}`,
      );
    }
  }
}

/** Without braces, to compare names. */
function bareName(name: string): string {
  return name.startsWith('{') && name.endsWith('}') ? name.slice(1, -1) : name;
}

/** The payload of a macro frame: the command byte of the step, then name, value, name, value, ..., each ended by a NUL. */
export function encodeMacros(step: Step, macros: Macros): Buffer {
  const texts = Object.entries(macros).flatMap(([name, value]) => [wireName(name), value]);
  return Buffer.concat([
    Uint8Array.of(STEPS[step].command),
    ...texts.flatMap((text) => [bytesOf(text), NUL]),
  ]);
}

/** The macros that the filter asked for at this step; all of them if it did not name any for the step. */
export function restrictToSymlist(
  macros: Macros,
  step: Step,
  symlists: Readonly<Partial<Record<SymlistStage, readonly string[]>>>,
): Macros {
  const wanted = (symlists as Partial<Record<Step, readonly string[]>>)[step];
  if (wanted === undefined) return macros;
  const names = new Set(wanted.map(bareName));
  return Object.fromEntries(Object.entries(macros).filter(([name]) => names.has(bareName(name))));
}

/** The macros of `base`, and those of `over`, which take precedence. */
export function mergeMacros(base: MacrosByStep, over: MacrosByStep): MacrosByStep {
  const merged: Partial<Record<Step, Macros>> = { ...base };
  for (const [step, macros] of Object.entries(over) as [Step, Macros][]) {
    merged[step] = { ...merged[step], ...macros };
  }
  return merged;
}
