/** A DNS server (dns2) on loopback, UDP and TCP, that serves a zone and misbehaves on demand. */
import type { AddressInfo } from 'node:net';
import { freePort } from './free-ports';

/** dns2 has no types of its own. */
interface Resource {
  name: string;
  type: number;
  class: number;
  ttl: number;
  [field: string]: unknown;
}
interface Packet {
  header: { rcode: number; aa: number; tc: number; [field: string]: number };
  questions: { name: string; type: number }[];
  answers: Resource[];
}
interface Dns2Server {
  on(event: 'request', listener: (request: Packet, send: (response: unknown) => void) => void): void;
  listen(options: unknown): Promise<unknown>;
  addresses(): Record<string, AddressInfo>;
  close(): Promise<unknown>;
}
const dns2 = require('dns2') as {
  createServer(options: object): Dns2Server;
  Packet: {
    TYPE: Record<string, number>;
    CLASS: { IN: number };
    RCODE: Record<string, number>;
    createResponseFromRequest(request: Packet): Packet;
  };
};
const { TYPE, CLASS, RCODE } = dns2.Packet;

/** The records of one name. A text may be several strings, and bytes. */
export interface Records {
  A?: string[];
  AAAA?: string[];
  MX?: { exchange: string; priority: number }[];
  TXT?: (string | Buffer | (string | Buffer)[])[];
  PTR?: string[];
  CNAME?: string;
  /** In seconds. Default: 300. */
  ttl?: number;
  /** Sent instead of an answer, for every type or for those of `faultTypes`. */
  fault?: 'SERVFAIL' | 'REFUSED' | 'silence' | 'truncated';
  faultTypes?: (keyof Records)[];
  /** Answers that nobody asked for, put before the others in every response. */
  poison?: { name: string; type: 'A' | 'TXT' | 'PTR' | 'CNAME'; value: string }[];
}

export type Zone = Record<string, Records>;

type RecordType = 'A' | 'AAAA' | 'MX' | 'TXT' | 'PTR' | 'CNAME';

const FIELDS: Record<RecordType, (value: never) => object> = {
  A: (address: string) => ({ address }),
  AAAA: (address: string) => ({ address }),
  MX: (record: { exchange: string; priority: number }) => record,
  TXT: (data: unknown) => ({ data }),
  PTR: (domain: string) => ({ domain }),
  CNAME: (domain: string) => ({ domain }),
};

const typeName = (type: number) => Object.keys(TYPE).find((name) => TYPE[name] === type) as RecordType;

/** Where it listens. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

export class DnsServer implements AsyncDisposable {
  /** `address:port`, as dns.Resolver's setServers takes it. */
  readonly address: string;
  /** The queries in order, over UDP and TCP: `A example.com`. */
  readonly queries: string[] = [];
  zone: Zone;
  /** Whether the target of a CNAME is looked up in the zone too, as a resolver does. */
  follows = true;

  /** Milliseconds before each answer. */
  delay = 0;

  readonly #server: Dns2Server;

  private constructor(server: Dns2Server, { address, port }: Place, zone: Zone) {
    this.#server = server;
    this.address = `${address}:${port}`;
    this.zone = zone;
    server.on('request', (request, send) => {
      if (this.delay > 0) setTimeout(() => this.#answer(request, send), this.delay);
      else this.#answer(request, send);
    });
  }

  /** @param place for programs that know no port but 53, an address of the loopback network with it. Default: 127.0.0.1, any port */
  static async start(zone: Zone = {}, place?: Place): Promise<DnsServer> {
    // The same port for UDP and TCP.
    for (;;) {
      const at = place ?? { address: '127.0.0.1', port: await freePort() };
      const server = dns2.createServer({ udp: true, tcp: true });
      try {
        await listening(server, at);
        return new DnsServer(server, at, zone);
      } catch (error) {
        if (place || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #answer(request: Packet, send: (response: unknown) => void): void {
    const [{ name, type }] = request.questions as [{ name: string; type: number }];
    const asked = typeName(type);
    this.queries.push(`${asked} ${name}`);
    const response = dns2.Packet.createResponseFromRequest(request);
    const records = this.#recordsOf(name);
    const faulty = records?.fault !== undefined && (records.faultTypes ?? [asked]).includes(asked);
    if (faulty && records.fault === 'silence') return;
    if (faulty && records.fault === 'truncated') response.header.tc = 1;
    else if (faulty) response.header.rcode = RCODE[records.fault as string] as number;
    else if (records === undefined) response.header.rcode = RCODE.NXDOMAIN as number;
    else response.answers.push(...this.#answersTo(name, asked));
    send(response);
  }

  #recordsOf(name: string): Records | undefined {
    const wanted = name.toLowerCase();
    const found = Object.keys(this.zone).find((key) => key.toLowerCase() === wanted);
    if (found !== undefined) return this.zone[found];
    // A name with other names below it exists, without records.
    const above = Object.keys(this.zone).some((key) => key.toLowerCase().endsWith(`.${wanted}`));
    return above ? {} : undefined;
  }

  #answersTo(name: string, asked: RecordType, steps = 0): Resource[] {
    const records = this.#recordsOf(name) ?? {};
    const resource = (owner: string, type: RecordType, value: unknown): Resource => ({
      name: owner,
      type: TYPE[type] as number,
      class: CLASS.IN,
      ttl: records.ttl ?? 300,
      ...FIELDS[type](value as never),
    });
    const found = (records.poison ?? []).map(({ name: owner, type, value }) => resource(owner, type, value));
    if (records.CNAME !== undefined && asked !== 'CNAME') {
      found.push(resource(name, 'CNAME', records.CNAME));
      if (this.follows && steps < 20) found.push(...this.#answersTo(records.CNAME, asked, steps + 1));
      return found;
    }
    const values =
      asked === 'CNAME' ? [records.CNAME].filter((value) => value !== undefined) : records[asked];
    return [...found, ...(values ?? []).map((value) => resource(name, asked, value))];
  }
}

/** dns2 reports an address in use only by an event of its parts. */
function listening(server: Dns2Server, at: Place): Promise<unknown> {
  const { udp, tcp } = (server as unknown as { servers: Record<string, NodeJS.EventEmitter> }).servers;
  return new Promise((resolve, reject) => {
    for (const part of [udp, tcp]) part?.once('error', reject);
    server.listen({ udp: at, tcp: at }).then(resolve, reject);
  });
}
