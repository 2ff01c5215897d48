/**
 * Chunks that a body handler only borrows (`@borrowed`): later chunks of the same message are written over them, and whatever a
 * handler keeps by mistake never shows another message.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CONTINUE, TEMPFAIL } from 'tsmilter';
import type { MtaSession } from 'tsmilter/testing';
import { FilterProcess } from '../support/filter-process.js';

/** As much as an MTA puts into one frame; five of them make a whole batch. */
const CHUNK = 65_535;

/** Sends a message whose chunks have a letter each. */
async function message(session: MtaSession, sender: string, letters: string): Promise<string> {
  await begin(session, sender);
  for (const letter of letters) await session.body(letter.repeat(CHUNK));
  return (await session.eom()).verdict;
}

async function begin(session: MtaSession, sender: string): Promise<void> {
  await session.mail(sender);
  await session.rcpt('<rcpt@example.net>');
  await session.data();
}

describe('chunks of a handler that keeps none', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('borrowing', { options: { handlerTimeout: 1_000, logger: false } });
  });
  beforeEach(() => filter.use('Keeping'));
  afterAll(() => filter?.stop());
  const kept = (sender: string) => filter.request<string[]>('kept', sender);
  const reachable = async (sender: string) =>
    new Set((await filter.request<string[]>('reachable', sender)).join(''));

  it('are overwritten by later ones of the same message', async () => {
    await using session = await filter.greeted();
    expect(await message(session, '<warm@example.org>', 'z')).toBe('accept');
    expect(await message(session, '<one@example.org>', 'abcdefghijklmno')).toBe('accept');
    const seen = await kept('<one@example.org>');
    expect(seen).toHaveLength(15);
    expect(seen.slice(0, 5)).not.toStrictEqual(['a', 'b', 'c', 'd', 'e']);
    expect(seen.slice(-5)).toStrictEqual(['k', 'l', 'm', 'n', 'o']);
  });

  it('never show another message, of this session or another, nor does the memory around them', async () => {
    await using first = await filter.greeted();
    await using second = await filter.greeted();
    for (let round = 0; round < 3; round++) {
      await message(first, `<first-${round}@example.org>`, 'abcdefgh');
      await Promise.all([
        message(first, `<again-${round}@example.org>`, 'ijklmnop'),
        message(second, `<second-${round}@example.org>`, 'ABCDEFGH'),
      ]);
    }
    for (let round = 0; round < 3; round++) {
      for (const [name, allowed] of [
        ['first', 'abcdefgh'],
        ['again', 'ijklmnop'],
        ['second', 'ABCDEFGH'],
      ] as const) {
        const sender = `<${name}-${round}@example.org>`;
        const shown = new Set((await kept(sender)).join(''));
        expect(
          [...shown, ...(await reachable(sender))].filter((letter) => !allowed.includes(letter)),
        ).toEqual([]);
      }
    }
  });

  it('stay as they are where a subclass overrides the handler without the mark', async () => {
    await filter.use('Overriding');
    await using session = await filter.greeted();
    expect(await message(session, '<own@example.org>', 'abcdefghijklmno')).toBe('accept');
    expect(await kept('<own@example.org>')).toStrictEqual([...'abcdefghijklmno']);
  });

  it('stay as they are while a handler that has timed out may still use them', async () => {
    await filter.use('Late');
    await filter.request('policy', CONTINUE);
    await filter.request('hook', true);
    await using session = await filter.greeted();
    await begin(session, '<late@example.org>');
    for (const letter of 'abcdefghijklmno') await session.body(letter.repeat(CHUNK));
    await session.eom();
    const seen = await kept('<late@example.org>');
    expect(seen[0]).toBe('a');
    expect(seen.at(-1)).toBe('o');
    await filter.request('release');
    await filter.request('policy', TEMPFAIL);
  });
});
