import * as net from 'node:net';
import { TIMEOUT } from '../wait';
import { decodeSmtp } from './smtp-text';

/** A sender or recipient as it was sent: nothing is decoded, normalised or left out. */
export interface EnvelopeAddress {
  /** Without its angle brackets; `''` for the empty sender. */
  readonly address: string;
  /** The ESMTP parameters, such as `NOTIFY=NEVER`, in their order and spelling. */
  readonly params: readonly string[];
  /** The whole argument of MAIL FROM: or RCPT TO:, as bytes. */
  readonly bytes: Buffer;
}

export interface SinkMessage {
  /** The argument of EHLO or HELO. */
  readonly helo: string;
  readonly mailFrom: EnvelopeAddress;
  readonly rcptTo: readonly EnvelopeAddress[];
  /** Every byte between DATA and the final dot, with only the dot-stuffing undone. */
  readonly raw: Buffer;
  /** `raw`, as readable text. */
  readonly text: string;
}

interface Waiter {
  readonly predicate: (message: SinkMessage) => boolean;
  readonly resolve: (message: SinkMessage) => void;
}

/**
 * An SMTP server that keeps messages and envelopes byte by byte.
 *
 * The npm package smtp-server changes envelopes: it decodes commands as UTF-8 (other bytes are lost), decodes xtext
 * parameters, rewrites source routes and punycode domains, refuses invalid addresses, and keeps one of two recipients that
 * differ in case only. A test wants to see such oddities.
 */
export class Sink {
  readonly messages: SinkMessage[] = [];
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #untaken: SinkMessage[] = [];
  readonly #waiters = new Set<Waiter>();

  /** Listens at 127.0.0.1, at a port that the kernel chooses. */
  static async start(): Promise<Sink> {
    const sink = new Sink();
    await new Promise<void>((resolve, reject) => {
      sink.#server.once('error', reject);
      sink.#server.listen(0, '127.0.0.1', resolve);
    });
    // a test that forgets to stop it can still end
    sink.#server.unref();
    return sink;
  }

  private constructor() {
    this.#server = net.createServer((socket) => {
      this.#sockets.add(socket);
      socket.unref();
      socket.setNoDelay(true);
      socket.on('close', () => this.#sockets.delete(socket));
      new Session(socket, (message) => this.#keep(message));
    });
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /**
   * The first message that satisfies the predicate and was not returned before: one that has come already, or the next
   * one.
   */
  next(predicate: (message: SinkMessage) => boolean = () => true, timeout = TIMEOUT): Promise<SinkMessage> {
    const index = this.#untaken.findIndex(predicate);
    if (index >= 0) return Promise.resolve(this.#untaken.splice(index, 1)[0] as SinkMessage);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        predicate,
        resolve: (message) => {
          clearTimeout(timer);
          resolve(message);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        const others = this.#untaken.length;
        reject(new Error(`no such message at the sink within ${timeout} ms (${others} others have come)`));
      }, timeout);
      this.#waiters.add(waiter);
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #keep(message: SinkMessage): void {
    this.messages.push(message);
    for (const waiter of this.#waiters) {
      if (!waiter.predicate(message)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(message);
      return;
    }
    this.#untaken.push(message);
  }
}

const extensions = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'DSN', 'SIZE'];
const endOfData = Buffer.from('\r\n.\r\n');
const stuffedDot = Buffer.from('\r\n..');

/** One connection: a command line at a time, or message data. */
class Session {
  readonly #socket: net.Socket;
  readonly #keep: (message: SinkMessage) => void;
  // Received but not processed yet. In data mode it begins with the CRLF of the DATA command, so that a dot in the first line
  // is no special case.
  #chunks: Buffer[] = [];
  // the end of the previous chunks, for a mark that is split between two of them
  #lastBytes = Buffer.alloc(0);
  #inData = false;
  #helo = '';
  #mailFrom: EnvelopeAddress | undefined;
  #rcptTo: EnvelopeAddress[] = [];

  constructor(socket: net.Socket, keep: (message: SinkMessage) => void) {
    this.#socket = socket;
    this.#keep = keep;
    socket.on('error', () => {}); // an MTA that closes the connection has delivered nothing
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#say('220 sink.test ESMTP');
  }

