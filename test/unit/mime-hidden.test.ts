/** Nothing dangerous is left of messages that hide it by one trick each, for no reader. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkExt } from 'tsmilter/mime';
import { defanged } from '../fixtures/mime/defanged';
import { HIDDEN_MESSAGES } from '../fixtures/mime/hidden';
import { READERS, type Seen } from '../fixtures/mime/reading';
import { expectThat } from '../support/expect';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const OPTIONS = { scanZip: true, host: 'mx.example' };
const isAttack = ({ names, script }: Seen): boolean => script || names.some((name) => checkExt(name));

describe('what some programs find if', () => {
  for (const [title, message] of Object.entries(HIDDEN_MESSAGES)) {
    /** @contract 24, 26 */
    it(`${title} does not stay`, async () => {
      expect(await defanged(message, OPTIONS)).not.toBe(message.toString('latin1'));
    });
  }

  it('a head ends at a line of blanks, but not at lines without a colon, does not stay', async () => {
    const message = `X-A: b\n${'garbage\n'.repeat(5)} \nContent-Type: text/html\n\n<script>EVIL()</script>`;
    expect(
      await defanged(bytes(message.replace('\n\n', '\nContent-Transfer-Encoding: base64\n\n'))),
    ).toContain('WARNING');
  });
});

it('no reader finds anything in what is left of them', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'mime-hidden-'));
  try {
    const [before, after] = [join(directory, 'before'), join(directory, 'after')];
    await Promise.all([mkdir(before), mkdir(after)]);
    const titles = Object.keys(HIDDEN_MESSAGES);
    for (const [index, message] of Object.values(HIDDEN_MESSAGES).entries()) {
      await writeFile(join(before, String(index)), message);
      await writeFile(join(after, String(index)), await defanged(message, OPTIONS), 'latin1');
    }
    const installed = READERS.filter((reader) => reader.isInstalled());
    const found = new Set<string>();
    for (const reader of installed) {
      const scratch = join(directory, reader.title);
      for (const [file, seen] of await reader.read(before, join(scratch, 'before')))
        if (isAttack(seen)) found.add(titles[Number(file)] as string);
      for (const [file, seen] of await reader.read(after, join(scratch, 'after')))
        expectThat(isAttack(seen), `${reader.title}: ${titles[Number(file)]}`).toBe(false);
    }
    // A message in which nobody finds anything would prove nothing.
    if (installed.length === READERS.length) expect(titles.filter((title) => !found.has(title))).toEqual([]);
  } finally {
    await rm(directory, { recursive: true });
  }
});
