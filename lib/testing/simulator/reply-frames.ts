/** The frame that libmilter sends for a verdict (sendreply in engine.c, smfi_setreply and smfi_setmlreply in smfi.c). */
import { ACCEPT, CONTINUE, DISCARD, REJECT, SKIP, TEMPFAIL } from '../../addon/constants.js';
import { encodeBytes } from '../../internal/bytes.js';
import { Answer } from '../wire/protocol.js';
import { parseVerdict, type Response } from '../wire/replies.js';
import type { ReplyArguments } from './mta.js';

const FRAMES: ReadonlyMap<number, number> = new Map([
  [CONTINUE, Answer.CONTINUE],
  [REJECT, Answer.REJECT],
  [DISCARD, Answer.DISCARD],
  [ACCEPT, Answer.ACCEPT],
  [TEMPFAIL, Answer.TEMPFAIL],
  [SKIP, Answer.SKIP],
]);

const EMPTY = Buffer.alloc(0);

/** The text of a reply as setreply leaves it for the MTA. */
export function replyText(...[code, extended, lines]: ReplyArguments): string {
  if (lines.length <= 1) {
    return `${code} ${[...(extended ? [extended] : []), ...lines].join(' ')}`;
  }
  const codes = extended || (code.startsWith('4') ? '4.0.0' : '5.0.0');
  return lines
    .map((line, index) => `${code}${index < lines.length - 1 ? '-' : ' '}${codes} ${line}`)
    .join('\r\n');
}

/** The response to a verdict for which no reply was set. */
export function verdictResponse(verdict: number): Response | undefined {
  return parseVerdict(FRAMES.get(verdict) as number, EMPTY);
}

/** The response with the text that setreply left. */
export function replyResponse(text: string): Response | undefined {
  return parseVerdict(Answer.REPLYCODE, encodeBytes(`${text}\0`));
}
