/**
 * Everything that reads untrusted text gets random text of its language, right and wrong: it throws nothing but its documented
 * errors and keeps its promises, and its time grows with the length of the text, whatever is repeated in it.
 */
import { describe, expect, test } from '@jest/globals';
import { MilterError } from 'tsmilter/testing';
import { cpuTime } from '../support/cpu-time';
import { Random } from '../support/random';
import { SEED } from './support/fuzz';
import { randomInput, randomShape } from './support/inputs';
import { type Reader, readers } from './support/readers';

/** Seconds for each reader. */
const READER_MS = Number(process.env.MILTER_FUZZ_SECONDS ?? 1) * 1_000;
const SHAPES = 40;
const LONG = 64 * 1024;
/** Four times the text may take so many times the time: 4 if it is linear, 16 if it is quadratic. */
const MOST_GROWTH = 10;
/** Milliseconds below which a time says nothing. */
const NOISE = 100;

async function read(reader: Reader, text: string): Promise<void> {
  try {
    await reader.read(text);
  } catch (error) {
    const documented = error instanceof MilterError && reader.documented?.includes(error.code);
    if (documented) return;
    throw new Error(
      `MILTER_SEED=${SEED}: ${JSON.stringify(text.slice(0, 2_000))}: ${(error as Error).stack}`,
    );
  }
}

/** How much more CPU time four times the text takes. Measured again while it is too much: the collector may have run. */
async function growth(reader: Reader, shape: (length: number) => string): Promise<number> {
  const best = { short: Number.POSITIVE_INFINITY, long: Number.POSITIVE_INFINITY };
  for (let tries = 0; tries < 3; tries++) {
    best.long = Math.min(best.long, await cpuTime(() => read(reader, shape(4 * LONG))));
    if (best.long < NOISE) return 0;
    best.short = Math.min(best.short, await cpuTime(() => read(reader, shape(LONG))));
    if (best.long / best.short < MOST_GROWTH) break;
  }
  return best.long / best.short;
}

for (const [index, reader] of readers.entries()) {
  describe(reader.name, () => {
    test(
      'any text',
      async () => {
        const random = new Random(SEED + index);
        const deadline = performance.now() + READER_MS;
        let texts = 0;
        do {
          await read(reader, randomInput(random, reader));
          texts++;
        } while (performance.now() < deadline);
        expect(texts).toBeGreaterThan(0);
      },
      60_000 + 2 * READER_MS,
    );

    test('long text', async () => {
      const random = new Random(SEED + index);
      for (let shapes = 0; shapes < SHAPES; shapes++) {
        const shape = randomShape(random, reader);
        const factor = await growth(reader, shape);
        if (factor >= MOST_GROWTH)
          throw new Error(
            `MILTER_SEED=${SEED}: ${factor.toFixed(1)} for ${JSON.stringify(shape(40).slice(0, 400))}`,
          );
      }
    }, 600_000);
  });
}