  #say(...lines: string[]): void {
    this.#socket.write(lines.map((line) => `${line}\r\n`).join(''));
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk);
    const seam = Buffer.concat([this.#lastBytes, chunk]);
    this.#lastBytes = seam.subarray(1 - endOfData.length);
    // The pieces of a long message are joined only when its end has come.
    if (this.#inData && !seam.includes(endOfData)) return;
    let bytes = Buffer.concat(this.#chunks);
    for (;;) {
      const mark = this.#inData ? endOfData : '\r\n';
      const end = bytes.indexOf(mark);
      if (end < 0) break;
      const used = bytes.subarray(0, end);
      bytes = bytes.subarray(end + mark.length);
      if (this.#inData) {
        this.#message(used);
      } else {
        this.#command(used);
        // the CRLF that ended the command is the beginning of the data
        if (this.#inData) bytes = Buffer.concat([Buffer.from('\r\n'), bytes]);
      }
    }
    this.#chunks = [bytes];
  }

  #command(line: Buffer): void {
    const [verb = ''] = line.toString('latin1').toUpperCase().split(' ', 1);
    switch (verb) {
      case 'EHLO':
        this.#reset(decodeSmtp(line.subarray(5)));
        this.#say(
          '250-sink.test',
          ...extensions.slice(0, -1).map((name) => `250-${name}`),
          `250 ${extensions.at(-1)}`,
        );
        break;
      case 'HELO':
        this.#reset(decodeSmtp(line.subarray(5)));
        this.#say('250 sink.test');
        break;
      case 'MAIL':
        this.#mailFrom = parseAddress(line.subarray('MAIL FROM:'.length));
        this.#say('250 2.1.0 Ok');
        break;
      case 'RCPT':
        this.#rcptTo.push(parseAddress(line.subarray('RCPT TO:'.length)));
        this.#say('250 2.1.5 Ok');
        break;
      case 'DATA':
        this.#inData = true;
        this.#say('354 Go on');
        break;
      case 'RSET':
        this.#reset(this.#helo);
        this.#say('250 2.0.0 Ok');
        break;
      case 'QUIT':
        this.#say('221 2.0.0 Bye');
        this.#socket.end();
        break;
      case 'NOOP':
        this.#say('250 2.0.0 Ok');
        break;
      default:
        this.#say('500 5.5.1 Unknown');
    }
  }

  #message(stuffed: Buffer): void {
    this.#inData = false;
    const mailFrom = this.#mailFrom;
    if (!mailFrom) throw new Error('DATA came without MAIL'); // no MTA does
    // the final CRLF belongs to the message, the first one to the DATA command
    const raw = unstuff(Buffer.concat([stuffed, Buffer.from('\r\n')])).subarray(2);
    const rcptTo = this.#rcptTo;
    this.#keep({ helo: this.#helo, mailFrom, rcptTo, raw, text: decodeSmtp(raw) });
    this.#reset(this.#helo);
    this.#say('250 2.0.0 Kept');
  }

  #reset(helo: string): void {
    this.#helo = helo;
    this.#mailFrom = undefined;
    this.#rcptTo = [];
  }
}

function parseAddress(bytes: Buffer): EnvelopeAddress {
  const text = decodeSmtp(bytes).trim();
  // a quoted local part may contain blanks and brackets
  const address = /^<((?:"(?:\\.|[^"\\])*"|[^>"])*)>/.exec(text);
  const [params, bare] = address
    ? [text.slice(address[0].length), address[1] ?? '']
    : [text.replace(/^\S*/, ''), text.split(/\s/, 1)[0] ?? ''];
  return { address: bare, params: params.split(' ').filter((param) => param !== ''), bytes };
}

function unstuff(stuffed: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let start = 0;
  for (;;) {
    const found = stuffed.indexOf(stuffedDot, start);
    if (found < 0) break;
    pieces.push(stuffed.subarray(start, found + 2));
    start = found + 3;
  }
  pieces.push(stuffed.subarray(start));
  return Buffer.concat(pieces);
}
