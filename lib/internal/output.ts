/** Lines to stdout and stderr from a filter that must live on when nobody reads them any more. */

/** Streams whose errors are caught. Node ends a process for a stream error that nobody listens to. */
const guarded = new WeakSet<NodeJS.WriteStream>();

/** Writes a line; one that cannot be written is lost, and nothing else. */
export function writeLine(stream: NodeJS.WriteStream, line: string): void {
  if (!guarded.has(stream)) {
    guarded.add(stream);
    stream.on('error', () => {}); // EPIPE: the reader has gone
  }
  stream.write(`${line}\n`);
}
