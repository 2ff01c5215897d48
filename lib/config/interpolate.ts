/** `%(name)s` in values, as Python's ConfigParser has it. */
import { configError } from './config-error.js';

/** Longest value; a few options that contain each other several times could make it endless. */
const MAX_LENGTH = 1_048_576;
const MAX_DEPTH = 10;
const REFERENCE = /%(?:(%)|\(([^()\n]*)\)s)?/g;

/**
 * Replaces `%(name)s` by the value of that option and `%%` by `%`.
 *
 * @param place names the option in errors
 * @throws MilterError ERR_MILTER_CONFIG for any other `%`, an option that does not exist, options that contain each
 *   other, and a result of more than 1 MiB
 */
export function interpolate(
  value: string,
  place: string,
  lookUp: (name: string) => string | undefined,
  depth = 0,
): string {
  if (depth > MAX_DEPTH) {
    throw configError(`${place}: more than ${MAX_DEPTH} options deep; do they contain each other?`);
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
      throw configError(`${place}: longer than ${MAX_LENGTH} characters with what it contains`);
    return text;
  });
}
