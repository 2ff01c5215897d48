/**
 * Asks DNS servers: UDP first, TCP where the answer does not fit, the next server where one fails.
 *
 * node:dns is not used for this: it hands out the records of an answer without the names they stand under, those of names that
 * nobody asked for among them, so that what a hostile server slips in could not be told from what was asked.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { connect, isIP } from 'node:net';
import { badArgument, type MilterError } from '../internal/errors.js';
import { Deadline } from './deadline.js';
import { DnsError } from './error.js';
import { decodeAnswer, encodeQuestion } from './packet.js';
import type { DnsAnswer, DnsExchange, DnsQuestion } from './record-types.js';

export interface TransportOptions {
  /** As in `/etc/resolv.conf`, or with a port: `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:5353`. Default: the system's. */
  readonly servers?: readonly string[];
  /** Milliseconds to wait for one server's answer. Default: 2,000. */
  readonly timeout?: number;
  /** How often each server is asked. Default: 2. */
  readonly tries?: number;
}

interface Server {
  readonly address: string;
  readonly port: number;
}

/** @throws MilterError ERR_MILTER_BAD_ARGUMENT for a server that is not an address */
export function overTheNetwork({ servers, timeout = 2000, tries = 2 }: TransportOptions): DnsExchange {
  const all = (servers ?? getServers()).map(serverOf);
  if (all.length === 0) throw badServer('none is given, and the system has none');
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

/** Whether it is an answer about the name, rather than about the server. */
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
    if (signal.aborted) throw fail('ECANCELLED', 'given up, since the session has ended');
    if (deadline.passed) return fail('ETIMEOUT', `no answer from ${server.address} within ${timeout} ms`);
    return fail('ESERVFAIL', `${server.address}: ${(error as Error).message}`);
  }
}

type Answer = DnsAnswer & { truncated: boolean };

/** Resolves with the first datagram that answers the question; others are passed over, as forgeries would be. */
function askUdp({ address, port }: Server, question: DnsQuestion, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const id = randomInt(0x10000); // RFC 5452 4.3; the port is the kernel's choice, another for each socket
    const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
    const end = (finish: () => void) => {
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
    // A connected socket takes datagrams of this server only, and learns that nobody listens there.
    socket.connect(port, address, () => socket.send(encodeQuestion(id, question)));
  });
}

/** RFC 7766: a length of two bytes before each message. */
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
        answer === undefined ? reject(new Error('not an answer to the question')) : resolve(answer),
      );
    });
    socket.once('error', (error) => end(() => reject(error)));
    socket.once('close', () => reject(new Error('closed the connection before its answer')));
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
    `DnsSession: servers: ${text}: write an address, or an address and a port: 192.0.2.53:53, [2001:db8::53]:53`,
  );
}
