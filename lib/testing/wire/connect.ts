/** Connecting to a filter: the time limit, and the attempts that are worth repeating. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MilterError } from '../../internal/errors.js';
import type { SocketTarget } from './socket-spec.js';

/** Pause between attempts to connect. */
const RETRY_MS = 10;

/** connect() fails with EAGAIN where the queue of a unix socket (20 with libmilter) is full. */
const BUSY = new Set(['EAGAIN']);
const NOT_LISTENING = new Set(['EAGAIN', 'ENOENT', 'ECONNREFUSED']);

/** Connects once, within `timeout` milliseconds (0: no limit). */
function connectOnce(target: SocketTarget, timeout: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(target);
    const onTimeout = (): void => {
      socket.destroy();
      const message = `the filter did not accept the connection within ${timeout} ms`;
      reject(new MilterError('ERR_MILTER_TIMEOUT', message));
    };
    const timer = timeout > 0 ? setTimeout(onTimeout, timeout) : undefined;
    const onError = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeListener('error', onError);
      // A step is one write; with Nagle's algorithm the next one would wait for the ACK of the last.
      if ('port' in target) socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/**
 * Connects to a filter within `timeout` milliseconds (0: no limit).
 *
 * A unix socket whose queue is full is tried again until the time is over, because a test may start a thousand sessions
 * at once.
 *
 * @param retry - whether to try again also while no filter listens there yet
 */
export async function connectToFilter(
  target: SocketTarget,
  timeout: number,
  retry: boolean,
): Promise<Socket> {
  const end = timeout > 0 ? Date.now() + timeout : Number.POSITIVE_INFINITY;
  const retryable = retry ? NOT_LISTENING : BUSY;
  for (;;) {
    try {
      return await connectOnce(target, timeout);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      if (!retryable.has(code) || Date.now() >= end) throw error;
    }
    await sleep(RETRY_MS);
  }
}
