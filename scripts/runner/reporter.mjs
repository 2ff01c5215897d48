/**
 * A reporter for node:test that writes one JSON object per line to the file that MILTER_TEST_RECORDS names, for
 * scripts/runner/test-files.mjs to count: `{type: 'start' | 'pass' | 'fail' | 'skip', name, …}`. It writes at once, so
 * that the file tells which test was running when the process crashed.
 */
import fs from 'node:fs';

const records = fs.openSync(process.env.MILTER_TEST_RECORDS, 'a');

/** Tests on the way down to the present one, by nesting: their names together say which test it is. */
const path = [];

function fullName(data) {
  path.length = data.nesting;
  path[data.nesting] = data.name;
  return path.join(' > ');
}

/** The error that the test's author can act on: node:test wraps it. */
function describe(error) {
  if (error === undefined) return 'failed without an error';
  const cause = error.cause ?? error;
  if (typeof cause === 'string') return cause;
  return cause?.stack ?? cause?.message ?? String(cause);
}

function toRecord({ type, data }) {
  // A test begins when it is taken off the queue; `test:start` is held back until its turn in the report.
  if (type === 'test:dequeue') return { type: 'start', name: data.name };
  if (type === 'test:start') {
    fullName(data);
    return undefined;
  }
  if (type !== 'test:pass' && type !== 'test:fail') return undefined;
  const isSuite = data.details?.type === 'suite';
  const name = fullName(data);
  const place = data.file === undefined ? '' : `${data.file}:${data.line}`;
  if (data.skip !== undefined || data.todo !== undefined) {
    const reason = [data.skip, data.todo].find((text) => typeof text === 'string') ?? '';
    return { type: 'skip', name, place, reason: data.skip !== undefined ? reason : `todo: ${reason}` };
  }
  if (type === 'test:pass') return isSuite ? undefined : { type: 'pass', name, ms: data.details.duration_ms };
  const error = data.details.error;
  // A group that failed because of its tests says nothing new; one whose before() failed does.
  if (isSuite && error?.failureType === 'subtestsFailed') return undefined;
  return { type: 'fail', name, place, ms: data.details.duration_ms, error: describe(error) };
}

// biome-ignore lint/correctness/useYield: node:test wants a generator, and there is nothing to print
export default async function* reporter(source) {
  for await (const event of source) {
    const record = toRecord(event);
    if (record) fs.writeSync(records, `${JSON.stringify(record)}\n`);
  }
}
