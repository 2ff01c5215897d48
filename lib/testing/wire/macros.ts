/** Macros: facts about the session that an MTA sends ahead of a step (SMFIC_MACRO). */
import type { Text } from './frames.js';
import { STEPS, type Step, type SymlistStage } from './protocol.js';

/** Macros by name. `i` and `{i}` name the same one; a longer name gets its braces if it has none. */
export type Macros = Readonly<Record<string, Text>>;

/** Macros by the step they are sent ahead of. */
export type MacrosByStep = Readonly<Partial<Record<Step, Macros>>>;

/** A macro's name as MTAs write it: single letters bare, others in braces. */
export function wireName(name: string): string {
  return name.length === 1 || name.startsWith('{') ? name : `{${name}}`;
}

/** Without braces, to compare names. */
function bareName(name: string): string {
  return name.startsWith('{') && name.endsWith('}') ? name.slice(1, -1) : name;
}

/** The payload's parts for a macro frame, after the byte of the step: name, value, name, value, ... */
export function macroParts(macros: Macros): Text[] {
  const parts: Text[] = [];
  for (const [name, value] of Object.entries(macros)) parts.push(wireName(name), value);
  return parts;
}

/** Those macros that the filter asked for at this step; all of them where it did not speak of the step. */
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

/** The byte that tells which step a macro frame belongs to. */
export function stepByte(step: Step): Uint8Array {
  return Uint8Array.of(STEPS[step].command);
}
