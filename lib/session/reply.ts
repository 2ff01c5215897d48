/** The SMTP reply that goes with a REJECT or TEMPFAIL. */
import { encodeBytes } from '../internal/bytes.js';
import { MilterError } from '../internal/errors.js';

/** Lines that libmilter accepts (its MAXREPLIES). */
export const MAX_REPLY_LINES = 32;
/** Bytes in a line that libmilter accepts (its MAXREPLYLEN). */
export const MAX_REPLY_BYTES = 980;

const CODE = /^[45][0-9]{2}$/;
const EXTENDED = /^[245]\.[0-9]{1,3}\.[0-9]{1,3}$/;

function badReply(message: string): MilterError {
  return new MilterError('ERR_MILTER_BAD_REPLY', `setreply: ${message}`);
}

/** Whether a `%` is not doubled: the MTA would read it, and what follows, as a format. */
function hasLonePercent(line: string): boolean {
  return (line.match(/%+/g) ?? []).some((run) => run.length % 2 === 1);
}

function checkLine(line: unknown): asserts line is string {
  if (typeof line !== 'string') throw badReply(`a line must be a string, not ${typeof line}`);
  if (/[\0\r\n]/.test(line))
    throw badReply('a line must not contain CR, LF or NUL; pass each line as an argument');
  if (hasLonePercent(line)) throw badReply(`write %% for a percent sign, in ${JSON.stringify(line)}`);
  if (encodeBytes(line).length > MAX_REPLY_BYTES)
    throw badReply(`a line must not be longer than ${MAX_REPLY_BYTES} bytes`);
}

/**
 * Checks a reply and returns its lines.
 * @throws MilterError ERR_MILTER_BAD_REPLY for a reply that libmilter would refuse, or that the MTA would silently discard
 */
export function checkReply(code: unknown, extended: unknown, lines: readonly unknown[]): string[] {
  if (typeof code !== 'string' || !CODE.test(code)) {
    throw badReply(`the code must be '4xx' or '5xx', three digits in a string, not ${JSON.stringify(code)}`);
  }
  if (extended !== null && (typeof extended !== 'string' || !EXTENDED.test(extended))) {
    throw badReply(`the extended code must look like '5.7.1', or be null, not ${JSON.stringify(extended)}`);
  }
  if (lines.length > MAX_REPLY_LINES) throw badReply(`at most ${MAX_REPLY_LINES} lines, not ${lines.length}`);
  if (lines.length === 1 && lines[0] === null) return [];
  const texts: string[] = [];
  for (const line of lines) {
    checkLine(line);
    texts.push(line);
  }
  return texts;
}
