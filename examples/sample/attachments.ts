/** Finds attachments with dangerous names and puts a warning in their place. A first version, on mailsplit. */
import { pipeline, type Readable } from 'node:stream';
import { type MimeNode, type Piece, Splitter } from 'mailsplit';

/** What Windows runs when it is clicked on. */
const DANGEROUS = new Set(
  (
    'ade adp asd asx bas bat chm cmd com cpl crt dll exe hlp hta inf ins iso isp jar js jse lnk mdb mde msc msi msp ' +
    'mst ocx pcd pif ps1 reg scr sct shs url vb vbe vbs wsc wsf wsh'
  ).split(' '),
);

/** Whether a file of this name is dangerous. Windows ignores blanks and dots at the end of a name. */
export function isDangerous(filename: string): boolean {
  const extension = /\.([^.]*)$/.exec(filename.replace(/[\s.]+$/, ''))?.[1];
  return extension !== undefined && DANGEROUS.has(extension.toLowerCase());
}

/** Who warns, and of what. */
export interface Warning {
  /** The headers of the warning, without the name of the part that it stands for. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly text: Buffer;
}

/** The part that stands for the attachment `filename`, which `host` has taken away. */
export function warningFor(filename: string, host: string): Warning {
  const text =
    `The attachment ${JSON.stringify(filename)} was removed by the mail filter of ${host},\r\n` +
    'because files of this kind can harm the computer they are opened on.\r\n' +
    'If you expected it, ask the sender for it in another way.\r\n';
  const plain = /^[\0-\x7f]*$/.test(text);
  return {
    headers: [
      ['Content-Type', 'text/plain; charset=utf-8; name="WARNING.TXT"'],
      ['Content-Disposition', 'inline; filename="WARNING.TXT"'],
      ['Content-Transfer-Encoding', plain ? '7bit' : 'base64'],
    ],
    text: Buffer.from(plain ? text : wrap(Buffer.from(text).toString('base64'))),
  };
}

const wrap = (base64: string): string => base64.replace(/.{1,76}/g, '$&\r\n');

const isAttachment = (node: MimeNode): boolean =>
  !node.multipart && node.filename !== false && isDangerous(node.filename);

async function* piecesOf(message: Readable): AsyncGenerator<Piece> {
  const splitter = pipeline(message, new Splitter(), () => {}); // the loop below gets the error
  yield* splitter as AsyncIterable<Piece>;
}

/** The names of a message's dangerous attachments. */
export async function dangerousNames(message: Readable): Promise<string[]> {
  const names: string[] = [];
  for await (const piece of piecesOf(message)) {
    if (piece.type === 'node' && isAttachment(piece)) names.push(piece.filename as string);
  }
  return names;
}

/**
 * The body of a message with its dangerous attachments replaced, piece by piece, and all else byte for byte.
 *
 * @param host who says the warning
 * @param retitle called where the message itself is the attachment: its headers are for the caller to change
 */
export async function* withoutDangers(
  message: Readable,
  host: string,
  retitle: (warning: Warning) => void,
): AsyncGenerator<Buffer> {
  for await (const piece of piecesOf(message)) {
    if (piece.type !== 'node') {
      if (piece.type === 'data' || !isAttachment(piece.node)) yield piece.value;
      continue;
    }
    if (isAttachment(piece)) {
      const warning = warningFor(piece.filename as string, host);
      if (piece.root) retitle(warning);
      else yield headerBlock(warning);
      yield warning.text;
    } else if (!piece.root) {
      yield piece.getHeaders();
    }
  }
}

function headerBlock({ headers }: Warning): Buffer {
  return Buffer.from(`${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
}
