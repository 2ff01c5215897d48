/** The SMTP reply that goes with a REJECT or TEMPFAIL. */
import { badReply, fits, requirement } from '../internal/wire-text.js';

/** Lines that libmilter accepts (its MAXREPLIES). */
export const MAX_REPLY_LINES = 32;
/** Bytes in a line that libmilter accepts (its MAXREPLYLEN). */
export const MAX_REPLY_BYTES = 980;
/**
 * Octets in a whole reply. Sendmail has 16,384 bytes for one, in which it may also name the address; it cuts a longer one between
 * two lines, so that the client waits for the last line and takes the replies to its next commands for it.
 */
export const MAX_REPLY_OCTETS = 16_000;

/** Whether a `%` is not doubled: the MTA would read it, and what follows, as a format. */
function hasLonePercent(line: string): boolean {
  return (line.match(/%+/g) ?? []).some((run) => run.length % 2 === 1);
}

function checkLine(action: string, line: unknown): asserts line is string {
  if (typeof line !== 'string') throw badReply(action, `a line must be a string, not ${typeof line}`);
  if (/[\r\n]/.test(line))
    throw badReply(action, 'a line must not contain CR or LF; pass each line as an argument');
  if (!fits('replyLine', line)) {
    throw badReply(
      action,
      `a line must be ${requirement('replyLine')}; setReplyText replaces what may not stand there`,
    );
  }
  if (hasLonePercent(line)) throw badReply(action, `write %% for a percent sign, in ${JSON.stringify(line)}`);
  if (line.length > MAX_REPLY_BYTES)
    throw badReply(action, `a line must not be longer than ${MAX_REPLY_BYTES} bytes`);
}

/** The octets of a line as the client gets it: `550-5.7.1 text`, CR and LF. */
export function lineOctets(extended: string, text: string): number {
  return '550-'.length + extended.length + 1 + text.length + 2;
}

/** Refuses what cannot be the code of a reply. @throws MilterError ERR_MILTER_BAD_REPLY */
export function checkCode(action: string, code: unknown): asserts code is string {
  if (typeof code === 'string' && fits('replyCode', code)) return;
  throw badReply(
    action,
    `the code must be '4xx' or '5xx', three digits in a string, not ${JSON.stringify(code)}`,
  );
}

/** Refuses what cannot be the extended code of a reply with this code. @throws MilterError ERR_MILTER_BAD_REPLY */
export function checkExtended(action: string, code: string, extended: unknown): asserts extended is string {
  if (typeof extended !== 'string' || !fits('extendedCode', extended)) {
    throw badReply(
      action,
      `the extended code must look like '5.7.1', or be null, not ${JSON.stringify(extended)}`,
    );
  }
  if (extended[0] !== code[0]) {
    throw badReply(
      action,
      `the codes ${code} and ${extended} are of different classes (RFC 3463): Postfix would call the reply malformed`,
    );
  }
}

/**
 * Checks a reply and returns its lines.
 * @throws MilterError ERR_MILTER_BAD_REPLY for a reply that libmilter would refuse, or that the MTA would drop or change
 */
export function checkReply(code: unknown, extended: unknown, lines: readonly unknown[]): string[] {
  const action = 'setreply';
  checkCode(action, code);
  if (extended !== null) checkExtended(action, code, extended);
  if (lines.length > MAX_REPLY_LINES)
    throw badReply(action, `at most ${MAX_REPLY_LINES} lines, not ${lines.length}`);
  if (lines.length === 1 && lines[0] === null) return [];
  const texts: string[] = [];
  for (const line of lines) {
    checkLine(action, line);
    texts.push(line);
  }
  const octets = texts.reduce(
    (sum, text) => sum + lineOctets(extended ?? 'X.0.0', text.replaceAll('%%', '%')),
    0,
  );
  if (octets > MAX_REPLY_OCTETS) {
    throw badReply(
      action,
      `the reply has ${octets} octets with its codes; Sendmail would cut it off after ${MAX_REPLY_OCTETS}`,
    );
  }
  return texts;
}

/**
 * The extended code to send: where there is none and the text begins with a digit, the MTA could read one in it, so that X.0.0
 * is put before it. Several lines get X.0.0 from libmilter.
 */
export function extendedToSend(
  code: string,
  extended: string | null,
  lines: readonly string[],
): string | null {
  return extended === null && /^[0-9]/.test(lines[0] ?? '') ? `${code[0]}.0.0` : extended;
}
