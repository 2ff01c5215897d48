/** The text that replaces a dangerous attachment. */
import type { MimeMessage } from './message.js';

/** Why a part is dangerous. */
export interface Danger {
  /** The name of the part. */
  readonly name: string;
  /** Completes the sentence "It was removed …". */
  readonly reason: string;
}

/** Whether a field describes the content. MIME-Version, in contrast, describes the message. */
const isMimeField = (key: string): boolean => key.startsWith('content-');
/** Fields that are set for the warning. */
const REPLACED: ReadonlySet<string> = new Set([
  'content-type',
  'content-disposition',
  'content-transfer-encoding',
]);

/**
 * Replaces the content of a part by a text that says what was removed, by whom, and where the original is.
 *
 * @param host the host of the filter
 * @param savname where the original message is saved, or null if it is not
 */
export function replaceWithWarning(
  part: MimeMessage,
  danger: Danger,
  host: string,
  savname: string | null,
): void {
  const lines = [
    `The attachment ${JSON.stringify(danger.name)} was removed by the mail filter of ${host},`,
    `${danger.reason}.`,
    ...(savname === null ? [] : [`The original message is saved there as ${JSON.stringify(savname)}.`]),
    'If you expected it, ask the sender for it in another way.',
    '',
  ];
  const text = lines.join(part.lineBreak);
  const plain = /^[\0-\x7f]*$/.test(text);
  part.deleteGarbage();
  for (const name of part.fieldNames((key) => isMimeField(key) && !REPLACED.has(key)))
    part.deleteHeader(name);
  part.setHeader('Content-Type', 'text/plain; charset=utf-8; name="WARNING.TXT"');
  part.setHeader('Content-Disposition', 'inline; filename="WARNING.TXT"');
  part.setHeader('Content-Transfer-Encoding', plain ? '7bit' : 'quoted-printable');
  part.setPayload(text, plain ? '7bit' : 'quoted-printable');
}
