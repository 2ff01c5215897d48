/**
 * The way from the headers that a message has to those that a filter wants, as libmilter's actions.
 *
 * Few places mean the same to both MTAs (docs/headers.md): a field can be changed or deleted by its name and index, inserted at
 * the top, and added at the end if the message has no field of its name. A field anywhere else is reached by writing all above
 * it anew: those are deleted and inserted at the top again, in their new order. So each result has three parts:
 *
 *     the top      fields inserted at the top
 *     the middle   fields that keep their places, some with other values
 *     the end      fields of new names
 *
 * Where they meet is chosen so that the changes are as few as possible.
 */
import type { HeaderField } from './header-field.js';

/** One action. `index` counts the fields of that name from 1, as the MTA passed them. */
export type HeaderChange =
  | { readonly kind: 'change'; readonly name: string; readonly index: number; readonly wire: string }
  | { readonly kind: 'delete'; readonly name: string; readonly index: number }
  | { readonly kind: 'insert'; readonly name: string; readonly wire: string }
  | { readonly kind: 'append'; readonly name: string; readonly wire: string };

/** Fields that both MTAs add if they are missing. Sendmail adds its own beside a filter's, but takes a change of the missing field. */
const SUPPLIED: ReadonlySet<string> = new Set(['date', 'from', 'message-id']);

/** Above this number of comparisons the search is left to a simpler one, whose list may be longer than need be. */
const MAX_COMPARISONS = 1_000_000;

/** A field that keeps its place: its number before, and after. */
type Kept = readonly [before: number, after: number];

/**
 * The actions that turn `before` into `after`, in the order in which they must be called. A missing From, Date or Message-Id that
 * the filter has added comes to the place where the MTA would put its own.
 */
export function headerChanges(before: readonly HeaderField[], after: readonly HeaderField[]): HeaderChange[] {
  const old = new Set(before.map(({ key }) => key));
  const isSupplied = ({ key }: HeaderField) => SUPPLIED.has(key) && !old.has(key);
  return [
    ...after.filter(isSupplied).map(({ name, wire }) => ({ kind: 'change', name, index: 1, wire }) as const),
    ...orderedChanges(
      before,
      after.filter((field) => !isSupplied(field)),
    ),
  ];
}

function orderedChanges(before: readonly HeaderField[], after: readonly HeaderField[]): HeaderChange[] {
  const end = startOfEnd(before, after);
  const kept = middleOf(before, after.slice(0, end));
  const middle = kept[0]?.[1] ?? end;
  return [
    ...changesInPlace(before, after, kept),
    ...after
      .slice(0, middle)
      .reverse()
      .map(({ name, wire }) => ({ kind: 'insert', name, wire }) as const),
    ...after.slice(end).map(({ name, wire }) => ({ kind: 'append', name, wire }) as const),
  ];
}

/**
 * From where on every field can be added at the end: there is no other of its name, because Sendmail puts a further field of a
 * name before the first one. There always is a Received field: the MTA's own.
 */
function startOfEnd(before: readonly HeaderField[], after: readonly HeaderField[]): number {
  const count = new Map<string, number>();
  for (const { key } of [...before, ...after]) count.set(key, (count.get(key) ?? 0) + 1);
  let start = after.length;
  for (; start > 0; start--) {
    const { key } = after[start - 1] as HeaderField;
    if (count.get(key) !== 1 || key === 'received') break;
  }
  return start;
}

/** Deletions come after the changes and from the last to the first, so that an index means the same to both MTAs. */
function changesInPlace(
  before: readonly HeaderField[],
  after: readonly HeaderField[],
  kept: readonly Kept[],
): HeaderChange[] {
  const target = new Map(kept.map(([from, to]) => [from, after[to] as HeaderField]));
  const count = new Map<string, number>();
  const changes: HeaderChange[] = [];
  const deletions: HeaderChange[] = [];
  before.forEach((field, at) => {
    const index = (count.get(field.key) ?? 0) + 1;
    count.set(field.key, index);
    const { name } = field;
    const { wire } = target.get(at) ?? {};
    if (wire === undefined) deletions.push({ kind: 'delete', name, index });
    else if (wire !== field.wire) changes.push({ kind: 'change', name, index, wire });
  });
  return [...changes, ...deletions.reverse()];
}

/** Whether a field can take the place of another one: 0 if they are the same, 1 by a change, otherwise not. */
function costOf(from: HeaderField, to: HeaderField): number {
  if (from.name !== to.name) return Number.POSITIVE_INFINITY;
  if (from.wire === to.wire) return 0;
  // To libmilter, a change to an empty value is a deletion.
  return to.wire.trim() === '' ? Number.POSITIVE_INFINITY : 1;
}

/** The fields that keep their places: all of `after` from some field on. */
function middleOf(before: readonly HeaderField[], after: readonly HeaderField[]): Kept[] {
  const kept: Kept[] = [];
  let [from, to] = [before.length, after.length];
  // What is the same at the bottom stays; this leaves little to compare.
  while (from > 0 && to > 0 && before[from - 1] === after[to - 1]) kept.push([--from, --to]);
  const search = from * to > MAX_COMPARISONS ? nearestMiddle : cheapestMiddle;
  return [...search(before.slice(0, from), after.slice(0, to)), ...kept.reverse()];
}

/**
 * Of all ways to let `after` from some field on stand in the places of fields of `before`, the one with the fewest actions. A
 * field above the middle costs two: it is inserted, and the field whose place it would have had is deleted.
 */
function cheapestMiddle(before: readonly HeaderField[], after: readonly HeaderField[]): Kept[] {
  const width = before.length + 1;
  // changes[to * width + from]: the fewest changes that let after[to..] stand in places of before[from..].
  const changes = new Float64Array((after.length + 1) * width).fill(Number.POSITIVE_INFINITY);
  changes.fill(0, after.length * width);
  const here = (from: number, to: number) =>
    costOf(before[from] as HeaderField, after[to] as HeaderField) +
    (changes[(to + 1) * width + from + 1] as number);
  for (let to = after.length - 1; to >= 0; to--) {
    for (let from = before.length - 1; from >= 0; from--) {
      changes[to * width + from] = Math.min(changes[to * width + from + 1] as number, here(from, to));
    }
  }
  const total = (to: number) => 2 * to + (changes[to * width] as number);
  let top = after.length;
  for (let to = after.length; to >= 0; to--) if (total(to) <= total(top)) top = to;

  const kept: Kept[] = [];
  for (let [from, to] = [0, top]; to < after.length; from++) {
    if (changes[to * width + from] !== here(from, to)) continue;
    kept.push([from, to++]);
  }
  return kept;
}

/** In linear time: from the bottom on, each field stays that is the same, or has the name of the field that is at its place. */
function nearestMiddle(before: readonly HeaderField[], after: readonly HeaderField[]): Kept[] {
  const places = new Map(before.map((field, at) => [field, at]));
  const kept: Kept[] = [];
  let from = before.length;
  for (let to = after.length - 1; to >= 0 && from > 0; to--) {
    const field = after[to] as HeaderField;
    const place = places.get(field) ?? from - 1;
    if (place >= from || !Number.isFinite(costOf(before[place] as HeaderField, field))) break;
    kept.push([place, to]);
    from = place;
  }
  return kept.reverse();
}
