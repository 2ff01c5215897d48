/** Ordinary messages pass as they are, and independent programs read the same in them before and after. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { defang, defangStream, MimeMessage } from 'tsmilter/mime';
import { ORDINARY_MESSAGES } from '../fixtures/mime/ordinary';
import { READERS } from '../fixtures/mime/reading';

const OPTIONS = { scanZip: false, host: 'mx.example' };

describe('an ordinary message', () => {
  for (const [title, message] of Object.entries(ORDINARY_MESSAGES)) {
    it(`is not touched: ${title}`, async () => {
      const read = MimeMessage.from(message);
      expect(read.asBytes()).toStrictEqual(message);
      expect(await defang(read, OPTIONS)).toBe(false);
      expect(read.asBytes()).toStrictEqual(message);
      const stream = defangStream(message, OPTIONS);
      const written: Buffer[] = [];
      for await (const chunk of stream) written.push(Buffer.from(chunk));
      expect(stream.changed).toBe(false);
      expect(Buffer.concat(written)).toStrictEqual(message);
    });
  }

  it('has the same parts for every reader, before and after', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mime-ordinary-'));
    try {
      const [before, after] = [join(directory, 'before'), join(directory, 'after')];
      await Promise.all([mkdir(before), mkdir(after)]);
      for (const [index, message] of Object.values(ORDINARY_MESSAGES).entries()) {
        const read = MimeMessage.from(message);
        await defang(read, OPTIONS);
        await writeFile(join(before, String(index)), message);
        await writeFile(join(after, String(index)), read.asBytes());
      }
      const installed = READERS.filter((reader) => reader.isInstalled());
      expect(installed.length).toBeGreaterThanOrEqual(2);
      for (const reader of installed) {
        const scratch = join(directory, reader.title);
        const seen = await reader.read(before, join(scratch, 'before'));
        expect([...seen.values()].flatMap(({ names }) => names).length).toBeGreaterThan(5);
        expect(await reader.read(after, join(scratch, 'after'))).toStrictEqual(seen);
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
