/** Encodes questions and decodes answers with dns-packet. */
import packet, { type Answer } from 'dns-packet';
import { type DnsAnswer, type DnsQuestion, type DnsRecord, RECORD_TYPES } from './record-types.js';

/** The largest answer over UDP. This size passes through networks without fragmentation (DNS flag day 2020). */
const UDP_PAYLOAD = 1232;

export function encodeQuestion(id: number, { name, type }: DnsQuestion): Buffer {
  return packet.encode({
    type: 'query',
    id,
    flags: packet.RECURSION_DESIRED,
    questions: [{ type, name }],
    // dns-packet fills in the other fields, although its types require them.
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: UDP_PAYLOAD } as Answer],
  });
}

/** @returns undefined if the bytes do not answer this question: id and question must be the same (RFC 5452 4) */
export function decodeAnswer(
  bytes: Buffer,
  id: number,
  question: DnsQuestion,
): (DnsAnswer & { truncated: boolean }) | undefined {
  let message: packet.DecodedPacket & { rcode?: string };
  try {
    message = packet.decode(bytes) as typeof message;
  } catch {
    return undefined;
  }
  const [asked, ...others] = message.questions ?? [];
  const same =
    asked !== undefined &&
    others.length === 0 &&
    asked.type === question.type &&
    asked.name.toLowerCase() === question.name.toLowerCase();
  if (message.id !== id || message.type !== 'response' || !same) return undefined;
  const records = (message.answers ?? []).flatMap((answer) => recordOf(answer));
  return { rcode: message.rcode ?? 'NOERROR', records, truncated: message.flag_tc === true };
}

function recordOf(answer: Answer): DnsRecord[] {
  const type = RECORD_TYPES.find((known) => known === answer.type);
  if (type === undefined) return [];
  const { name, ttl = 0, data } = answer as { name: string; ttl?: number; data: unknown };
  return [{ name, type, ttl, data: dataOf(type, data) }];
}

function dataOf(type: DnsRecord['type'], data: unknown): DnsRecord['data'] {
  if (type === 'TXT') {
    // A single character-string is not in an array. Each byte becomes one character.
    return (Array.isArray(data) ? data : [data]).map((text: Buffer) => Buffer.from(text).toString('latin1'));
  }
  if (type === 'MX') {
    const { preference = 0, exchange } = data as { preference?: number; exchange: string };
    return { priority: preference, exchange: withoutDot(exchange) };
  }
  return withoutDot(data as string);
}

/** Removes a final dot. dns-packet returns a dot for the root. */
const withoutDot = (name: string) => name.replace(/\.$/, '');
