/** A day's mix of mail, each message with the verdict that its kind deserves. */
import { attachments } from './attachments';
import { authors } from './authors';
import { bounces } from './bounces';
import { clientKinds } from './clients';
import { Day, type Kind } from './day';
import type { CorpusMail } from './mail';
import { ordinary } from './ordinary';
import { senders } from './senders';
import { words } from './words';

const KINDS: readonly Kind[] = [
  ...ordinary,
  ...clientKinds,
  ...bounces,
  ...senders,
  ...authors,
  ...words,
  ...attachments,
];

/** @returns `count` messages, mixed. Each kind has its share of them, and at least one; the first kind fills up what is left. */
export async function corpus(seed: number, count: number): Promise<CorpusMail[]> {
  const day = new Day(seed);
  const [most, ...others] = KINDS as [Kind, ...Kind[]];
  const all = KINDS.reduce((sum, { share }) => sum + share, 0);
  const wanted = others.flatMap((kind) =>
    Array.from({ length: Math.max(1, Math.round((kind.share * count) / all)) }, () => kind),
  );
  while (wanted.length < count) wanted.push(most);
  const mails: CorpusMail[] = [];
  for (const { make, kind } of mixed(day, wanted)) mails.push(await make(day, kind));
  return mails;
}

function mixed<T>({ random }: Day, items: T[]): T[] {
  for (let at = items.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [items[at], items[other]] = [items[other] as T, items[at] as T];
  }
  return items;
}
