/**
 * Attacks that combine tricks, as independent programs read them before and after defang. The tricks are in
 * fixtures/mime/attacks, the programs in fixtures/mime/reading.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkExt, defang, defangStream, MimeMessage } from 'tsmilter/mime';
import { type Attack, attacks } from '../fixtures/mime/attacks';
import { READERS, type Reader, type Seen } from '../fixtures/mime/reading';
import { expectThat } from '../support/expect';

const OPTIONS = { scanZip: true, host: 'mx.example' };
/** Fewer independent programs would prove little. */
const MIN_READERS = 5;
/** Attacks that are also read before they are defanged: every so many, to save time. */
const READ_BEFORE = 4;
/** Against hanging. Seven programs read all of it in ten seconds on two cores, and in minutes if others use them too. */
const READING_TIMEOUT = 900_000;
/** Messages that are compared with what the stream makes of them: every so many. */
const STREAMED = 7;

const isDangerousName = (name: string): boolean =>
  checkExt(name) !== null || checkExt(name.split('\0', 1)[0] as string) !== null;
const isDangerous = ({ names, script, program }: Seen): boolean =>
  script || program || names.some(isDangerousName);

const all: readonly Attack[] = attacks();
const fileOf = (index: number): string => String(index).padStart(5, '0');
const installed = READERS.filter((reader) => reader.isInstalled());

describe(`${all.length} attacks`, () => {
  let directory: string;
  let unchanged: string[] = [];
  /** The file of what each attack becomes. Attacks that become the same message share one, so that it is read once. */
  let results: string[] = [];
  const views = new Map<Reader, { before: Map<string, Seen>; after: Map<string, Seen> }>();

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mime-attacks-'));
    const [before, after] = [join(directory, 'before'), join(directory, 'after')];
    await Promise.all([mkdir(before), mkdir(after)]);
    unchanged = [];
    results = [];
    const files = new Map<string, string>();
    for (const [index, { title, message }] of all.entries()) {
      const read = MimeMessage.from(message);
      if (!(await defang(read, OPTIONS))) unchanged.push(title);
      if (index % READ_BEFORE === 0) await writeFile(join(before, fileOf(index)), message);
      const written = read.asBytes();
      const content = written.toString('latin1');
      const file = files.get(content) ?? fileOf(index);
      if (!files.has(content)) await writeFile(join(after, file), written);
      files.set(content, file);
      results.push(file);
    }
    await Promise.all(
      installed.map(async (reader) => {
        const scratch = join(directory, reader.title);
        views.set(reader, {
          before: await reader.read(before, join(scratch, 'before')),
          after: await reader.read(after, join(scratch, 'after')),
        });
      }),
    );
  }, READING_TIMEOUT);
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('are at least 3,000, each another message', () => {
    expect(new Set(all.map(({ message }) => message.toString('latin1'))).size).toBeGreaterThanOrEqual(3000);
  });

  it(`are read by at least ${MIN_READERS} programs`, () => {
    const missing = READERS.filter((reader) => !installed.includes(reader)).map(({ needs }) => needs);
    expectThat(
      installed.length,
      `missing: ${missing.join(' ')}; see scripts/install-tools`,
    ).toBeGreaterThanOrEqual(MIN_READERS);
  });

  it('are changed, each of them', () => {
    expect(unchanged).toStrictEqual([]);
  });

  it('are written by the stream as in memory', async () => {
    for (let index = 0; index < all.length; index += STREAMED) {
      const { title, message } = all[index] as Attack;
      const read = MimeMessage.from(message);
      await defang(read, OPTIONS);
      const written: Buffer[] = [];
      for await (const chunk of defangStream(message, OPTIONS)) written.push(Buffer.from(chunk));
      expectThat(Buffer.concat(written).toString('latin1'), title).toBe(read.asBytes().toString('latin1'));
    }
  });

  for (const reader of installed) {
    it(`that ${reader.title} sees before, it does not see afterwards`, () => {
      const { before, after } = views.get(reader) as { before: Map<string, Seen>; after: Map<string, Seen> };
      const left = all
        .filter((_, index) => isDangerous(after.get(results[index] as string) as Seen))
        .map(({ title }) => title);
      const seen = [...before.values()].filter(isDangerous).length;
      console.log(
        `${reader.title}: before, ${seen} of ${before.size} seen; afterwards, ${left.length} of ${all.length}`,
      );
      // A reader that fails on everything would prove nothing.
      expectThat(seen, `${reader.title} sees ${seen} attacks only`).toBeGreaterThan(before.size / 4);
      expect(after.size).toBe(new Set(results).size);
      expect(left).toStrictEqual([]);
    });
  }

  it('are real: most of them reach somebody', () => {
    const read = all.map((_, index) => fileOf(index)).filter((_, index) => index % READ_BEFORE === 0);
    const reached = read.filter((file) =>
      [...views.values()].some(({ before }) => isDangerous(before.get(file) as Seen)),
    );
    console.log(`${reached.length} of ${read.length} attacks are seen by at least one reader`);
    expect(reached.length).toBeGreaterThan(read.length * 0.75);
  });
});
