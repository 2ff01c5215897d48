/** Interpolation of `%(name)s` in values, as in Python's ConfigParser. */
import { configError } from './config-error.js';

/** Maximum length of a value. A few options that contain each other several times could otherwise expand to gigabytes. */
const MAX_LENGTH = 1_048_576;
const MAX_DEPTH = 10;
const REFERENCE = /%(?:(%)|\(([^()\n]*)\)s)?/g;

/**
 * Replaces `%(name)s` by the value of that option and `%%` by `%`.
 *
 * @param place names the option in errors
 * @throws MilterError ERR_MILTER_CONFIG for any other `%`, an unknown option, options that contain each other, and a result of
 *   more than 1 MiB
 */
export function interpolate(
  value: string,
  place: string,
  lookUp: (name: string) => string | undefined,
  depth = 0,
): string {
  if (depth > MAX_DEPTH) {
    throw configError(
      `${place}: nested more than ${MAX_DEPTH} levels deep; do the options contain each other?`,
    );
  }
  let length = value.length;
  return value.replace(REFERENCE, (_reference, percent: string | undefined, name: string | undefined) => {
    if (percent) return '%';
    if (name === undefined)
      throw configError(`${place}: write %% for %, or %(name)s for the value of an option`);
    const found = lookUp(name.toLowerCase());
    if (found === undefined) throw configError(`${place}: %(${name})s: there is no option ${name}`);
    const text = interpolate(found, place, lookUp, depth + 1);
    length += text.length;
    if (length > MAX_LENGTH)
      throw configError(`${place}: the value expands to more than ${MAX_LENGTH} characters`);
    return text;
  });
}
