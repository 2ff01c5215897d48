/** The SMTP reply that goes with a REJECT or TEMPFAIL. */
import { encodeBytes } from '../internal/bytes.js';
import { MilterError } from '../internal/errors.js';

/** Lines that libmilter takes (its MAXREPLIES). */
export const MOST_REPLY_LINES = 32;
/** Bytes in a line that libmilter takes (its MAXREPLYLEN). */
export const MOST_REPLY_BYTES = 980;

const CODE = /^[45][0-9]{2}$/;
const EXTENDED = /^[245]\.[0-9]{1,3}\.[0-9]{1,3}$/;

function bad(message: string): MilterError {
  return new MilterError('ERR_MILTER_BAD_REPLY', `setreply: ${message}`);
}

/** Whether a `%` is not doubled: the MTA would take it, and what follows, for a format. */
function hasLonePercent(line: string): boolean {
  return (line.match(/%+/g) ?? []).some((run) => run.length % 2 === 1);
}

function checkLine(line: unknown): asserts line is string {
  if (typeof line !== 'string') throw bad(`a line must be a string, not ${typeof line}`);
  if (/[\0\r\n]/.test(line))
    throw bad('a line must not contain CR, LF or NUL; pass each line as an argument');
  if (hasLonePercent(line)) throw bad(`write %% for a percent sign, in ${JSON.stringify(line)}`);
  if (encodeBytes(line).length > MOST_REPLY_BYTES)
    throw bad(`a line must not be longer than ${MOST_REPLY_BYTES} bytes`);
}

/**
 * Checks a reply and returns its lines.
 * @throws MilterError ERR_MILTER_BAD_REPLY what libmilter, or the MTA without a word, would refuse
 */
export function checkReply(code: unknown, extended: unknown, lines: readonly unknown[]): string[] {
  if (typeof code !== 'string' || !CODE.test(code)) {
    throw bad(`the code must be '4xx' or '5xx', three digits in a string, not ${JSON.stringify(code)}`);
  }
  if (extended !== null && (typeof extended !== 'string' || !EXTENDED.test(extended))) {
    throw bad(`the extended code must look like '5.7.1', or be null, not ${JSON.stringify(extended)}`);
  }
  if (lines.length > MOST_REPLY_LINES) throw bad(`at most ${MOST_REPLY_LINES} lines, not ${lines.length}`);
  if (lines.length === 1 && lines[0] === null) return [];
  const texts: string[] = [];
  for (const line of lines) {
    checkLine(line);
    texts.push(line);
  }
  return texts;
}
