/** A thousand messages that are held at the same time: what their bodies take in the filter's process. */
import { expect, jest, test } from '@jest/globals';
import { BODY, measure } from '../../bench/memory/trial.js';

jest.setTimeout(600_000);

const SESSIONS = 1_000;

test.each([
  ['in memory up to a limit', 'memory', 400_000_000],
  ['in files', 'files', 320_000_000],
])(`${SESSIONS} messages of ${BODY} bytes, %s`, async (_, variant, limit) => {
  const { before, peak, held, after } = await measure(variant, SESSIONS);
  const mebibytes = [before, peak, held, after].map((bytes) => (bytes / 2 ** 20).toFixed(0));
  console.log(`MiB before, at the peak, all held, after: ${mebibytes.join(', ')}`);
  expect(held).toBeGreaterThan(before);
  expect(peak).toBeLessThan(limit);
});
