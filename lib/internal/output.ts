/** Writes lines to stdout and stderr, for a filter that must keep running when nothing reads them any more. */

import { printableLines } from './printable.js';

/** Streams whose errors are ignored. Without a listener, Node ends the process on a stream error. */
const guarded = new WeakSet<NodeJS.WriteStream>();

/**
 * Writes a line, or several. Unprintable characters other than line breaks and tabs are escaped. What cannot be written is lost
 * without further effect.
 */
export function writeLine(stream: NodeJS.WriteStream, line: string): void {
  if (!guarded.has(stream)) {
    guarded.add(stream);
    stream.on('error', () => {}); // EPIPE: the reader has closed its end
  }
  stream.write(`${printableLines(line)}\n`);
}
