/** Levels of authentication for which an entry of a list holds. */
import { badArgument } from '../internal/errors.js';

/** Results of SPF, DKIM or DMARC (RFC 8601 2.7), by which the same name can be judged differently. */
export const AUTH_LEVELS = [
  'pass',
  'fail',
  'softfail',
  'neutral',
  'none',
  'policy',
  'temperror',
  'permerror',
] as const;

/** How a name was authenticated. */
export type AuthLevel = (typeof AUTH_LEVELS)[number];

/** A set of levels: bit n stands for `AUTH_LEVELS[n]`. */
export type LevelSet = number;

export const ALL_LEVELS: LevelSet = 2 ** AUTH_LEVELS.length - 1;

/** Parses `pass`, `neutral,none`, or `!pass` for all levels but these. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function readLevels(text: string): LevelSet {
  const excluded = text.startsWith('!');
  const words = (excluded ? text.slice(1) : text).toLowerCase().split(',');
  const levels = words.reduce((set, word) => set | bitOf(word), 0);
  const result = excluded ? ALL_LEVELS & ~levels : levels;
  if (result === 0) throw badArgument('leaves no level at which it could hold');
  return result;
}

/** The text of a set: the shorter of both forms, and '' for all levels. */
export function levelsText(levels: LevelSet): string {
  const included = AUTH_LEVELS.filter((_, bit) => holdsAt(levels, bit));
  if (included.length === AUTH_LEVELS.length) return '';
  if (included.length <= AUTH_LEVELS.length / 2) return included.join(',');
  return `!${AUTH_LEVELS.filter((_, bit) => !holdsAt(levels, bit)).join(',')}`;
}

/** The bits that an entry must have to hold for mail of this level; all of them if the level is unknown. */
export function levelsOf(where: string, level: AuthLevel | undefined): LevelSet {
  if (level === undefined) return ALL_LEVELS;
  const bit = AUTH_LEVELS.indexOf(level);
  if (bit < 0) throw badArgument(`${where}: level must be one of ${AUTH_LEVELS.join(', ')}`);
  return 1 << bit;
}

/** Whether the set has the level with this number. */
export function holdsAt(levels: LevelSet, bit: number): boolean {
  return (levels & (1 << bit)) !== 0;
}

function bitOf(word: string): LevelSet {
  const bit = (AUTH_LEVELS as readonly string[]).indexOf(word);
  if (bit < 0)
    throw badArgument(`has the unknown level ${JSON.stringify(word)} (levels: ${AUTH_LEVELS.join(', ')})`);
  return 1 << bit;
}
