/** A DNS server on loopback whose answers a test writes byte by byte. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../../tools/free-ports';

export interface HostileQuery {
  readonly bytes: Buffer;
  readonly tcp: boolean;
  /** Whether the question has an OPT record. */
  readonly edns: boolean;
  /** The type that is asked for. */
  readonly type: number;
}

/** The messages that are sent to a query, in order. Over TCP a string is sent as it is, without its length, and ends the connection. */
export type Answering = (query: HostileQuery) => Buffer | string | (Buffer | string)[] | undefined;

export const TYPE = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, OPT: 41 } as const;

export class HostileDns implements AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly address: string;
  readonly port: number;
  /** Kind of each query: `udp`, `udp edns`, `tcp`, `tcp edns`. */
  readonly queries: string[] = [];
  answer: Answering;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();

  private constructor(udp: UdpSocket, tcp: Server, port: number, answer: Answering) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.port = port;
    this.address = `127.0.0.1:${port}`;
    this.answer = answer;
    udp.on('message', (bytes, from) => {
      for (const reply of this.#replies(bytes, false)) udp.send(reply, from.port, from.address);
    });
    tcp.on('connection', (socket) => {
      this.#connections.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#connections.delete(socket));
      socket.on('data', (bytes) => this.#answerTcp(bytes, socket));
    });
  }

  static async start(answer: Answering): Promise<HostileDns> {
    for (;;) {
      const port = await freePort();
      const [udp, tcp] = [createSocket('udp4'), createServer()];
      try {
        udp.bind(port, '127.0.0.1');
        await once(udp, 'listening');
        tcp.listen(port, '127.0.0.1');
        await once(tcp, 'listening');
        return new HostileDns(udp, tcp, port, answer);
      } catch (error) {
        udp.close();
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#udp.close();
    for (const connection of this.#connections) connection.destroy();
    this.#tcp.close();
    await once(this.#tcp, 'close');
  }

  #answerTcp(bytes: Buffer, socket: Socket): void {
    socket.setNoDelay(true);
    const replies = this.#replies(bytes.subarray(2), true);
    for (const reply of replies) {
      if (typeof reply !== 'string') socket.write(Buffer.from([reply.length >> 8, reply.length & 0xff]));
      socket.write(reply, 'latin1');
    }
    if (replies.some((reply) => typeof reply === 'string')) socket.end();
  }

  #replies(bytes: Buffer, tcp: boolean): (Buffer | string)[] {
    const edns = bytes.readUInt16BE(10) > 0;
    this.queries.push(`${tcp ? 'tcp' : 'udp'}${edns ? ' edns' : ''}`);
    const type = bytes.readUInt16BE(questionEnd(bytes) - 4);
    return [this.answer({ bytes, tcp, edns, type }) ?? []].flat();
  }
}

/** Where the question ends. */
export function questionEnd(message: Buffer): number {
  let at = 12;
  while ((message[at] as number) > 0) at += (message[at] as number) + 1;
  return at + 5;
}

/** A record; its name is a pointer to the question unless it is given. */
export interface WireRecord {
  readonly type: number;
  readonly data: Buffer;
  readonly name?: Buffer;
  readonly class?: number;
  readonly ttl?: number;
  /** The length that the record claims to have. */
  readonly length?: number;
}

export interface WireReply {
  readonly flags?: number;
  readonly rcode?: number;
  readonly answers?: readonly WireRecord[];
  readonly authority?: readonly WireRecord[];
  readonly additional?: readonly WireRecord[];
  /** The count of answers in the header, if it is not that of the answers. */
  readonly count?: number;
}

/** A response to a query. */
export function reply(query: Buffer, message: WireReply = {}): Buffer {
  const { flags = 0x8180, rcode = 0, answers = [], authority = [], additional = [] } = message;
  const head = Buffer.from(query.subarray(0, questionEnd(query)));
  head.writeUInt16BE(flags | rcode, 2);
  head.writeUInt16BE(message.count ?? answers.length, 6);
  head.writeUInt16BE(authority.length, 8);
  head.writeUInt16BE(additional.length, 10);
  return Buffer.concat([head, ...[...answers, ...authority, ...additional].map(encodeRecord)]);
}

function encodeRecord({ type, data, name = pointer(12), class: inClass = 1, ttl = 300, length }: WireRecord) {
  const fields = Buffer.alloc(10);
  fields.writeUInt16BE(type, 0);
  fields.writeUInt16BE(inClass, 2);
  fields.writeUInt32BE(ttl, 4);
  fields.writeUInt16BE(length ?? data.length, 8);
  return Buffer.concat([name, fields, data]);
}

/** A name; each character of a label is an octet. */
export function wireName(...labels: string[]): Buffer {
  const parts = labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'));
  return Buffer.concat([...parts, Buffer.from([0])]);
}

export const pointer = (target: number) => Buffer.from([0xc0 | (target >> 8), target & 0xff]);

export const mxData = (preference: number, name: Buffer) =>
  Buffer.concat([Buffer.from([preference >> 8, preference & 0xff]), name]);
