/** A delivered message, in the form that tests compare. */
import type { EnvelopeAddress, SinkMessage } from '../../../tools/mta';
import type { Kind } from './mta-fixture';

/** A value for both MTAs, or one for each. */
export type PerMta<T> = T | Readonly<Record<Kind, T>>;

export function forMta<T extends string | number | boolean | readonly unknown[]>(
  value: PerMta<T>,
  kind: Kind,
): T {
  return typeof value === 'object' && !Array.isArray(value)
    ? (value as Readonly<Record<Kind, T>>)[kind]
    : (value as T);
}

/** The headers that every message has, of no interest beyond their place. */
const STANDARD = /^(Received|From|To|Date|Message-Id): [\s\S]*/i;

/** The header's fields in order, folds as LF, bytes as latin1. */
export function headersOf({ raw }: SinkMessage): string[] {
  return splitMessage(raw)[0]
    .toString('latin1')
    .replace(/\r\n([ \t])/g, '\n$1')
    .split('\r\n')
    .slice(0, -1);
}

/** The same in one line, with the standard ones by their names only. */
export function headerLine(message: SinkMessage): string {
  return headersOf(message)
    .map((field) => field.replace(STANDARD, '$1'))
    .join(' | ');
}

export function bodyOf({ raw }: SinkMessage): Buffer {
  return splitMessage(raw)[1];
}

/** The header with its last CRLF, and the body. */
export function splitMessage(raw: Buffer): [header: Buffer, body: Buffer] {
  const end = raw.indexOf('\r\n\r\n');
  if (end < 0) throw new Error(`a message without an empty line: ${raw.toString('latin1', 0, 1000)}`);
  return [raw.subarray(0, end + 2), raw.subarray(end + 4)];
}

/** `<address> PARAMETERS`, without what depends on the size of the message. */
export function spelled({ address, params }: EnvelopeAddress): string {
  return [`<${address}>`, ...params.filter((param) => !param.startsWith('SIZE='))].join(' ');
}
