/**
 * The counts of a run, and its way of saying them.
 */

/** One part of a run: what it counted, and what is to be said of its failures. */
export class Tally {
  passed = 0;
  failed = 0;
  skipped = 0;
  /** @type {{name: string, details: string}[]} */
  failures = [];

  constructor(title) {
    this.title = title;
    this.started = performance.now();
  }

  pass(count = 1) {
    this.passed += count;
  }

  /** Counts one failure, and prints it at once: a run that is ended from outside has then said what it knew. */
  fail(name, details = '') {
    this.failed++;
    this.failures.push({ name: `${this.title}: ${name}`, details });
    console.log(`  ✖ ${name}${details === '' ? '' : `\n${details}`}`);
  }

  skip(name) {
    this.skipped++;
    console.log(`  ﹣ ${name}`);
  }

  /** Counts a step that either works or not. */
  step(name, ok, details) {
    if (ok) {
      this.pass();
      console.log(`  ✔ ${name}`);
    } else {
      this.fail(name, details);
    }
  }

  print() {
    const seconds = ((performance.now() - this.started) / 1000).toFixed(1);
    console.log(`  ${this.title}: ${counts(this)} (${seconds} s)`);
  }
}

/** `3 passed, 0 failed`, with the skipped ones where there are any. */
export function counts({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** How many lines are repeated of one failure. */
const REPEATED = 20;

/** The beginning of what was said of a failure, without what the stack holds of other packages. */
function beginning(details) {
  const lines = details.split('\n').filter((line) => !line.includes('/node_modules/'));
  return lines.slice(0, REPEATED).join('\n');
}

/** All failures and why; what one shares with the one before it, as a failed beforeAll, is said once. */
function report(failures) {
  return failures
    .map(({ name, details }, at) => {
      const told = details === '' || details === failures[at - 1]?.details;
      return `  ✖ ${name}${told ? '' : `\n${beginning(details)}`}`;
    })
    .join('\n');
}

/** Prints all failures again, then the sum as the last line; returns the exit code. */
export function conclude(tallies) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const failures = [];
  for (const tally of tallies) {
    sum.passed += tally.passed;
    sum.failed += tally.failed;
    sum.skipped += tally.skipped;
    failures.push(...tally.failures);
  }
  if (failures.length > 0) console.log(`\nFailed:\n${report(failures)}`);
  if (sum.passed + sum.failed === 0) console.log('\nNo test was run.');
  console.log(`\n${counts(sum)}`);
  return sum.failed === 0 && sum.passed > 0 ? 0 : 1;
}
