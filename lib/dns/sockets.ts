/** Sends one question to one server, over UDP or TCP. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIP } from 'node:net';
import type { DnsQuestion } from './record-types.js';
import type { ServerAddress } from './servers.js';
import { decodeAnswer, encodeQuestion, type WireAnswer } from './wire.js';

/** A question, and how it is sent. */
export interface Query {
  readonly question: DnsQuestion;
  /** Whether it has an OPT record (RFC 6891). */
  readonly edns: boolean;
  /** Aborts it. */
  readonly signal: AbortSignal;
  /** Whether the process stays alive for it. */
  readonly ref: boolean;
}

/**
 * Asks over UDP. Resolves with the first datagram that answers the question; all others are ignored, because they may be forged.
 *
 * @throws MalformedAnswer, an error of the socket, or the reason of the signal
 */
export function askUdp(server: ServerAddress, { question, edns, signal, ref }: Query): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const id = randomId();
    const socket = createSocket(isIP(server.address) === 6 ? 'udp6' : 'udp4');
    let ended = false;
    const end = (finish: () => void) => {
      if (ended) return;
      ended = true;
      signal.removeEventListener('abort', aborted);
      socket.close();
      finish();
    };
    const fail = (error: unknown) => end(() => reject(error));
    const aborted = () => fail(signal.reason);
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) return aborted();
    if (!ref) socket.unref();
    socket.on('error', fail);
    socket.on('message', (bytes) => {
      try {
        const answer = decodeAnswer(bytes, id, question);
        if (answer !== undefined) end(() => resolve(answer));
      } catch (error) {
        fail(error);
      }
    });
    // A connected socket receives datagrams from this server only, and reports an unreachable port. If the server's address
    // itself is unreachable, the callback gets the error, and no event tells it.
    socket.connect(server.port, server.address, (error?: Error) => {
      if (error) fail(error);
      else socket.send(encodeQuestion(id, question, edns));
    });
  });
}

/**
 * Asks over TCP, where two octets with its length precede each message (RFC 1035 4.2.2).
 *
 * @throws MalformedAnswer, an error of the socket, or the reason of the signal
 */
export function askTcp(server: ServerAddress, { question, edns, signal, ref }: Query): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const id = randomId();
    const socket = connect({ host: server.address, port: server.port, signal });
    const incoming = new LengthPrefixed();
    const end = (finish: () => void) => {
      socket.destroy();
      finish();
    };
    if (!ref) socket.unref();
    socket.once('connect', () => {
      const message = encodeQuestion(id, question, edns);
      socket.write(Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]));
    });
    socket.on('data', (bytes) => {
      try {
        const message = incoming.add(bytes);
        if (message === undefined) return;
        const answer = decodeAnswer(message, id, question);
        if (answer === undefined || answer.truncated)
          throw new Error('the message does not answer the question');
        end(() => resolve(answer));
      } catch (error) {
        end(() => reject(error));
      }
    });
    socket.on('error', (error) => end(() => reject(error)));
    socket.once('close', () => reject(new Error('the server closed the connection before its answer')));
  });
}

/** Random (RFC 5452 4.3), as is the port, which the kernel chooses for each socket. */
const randomId = () => randomInt(0x10000);

/** Collects a message behind its length, however it is divided. */
class LengthPrefixed {
  /** The first octets, until the length is known. */
  #prefix = Buffer.alloc(0);
  #message: Buffer | undefined;
  #filled = 0;

  /** @returns the message when it is complete */
  add(bytes: Buffer): Buffer | undefined {
    let rest = bytes;
    if (this.#message === undefined) {
      const start = Buffer.concat([this.#prefix, bytes]);
      if (start.length < 2) {
        this.#prefix = start;
        return undefined;
      }
      this.#message = Buffer.alloc(start.readUInt16BE(0));
      rest = start.subarray(2);
    }
    this.#filled += rest.copy(this.#message, this.#filled);
    return this.#filled === this.#message.length ? this.#message : undefined;
  }
}
