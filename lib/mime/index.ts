/**
 * Messages and their attachments: parsing, traversal, editing, writing, and removal of dangerous content.
 * @module tsmilter/mime
 */
export { checkAttachments } from './attachments.js';
export type { NamePair } from './content.js';
export {
  type DefangOptions,
  DefangStream,
  type DefangStreamOptions,
  defang,
  defangStream,
  type NameCheck,
} from './defang.js';
export { checkExt, DANGEROUS_EXTENSIONS, PYMILTER_EXTENSIONS } from './extensions.js';
export { MIME_LIMITS, type MimeLimitOptions, type MimeLimits } from './limits.js';
export { type HeaderChange, MimeMessage } from './message.js';
export { messageFromFile } from './message-from-file.js';
export { removeScripts } from './scripts.js';
export type { MessageSource } from './source.js';
export type { TransferEncoding } from './transfer-encoding.js';
export { zipnames } from './zip.js';
