/** Tests that need what a machine may lack. The reason for skipping one is part of its title, so every report shows it. */
import { describe, it } from '@jest/globals';

/** Why a test cannot run here; falsy: it can. */
type Reason = string | false | null | undefined;

/** A group of tests that is skipped for `reason`, if there is one. */
export function describeUnless(reason: Reason, title: string, tests: () => void): void {
  if (reason) describe.skip(`${title} (skipped: ${reason})`, tests);
  else describe(title, tests);
}

/** A test that is skipped for `reason`, if there is one. */
export function itUnless(reason: Reason, title: string, test: () => void | Promise<void>): void {
  if (reason) it.skip(`${title} (skipped: ${reason})`, test);
  else it(title, test);
}
