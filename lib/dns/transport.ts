/**
 * Sends questions to DNS servers: over UDP first, over TCP if the answer does not fit, and to the next server if one fails.
 *
 * node:dns is not used for this, because it returns the records of an answer without their names. Records that a hostile
 * server has added for other names could not be told apart from those that were requested.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { connect, isIP } from 'node:net';
import { badArgument, type MilterError } from '../internal/errors.js';
import { checkInteger } from '../internal/validate.js';
import { Deadline } from './deadline.js';
import { DnsError } from './error.js';
import { decodeAnswer, encodeQuestion } from './packet.js';
import type { DnsAnswer, DnsExchange, DnsQuestion } from './record-types.js';

export interface TransportOptions {
  /** DNS servers, with or without a port: `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:5353`. Default: those of the system. */
  readonly servers?: readonly string[];
  /** Milliseconds to wait for an answer from one server. Default: 2,000. */
  readonly timeout?: number;
  /** How many times each server is asked. Default: 2. */
  readonly tries?: number;
}

interface Server {
  readonly address: string;
  readonly port: number;
}

/** An exchange with DNS servers. @throws MilterError ERR_MILTER_BAD_ARGUMENT for a server that is not an IP address */
export function networkExchange({ servers, timeout = 2000, tries = 2 }: TransportOptions): DnsExchange {
  for (const [name, value] of Object.entries({ timeout, tries }))
    checkInteger(`DnsSession: ${name}`, value, 1);
  const all = (servers ?? getServers()).map(serverOf);
  if (all.length === 0) throw badArgument('DnsSession: servers: none is given, and the system has none');
  return async (question, signal) => {
    let failure: DnsAnswer | DnsError | undefined;
    for (let round = 0; round < tries; round++) {
      for (const server of all) {
        const outcome = await askServer(server, question, timeout, signal);
        if (isAnswer(outcome)) return outcome;
        failure = outcome;
      }
    }
    if (failure instanceof DnsError) throw failure;
    return failure as DnsAnswer;
  };
}

/** Whether an outcome is an answer about the name, rather than a failure of the server. */
function isAnswer(outcome: DnsAnswer | DnsError): outcome is DnsAnswer {
  return 'rcode' in outcome && (outcome.rcode === 'NOERROR' || outcome.rcode === 'NXDOMAIN');
}

async function askServer(
  server: Server,
  question: DnsQuestion,
  timeout: number,
  signal: AbortSignal,
): Promise<DnsAnswer | DnsError> {
  using deadline = new Deadline(timeout, signal);
  try {
    const answer = await askUdp(server, question, deadline.signal);
    return answer.truncated ? await askTcp(server, question, deadline.signal) : answer;
  } catch (error) {
    const fail = (code: 'ETIMEOUT' | 'ECANCELLED' | 'ESERVFAIL', detail: string) =>
      new DnsError(code, question.type, question.name, detail);
    if (signal.aborted) throw fail('ECANCELLED', 'the lookup was aborted');
    if (deadline.passed) return fail('ETIMEOUT', `no answer from ${server.address} within ${timeout} ms`);
    return fail('ESERVFAIL', `${server.address}: ${(error as Error).message}`);
  }
}

type Answer = DnsAnswer & { truncated: boolean };

/** Resolves with the first datagram that answers the question; all others are ignored, because they may be forged. */
function askUdp({ address, port }: Server, question: DnsQuestion, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const id = randomInt(0x10000); // random (RFC 5452 4.3), like the port, which the kernel chooses for each socket
    const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
    let ended = false;
    const end = (finish: () => void) => {
      if (ended) return;
      ended = true;
      signal.removeEventListener('abort', aborted);
      socket.close();
      finish();
    };
    const aborted = () => end(() => reject(signal.reason));
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) return aborted();
    socket.once('error', (error) => end(() => reject(error)));
    socket.on('message', (bytes) => {
      const answer = decodeAnswer(bytes, id, question);
      if (answer !== undefined) end(() => resolve(answer));
    });
    // A connected socket receives datagrams from this server only, and reports an unreachable port.
    // If the server cannot be reached, the callback gets the error, and 'error' is not emitted.
    socket.connect(port, address, (error?: Error) => {
      if (error) end(() => reject(error));
      else socket.send(encodeQuestion(id, question));
    });
  });
}

/** Over TCP, two bytes with its length precede each message (RFC 1035 4.2.2). */
function askTcp({ address, port }: Server, question: DnsQuestion, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const id = randomInt(0x10000);
    const socket = connect({ host: address, port, signal });
    let received = Buffer.alloc(0);
    const end = (finish: () => void) => {
      socket.destroy();
      finish();
    };
    socket.once('connect', () => {
      const message = encodeQuestion(id, question);
      socket.write(Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]));
    });
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const answer = decodeAnswer(received.subarray(2, 2 + received.readUInt16BE(0)), id, question);
      end(() =>
        answer === undefined
          ? reject(new Error('the message does not answer the question'))
          : resolve(answer),
      );
    });
    socket.once('error', (error) => end(() => reject(error)));
    socket.once('close', () => reject(new Error('the server closed the connection before its answer')));
  });
}

function serverOf(text: string): Server {
  if (isIP(text) !== 0) return { address: text, port: 53 };
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? '';
  const number = Number(port);
  if (isIP(address) !== (bracketed === undefined ? 4 : 6) || number < 1 || number > 65535)
    throw badServer(text);
  return { address, port: number };
}

function badServer(text: string): MilterError {
  return badArgument(
    `DnsSession: servers: ${text} is not an IP address with an optional port, such as 192.0.2.53:53 or [2001:db8::53]:53`,
  );
}
