/** The part that stands for one that was taken away. */
import type { MimeMessage } from './message.js';

/** Why a part is dangerous. */
export interface Danger {
  /** What the part is called. */
  readonly name: string;
  /** The end of the sentence "It was removed …". */
  readonly because: string;
}

/** Fields that describe the content that is gone. MIME-Version describes the message. */
const isMimeField = (key: string): boolean => key.startsWith('content-');
const KEPT: ReadonlySet<string> = new Set([
  'content-type',
  'content-disposition',
  'content-transfer-encoding',
]);

/**
 * Turns a part into a text that tells what was taken away, by whom, and where the original is.
 *
 * @param host who says it
 * @param savname where the original message is saved; null where it is not
 */
export function replaceWithWarning(
  part: MimeMessage,
  danger: Danger,
  host: string,
  savname: string | null,
): void {
  const lines = [
    `The attachment ${JSON.stringify(danger.name)} was removed by the mail filter of ${host},`,
    `${danger.because}.`,
    ...(savname === null ? [] : [`The original message is saved there as ${JSON.stringify(savname)}.`]),
    'If you expected it, ask the sender for it in another way.',
    '',
  ];
  const text = lines.join(part.lineBreak);
  const plain = /^[\0-\x7f]*$/.test(text);
  for (const name of part.fieldNames((key) => isMimeField(key) && !KEPT.has(key))) part.deleteHeader(name);
  part.setHeader('Content-Type', 'text/plain; charset=utf-8; name="WARNING.TXT"');
  part.setHeader('Content-Disposition', 'inline; filename="WARNING.TXT"');
  part.setHeader('Content-Transfer-Encoding', plain ? '7bit' : 'quoted-printable');
  part.setPayload(text, plain ? '7bit' : 'quoted-printable');
}
