/**
 * Which test files are about the addon: the others say nothing under a sanitizer, or on another version of Node, that they do
 * not say anyway.
 */
import path from 'node:path';

/** About what a filter decides, or a helper's store, with filters that other files start as well. */
const ABOUT_OTHER_THINGS = [
  /^test\/integration\/(.*-redis|address-memory)\./,
  /^test\/mta\/(arc-interop|archive|auth-interop|authmilter|bench|doctor|guard.*|metrics|mta-fixture|scan|spfmilter|template)\./,
];

/** The only files of these folders that load the addon, or start a process that does. */
const WITH_ADDON = {
  unit: /^test\/unit\/(metrics|options)\./,
  fuzz: /^test\/fuzz\/(protocol|test-ctx-agrees)\./,
};

const patternFor = (source) => WITH_ADDON[source.split(path.sep)[1]];

/** Whether a test file is about the addon. */
export function isAboutAddon(source) {
  const pattern = patternFor(source);
  return pattern ? pattern.test(source) : !ABOUT_OTHER_THINGS.some((other) => other.test(source));
}

/** Whether a test file must not load the addon, because it would be missing from those that are about it. */
export function isWithoutAddon(source) {
  return patternFor(source)?.test(source) === false;
}
