/** Writing of multiparts: their parts between the bytes that separate them. */
import type { ByteSource } from './byte-source.js';
import { CR, LF } from './lines.js';

const isBreak = (byte: number | undefined): boolean => byte === LF || byte === CR;

/**
 * Yields the content of a multipart.
 *
 * @param frames the bytes before, between and after the parts: one frame more than there are parts
 * @param parts what is written for each part
 * @param lineBreak inserted before a boundary that would otherwise not begin a line
 */
export function* joinParts(
  frames: readonly Buffer[],
  parts: readonly Iterable<Buffer | ByteSource>[],
  lineBreak: string,
): Generator<Buffer | ByteSource> {
  let last: number | undefined = LF;
  for (const [index, frame] of frames.entries()) {
    // If the boundary came directly after the head of a part, there was no line break before it; content added later needs one.
    if (frame.length > 0 && !isBreak(frame[0]) && !isBreak(last)) yield Buffer.from(lineBreak);
    yield frame;
    last = frame.at(-1) ?? last;
    for (const piece of parts[index] ?? []) {
      yield piece;
      // A ByteSource replaces content that was read, so the frame after it begins with a line break.
      if (Buffer.isBuffer(piece)) last = piece.at(-1) ?? last;
    }
  }
}

/** Whether a line of `body` would be read as one of the boundaries. */
export function hasBoundaryLine(body: Buffer, boundaries: Iterable<string>): boolean {
  for (const boundary of boundaries) {
    const line = Buffer.from(`--${boundary}`, 'latin1');
    for (let at = body.indexOf(line); at >= 0; at = body.indexOf(line, at + line.length)) {
      if (at === 0 || isBreak(body[at - 1])) return true;
    }
  }
  return false;
}
