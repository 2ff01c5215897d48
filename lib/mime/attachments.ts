/** Checks each part of a message, for filters with rules of their own. */
import { CONTINUE } from '../addon/constants.js';
import type { Answer, Status } from '../addon/status.js';
import type { MimeMessage } from './message.js';

/**
 * Calls `check` for each leaf of the message, including those of attached messages, until it returns a status other than
 * CONTINUE (pymilter's `check_attachments`).
 *
 * @returns the last status
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
