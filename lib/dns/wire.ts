/**
 * Questions and answers as DNS sends them (RFC 1035 4, RFC 6891).
 *
 * The package dns-packet is not used, because it is not exact about octets that a hostile server may send: it decodes labels as
 * UTF-8 and joins them by dots, which they may contain themselves, so that different names become equal; it completes a short
 * address with `undefined`; and it follows compression pointers without a limit, which takes 0.4 s in a message of 64 KiB.
 */

import { canonicalName, labelsOf } from './names.js';
import type { DnsAnswer, DnsQuestion, DnsRecord, DnsRecordType } from './record-types.js';
import { MalformedAnswer, WireReader } from './wire-reader.js';

/** The largest answer over UDP. This size passes through networks without fragmentation (DNS flag day 2020). */
const UDP_PAYLOAD = 1232;

const TYPES: Readonly<Record<DnsRecordType, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
};
const TYPE_NAMES = new Map(Object.entries(TYPES).map(([name, type]) => [type, name as DnsRecordType]));
const SOA = 6;
const OPT = 41;
const CLASS_IN = 1;
/** IN, CH, HS, NONE and ANY. An answer with another class is garbled. */
const CLASSES: ReadonlySet<number> = new Set([CLASS_IN, 3, 4, 254, 255]);

const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];
const BADVERS = 16;

const HEADER_LENGTH = 12;
const QR = 0x8000;
const OPCODE = 0x7800;
const TC = 0x0200;
const RD = 0x0100;
const RCODE = 0x000f;
/** A TTL with the highest bit set counts as 0 (RFC 2181 8). */
const MAX_TTL = 0x7fffffff;

/** An answer, with what the transport has to know about it. */
export interface WireAnswer extends DnsAnswer {
  /** Whether records are missing because they did not fit. */
  readonly truncated: boolean;
}

/** @param edns whether to send an OPT record, which allows longer answers over UDP and which some servers do not understand */
export function encodeQuestion(id: number, { name, type }: DnsQuestion, edns: boolean): Buffer {
  const header = Buffer.alloc(HEADER_LENGTH);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(RD, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(edns ? 1 : 0, 10);
  const labels = name === '' ? [] : (labelsOf(name) ?? []);
  const octets = labels.flatMap((label) => [label.length, ...label]);
  const question = Buffer.from([...octets, 0, 0, TYPES[type], 0, CLASS_IN]);
  const opt = Buffer.from([0, 0, OPT, UDP_PAYLOAD >> 8, UDP_PAYLOAD & 0xff, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat(edns ? [header, question, opt] : [header, question]);
}

/**
 * Reads an answer. An answer has the id of the question, and repeats it (RFC 5452 4).
 *
 * @returns undefined for a message that is not an answer to the question: it may be forged, so another must be awaited
 * @throws MalformedAnswer: the server is faulty
 */
export function decodeAnswer(bytes: Uint8Array, id: number, question: DnsQuestion): WireAnswer | undefined {
  const reader = new WireReader(bytes);
  if (bytes.length < HEADER_LENGTH || reader.uint16() !== id) return undefined;
  const flags = reader.uint16();
  if ((flags & (QR | OPCODE)) !== QR) return undefined;
  const counts = [reader.uint16(), reader.uint16(), reader.uint16(), reader.uint16()] as const;
  const [questions, answers, authorities, additionals] = counts;
  const rcode = flags & RCODE;
  // Servers that do not understand a question may not repeat it.
  if (questions === 0 && rcode !== 0 && rcode !== RCODES.indexOf('NXDOMAIN')) return failure(rcode);
  if (questions !== 1 || !isQuestion(reader, question)) return undefined;
  // Records of a truncated answer are not used (RFC 2181 9), and the last may be incomplete.
  if (flags & TC) return { rcode: nameOf(rcode), records: [], truncated: true };
  const records = repeat(answers, () => readRecord(reader));
  const authority = repeat(authorities, () => readRecord(reader));
  const additional = repeat(additionals, () => readRecord(reader));
  const opt = additional.find(({ type }) => type === OPT);
  return {
    rcode: nameOf(rcode | extendedRcode(opt)),
    records: records.flatMap(({ record }) => record ?? []),
    negativeTtl: authority.find(({ negativeTtl }) => negativeTtl !== undefined)?.negativeTtl,
    truncated: false,
  };
}

const failure = (rcode: number) => ({ rcode: nameOf(rcode), records: [], truncated: false });

const nameOf = (rcode: number) => (rcode === BADVERS ? 'BADVERS' : (RCODES[rcode] ?? `RCODE${rcode}`));

/** The upper bits of the rcode, which an OPT record has in place of a TTL (RFC 6891 6.1.3). */
const extendedRcode = (opt: Read | undefined) => ((opt?.rawTtl ?? 0) >>> 24) << 4;

function isQuestion(reader: WireReader, { name, type }: DnsQuestion): boolean {
  const same = reader.name().toLowerCase() === (canonicalName(name) ?? '').toLowerCase();
  const sameType = reader.uint16() === TYPES[type];
  return reader.uint16() === CLASS_IN && same && sameType;
}

function repeat<T>(times: number, read: () => T): T[] {
  const all: T[] = [];
  for (let count = 0; count < times; count++) all.push(read()); // ends with an error if the message does
  return all;
}

interface Read {
  readonly type: number;
  readonly rawTtl: number;
  /** A record of a known type in the class IN. */
  readonly record?: DnsRecord;
  readonly negativeTtl?: number;
}

function readRecord(reader: WireReader): Read {
  const name = reader.name();
  const type = reader.uint16();
  const recordClass = reader.uint16();
  if (type !== OPT && !CLASSES.has(recordClass)) throw new MalformedAnswer('a record of an unknown class');
  const inClass = recordClass === CLASS_IN;
  const rawTtl = reader.uint32();
  const ttl = rawTtl > MAX_TTL ? 0 : rawTtl;
  const known = TYPE_NAMES.get(type);
  return reader.within(reader.uint16(), () => {
    if (inClass && known !== undefined) {
      return { type, rawTtl, record: { name, type: known, ttl, data: READERS[known](reader) } };
    }
    if (inClass && type === SOA) return { type, rawTtl, negativeTtl: Math.min(ttl, soaMinimum(reader)) };
    reader.skipRest();
    return { type, rawTtl };
  });
}

const name = (reader: WireReader) => reader.name();

const READERS: Readonly<Record<DnsRecordType, (reader: WireReader) => DnsRecord['data']>> = {
  A: (reader) => reader.ipv4(),
  AAAA: (reader) => reader.ipv6(),
  CNAME: name,
  NS: name,
  PTR: name,
  MX: (reader) => ({ priority: reader.uint16(), exchange: reader.name() }),
  TXT: (reader) => reader.strings(),
};

function soaMinimum(reader: WireReader): number {
  reader.name(); // the primary server
  reader.name(); // the mailbox
  reader.bytes(16); // serial, refresh, retry, expire
  return reader.uint32();
}
