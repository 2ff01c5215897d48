/** Splits bytes into lines, within limits. */
import { decodeBytes } from './bytes.js';
import type { FileErrors } from './reloaded-file.js';

const LF = 0x0a;
const CR = 0x0d;

/** Limits that keep a file, or another one put in its place by mistake (a log, a core dump), from filling the memory. */
export interface LineLimits {
  readonly maxBytes: number;
  readonly maxLineLength: number;
}

/** A line of a file and its number, starting at 1. */
export type NumberedLine = readonly [line: string, number: number];

/**
 * The lines of `chunks`, without line breaks. Bytes that are not UTF-8 become U+DC80..U+DCFF, as in the arguments of handlers.
 *
 * @throws the error of `fail` if a limit is exceeded
 */
export async function* linesOf(
  chunks: AsyncIterable<Buffer>,
  { maxBytes, maxLineLength }: LineLimits,
  fail: FileErrors,
): AsyncGenerator<NumberedLine> {
  let rest: Buffer = Buffer.alloc(0);
  let bytes = 0;
  let number = 0;
  const line = (content: Buffer): NumberedLine => {
    number++;
    if (content.length > maxLineLength) throw tooLong();
    return [decodeBytes(content.at(-1) === CR ? content.subarray(0, -1) : content), number];
  };
  const tooLong = () =>
    fail(`line ${number} is longer than ${maxLineLength} bytes (maxLineLength); is it the right file?`);

  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw fail(`has more than ${maxBytes} bytes; raise maxBytes if that is intended`);
    const data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let start = 0;
    for (let end = data.indexOf(LF); end >= 0; end = data.indexOf(LF, start)) {
      yield line(data.subarray(start, end));
      start = end + 1;
    }
    rest = data.subarray(start);
    // Checked here, so that a line that is too long is not copied again with every chunk.
    if (rest.length > maxLineLength) yield line(rest);
  }
  if (rest.length > 0) yield line(rest);
}
