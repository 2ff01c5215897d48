/**
 * What a message costs: the CPU time for its size, whatever it is made of. The unit is a loop over as many bytes, so that the
 * limit means the same on every machine.
 */
import { expect, it } from '@jest/globals';
import { defang, defangStream, MimeMessage } from 'tsmilter/mime';
import { SHAPES } from '../fixtures/mime/shapes';
import { cpuTime } from '../support/cpu-time';

const SIZE = 60_000;
const ATTEMPTS = 4;
/** A message may cost as much as so many passes over its bytes; the most expensive shape takes less than half. */
const MAX_PASSES = 1000;

/** Counts bits, which no compiler can leave out. */
function passOver(bytes: Uint8Array): number {
  let bits = 0;
  for (let at = 0; at < bytes.length; at++) bits = (bits + ((bytes[at] as number) & 1)) | 0;
  return bits;
}

const PASSES = 200;
async function calibrate(): Promise<number> {
  const bytes = Buffer.alloc(SIZE, 'some text');
  let bits = 0;
  const measure = () =>
    cpuTime(() => {
      for (let pass = 0; pass < PASSES; pass++) bits += passOver(bytes);
    });
  await measure();
  const best = Math.min(await measure(), await measure(), await measure());
  expect(bits).toBeGreaterThan(0);
  return best / PASSES;
}

const WAYS = {
  'in memory': async (message: Buffer) => void (await defang(MimeMessage.from(message), { scanZip: true })),
  'as a stream': async (message: Buffer) => void (await defangStream(message, { scanZip: true }).finish()),
};

for (const [way, read] of Object.entries(WAYS)) {
  it(`none of ${SHAPES.length} shapes costs more than ${MAX_PASSES} passes over its bytes, ${way}`, async () => {
    const unit = await calibrate();
    const costs: [passes: number, title: string][] = [];
    for (const { title, message } of SHAPES) {
      const bytes = message(SIZE);
      let best = Number.POSITIVE_INFINITY;
      for (let attempt = 0; attempt < ATTEMPTS && best > (unit * MAX_PASSES) / 2; attempt++)
        best = Math.min(best, await cpuTime(() => read(bytes)));
      costs.push([Math.round((best / unit) * (SIZE / bytes.length)), title]);
    }
    costs.sort(([a], [b]) => b - a);
    console.log(
      `a pass takes ${((unit / SIZE) * 1e6).toFixed(2)} ms/MB; the most expensive: ${JSON.stringify(costs.slice(0, 8))}`,
    );
    expect(costs.filter(([passes]) => passes > MAX_PASSES)).toStrictEqual([]);
  });
}
