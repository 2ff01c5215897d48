/** Names of hosts in the text of a message. */
import { isIP } from 'node:net';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';

/** Limits of {@link hostNamesIn}. The text comes from an untrusted sender. */
export interface HostNameLimits {
  /** Maximum number of different names. Default: 20. */
  readonly maxNames?: number;
  /** Maximum number of characters that are searched. Default: 1,048,576. */
  readonly maxLength?: number;
}

const OPTIONS: OptionNames<HostNameLimits> = { maxNames: true, maxLength: true };

/**
 * URLs with `http:`, `https:` or `ftp:`, whatever slashes follow, names that begin with `www.`, and mail addresses. Each begins with
 * a fixed word, and is limited, so that the search takes linear time.
 */
const URL_LIKE =
  /(?:https?|ftp):[\\/]{0,4}[^\s"'<>`\\/?#)\]}]{1,512}|\bwww\.[^\s"'<>`\\/?#@:)\]},;]{1,253}|@[^\s"'<>`\\/?#@:)\]},;(]{1,253}/giu;
const NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+$/;
const TRAILING = /[.,;:!?…]+$/u;

/**
 * The names of hosts in links and mail addresses of a text, for {@link checkDomain}: in ASCII and lower case, without repetitions,
 * in the order of the text. User names in URLs (`https://bank.example@evil.example/`), ports, percent-encoding and other
 * spellings that browsers accept are understood. Addresses are not names.
 *
 * @param text decoded text or HTML
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for invalid limits; no text makes it throw
 */
export function hostNamesIn(text: string, limits: HostNameLimits = {}): string[] {
  checkOptions('hostNamesIn', limits, OPTIONS);
  const { maxNames = 20, maxLength = 1_048_576 } = limits;
  checkInteger('hostNamesIn: maxNames', maxNames, 1);
  checkInteger('hostNamesIn: maxLength', maxLength, 1);
  const names = new Set<string>();
  for (const [match] of text.slice(0, maxLength).matchAll(URL_LIKE)) {
    const name = hostOf(match);
    if (name !== undefined) names.add(name);
    if (names.size >= maxNames) break;
  }
  return [...names];
}

function hostOf(match: string): string | undefined {
  const trimmed = match.replace(TRAILING, '');
  const rest = trimmed.replace(/^(?:(?:https?|ftp):[\\/]*|@)/i, '');
  // The parser of browsers reads what follows as they do.
  const url = URL.canParse(`http://${rest}`) ? new URL(`http://${rest}`) : undefined;
  const name = url?.hostname.replace(/\.+$/, '') ?? '';
  return NAME.test(name) && isIP(name) === 0 ? name : undefined;
}
