/** Splits a mailbox file (mbox, in the dialect mboxrd) into its messages. */
import { badArgument } from '../../internal/errors.js';

const LF = 0x0a;
const FROM = Buffer.from('From ');

/** Whether a file with this beginning is a mailbox. A message cannot begin so: a header's name has no space. */
export const isMbox = (beginning: Buffer): boolean => beginning.subarray(0, FROM.length).equals(FROM);

/** A line `From ` in a message is written `>From `, and one that began so gets another `>`. */
const QUOTED_FROM = /^>+From /;

/**
 * The messages of a mailbox, without the lines that separate them.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a message of more than `maxBytes`
 */
export async function* mboxMessages(chunks: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let message: Buffer[] | undefined;
  let bytes = 0;
  let afterEmpty = true;
  for await (const line of rawLines(chunks, maxBytes)) {
    if (afterEmpty && isMbox(line)) {
      if (message) yield Buffer.concat(message);
      message = [];
      bytes = 0;
    } else {
      bytes += line.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      message?.push(unquoted(line));
    }
    afterEmpty = line.length <= 2 && line.toString('latin1').trim() === '';
  }
  if (message) yield Buffer.concat(message);
}

function unquoted(line: Buffer): Buffer {
  return line[0] === 0x3e && QUOTED_FROM.test(line.toString('latin1')) ? line.subarray(1) : line;
}

/** Lines with their ends. A long line is put together once, not again with each chunk. */
async function* rawLines(chunks: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      const piece = chunk.subarray(start, end + 1);
      yield pieces.length === 0 ? piece : Buffer.concat([...pieces, piece]);
      pieces = [];
      length = 0;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    pieces.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > maxBytes) throw tooLarge(maxBytes);
  }
  if (pieces.length > 0) yield Buffer.concat(pieces);
}

function tooLarge(maxBytes: number): Error {
  return badArgument(`a message has more than ${maxBytes} bytes`);
}
