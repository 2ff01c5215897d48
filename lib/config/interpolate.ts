/** Interpolation of `%(name)s` in values, as in Python's ConfigParser. */
import { configError } from './config-error.js';

/** Maximum length of a value. A few options that contain each other several times could otherwise expand to gigabytes. */
const MAX_LENGTH = 1_048_576;
const MAX_DEPTH = 10;
/** Maximum number of references that one value leads to. References to empty values add nothing to the length. */
const MAX_REFERENCES = 10_000;
const REFERENCE = /%(?:(%)|\(([^()\n]*)\)s)?/g;

/** The names of the options to which a value refers, in lower case. */
export function referencesIn(value: string): string[] {
  return [...value.matchAll(REFERENCE)].flatMap(([, , name]) =>
    name === undefined ? [] : [name.toLowerCase()],
  );
}

/**
 * Replaces `%(name)s` by the value of that option and `%%` by `%`.
 *
 * @param place names the option in errors
 * @throws MilterError ERR_MILTER_CONFIG for any other `%`, an unknown option, options that contain each other, more than 10,000
 *   references, and a result of more than 1 MiB
 */
export function interpolate(
  value: string,
  place: string,
  lookUp: (name: string) => string | undefined,
): string {
  let references = 0;
  /** Each option is expanded once, however often it is referred to. */
  const expansions = new Map<string, string>();
  const expandOption = (name: string, depth: number): string => {
    const key = name.toLowerCase();
    const known = expansions.get(key);
    if (known !== undefined) return known;
    const found = lookUp(key);
    if (found === undefined) throw configError(`${place}: %(${name})s: there is no option ${name}`);
    const expanded = expand(found, depth);
    expansions.set(key, expanded);
    return expanded;
  };
  const expand = (text: string, depth: number): string => {
    if (depth > MAX_DEPTH) {
      throw configError(
        `${place}: nested more than ${MAX_DEPTH} levels deep; do the options contain each other?`,
      );
    }
    let length = text.length;
    return text.replace(REFERENCE, (_reference, percent: string | undefined, name: string | undefined) => {
      if (percent) return '%';
      if (name === undefined)
        throw configError(`${place}: write %% for %, or %(name)s for the value of an option`);
      if (++references > MAX_REFERENCES)
        throw configError(`${place}: the value leads to more than ${MAX_REFERENCES} references`);
      const expanded = expandOption(name, depth + 1);
      length += expanded.length;
      if (length > MAX_LENGTH)
        throw configError(`${place}: the value expands to more than ${MAX_LENGTH} characters`);
      return expanded;
    });
  };
  return expand(value, 0);
}
