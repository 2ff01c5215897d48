/** One request to a scanner and its answer, over a connection of its own, within a time limit. */
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { Deadline } from '../internal/deadline.js';
import { onAbort } from '../internal/on-abort.js';
import type { Lanes } from './lanes.js';
import type { ScanOptions, Settings } from './options.js';
import { ScanError } from './scan-error.js';

/** A message, or another text: bytes, or a stream of bytes. */
export type ScanSource = Uint8Array | AsyncIterable<Uint8Array>;

/** An answer longer than this is none. */
const MAX_ANSWER = 1024 * 1024;

/** Sends a request and reads the answer to its end. */
export interface Exchange {
  readonly scanner: string;
  readonly settings: Settings;
  readonly lanes: Lanes;
  /** The request, in pieces. */
  readonly request: AsyncIterable<Uint8Array>;
  /** Whether our side of the connection is closed after the request. */
  readonly half: boolean;
}

/** @throws ScanError; the caller's reason, if its signal ends the scan; an error of the source of the request */
export async function exchange(what: Exchange, { signal }: ScanOptions): Promise<Buffer> {
  const { scanner, settings, lanes } = what;
  using deadline = new Deadline(settings.timeout, signal);
  let leave: (() => void) | undefined;
  try {
    leave = await lanes.enter(deadline.signal);
    return await converse(what, deadline.signal);
  } catch (error) {
    throw failureOf(scanner, error, deadline, signal);
  } finally {
    leave?.();
  }
}

/** An error of the source of a message, on its way to the caller. */
class SourceFailure extends Error {}

/** What a scan that has failed throws: a ScanError, unless the caller has ended it or its source has failed. */
export function failureOf(
  scanner: string,
  error: unknown,
  deadline: Deadline,
  signal: AbortSignal | undefined,
): unknown {
  if (error instanceof ScanError) return error;
  if (signal?.aborted) return signal.reason;
  if (deadline.passed)
    return new ScanError(scanner, 'timeout', 'no answer in time (timeout)', { cause: error });
  if (error instanceof SourceFailure) return error.cause;
  return new ScanError(scanner, 'unreachable', `no connection: ${(error as Error).message}`, {
    cause: error,
  });
}

async function converse(
  { scanner, settings, request, half }: Exchange,
  deadline: AbortSignal,
): Promise<Buffer> {
  const socket = connect({ ...settings.address, allowHalfOpen: true });
  const unsubscribe = onAbort(deadline, () => socket.destroy(deadline.reason as Error));
  try {
    const answer = readAnswer(scanner, socket);
    // A scanner may answer and hang up before it has all of the request, as clamd does with a message that is too large. So the
    // end of the request is not waited for; but a source that fails ends the scan.
    const sourceFailed = send(socket, request, half).then(() => answer);
    const answered = await Promise.race([answer, sourceFailed]);
    if (answered.length === 0) throw new ScanError(scanner, 'unreachable', 'it hung up without an answer');
    return answered;
  } finally {
    unsubscribe();
    socket.destroy();
  }
}

async function send(socket: Socket, request: AsyncIterable<Uint8Array>, half: boolean): Promise<void> {
  for await (const piece of request) {
    // Writing nothing fails, too, if the scanner has answered and gone.
    if (piece.length === 0) continue;
    // What has arrived is read first: a write to a scanner that has answered and gone would lose its answer.
    await setImmediate();
    if (socket.destroyed || socket.readableEnded) return;
    if (!socket.write(piece)) await drained(socket);
  }
  if (half) socket.end();
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ['drain', 'close', 'end']) socket.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'end']) socket.on(event, done);
  });
}

function readAnswer(scanner: string, socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let size = 0;
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece);
      size += piece.length;
      if (size > MAX_ANSWER)
        socket.destroy(new ScanError(scanner, 'protocol', `an answer of more than ${MAX_ANSWER} bytes`));
    });
    socket.on('end', () => resolve(Buffer.concat(pieces)));
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => {
      if (failure && size === 0) reject(failure);
      else if (failure instanceof ScanError) reject(failure);
      else resolve(Buffer.concat(pieces));
    });
  });
}

/** The pieces of a source. @throws ScanError `too large`, and what {@link failureOf} makes the source's own error of */
export async function* piecesOf(
  scanner: string,
  source: ScanSource,
  maxSize: number,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const piece of source instanceof Uint8Array ? [source] : guarded(source)) {
    size += piece.length;
    if (size > maxSize)
      throw new ScanError(scanner, 'too large', `the message has more than ${maxSize} bytes (maxSize)`);
    yield piece;
  }
}

async function* guarded(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    throw new SourceFailure('the source of a message failed', { cause: error });
  }
}
