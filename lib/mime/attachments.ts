/** Checks of a message's parts, for filters with rules of their own. */
import { CONTINUE } from '../addon/constants.js';
import type { Answer, Status } from '../addon/status.js';
import type { MimeMessage } from './message.js';

/**
 * Asks `check` about each part that has no parts in it, attached messages included, until it answers other than CONTINUE
 * (pymilter's `check_attachments`).
 *
 * @returns the last answer
 */
export async function checkAttachments(
  message: MimeMessage,
  check: (part: MimeMessage) => Answer,
): Promise<Status> {
  for (const part of message.walk()) {
    if (part.parts.length > 0) continue;
    const status = await check(part);
    if (status !== CONTINUE) return status;
  }
  return CONTINUE;
}
