/** Reading of a message from where it is. */
import { checkLimits, type MimeLimitOptions } from './limits.js';
import { MimeMessage } from './message.js';
import { type MessageSource, readAll } from './source.js';

/**
 * Reads a message from a file or a stream (pymilter's `message_from_file`).
 *
 * @param source the path of a file, a stream of bytes, or bytes
 * @throws MilterError ERR_MILTER_MIME_LIMIT, ERR_MILTER_BAD_ARGUMENT, and what reading the source throws
 */
export async function messageFromFile(
  source: MessageSource,
  options?: MimeLimitOptions,
): Promise<MimeMessage> {
  const limits = checkLimits('messageFromFile', options);
  return MimeMessage.from(await readAll(source, limits), limits);
}
