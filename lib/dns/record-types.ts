/** The types of records that a session can ask for. */

/** An MX record, as node:dns has it. */
export interface MxRecord {
  readonly priority: number;
  /** Without a dot at the end. Empty in a null MX (RFC 7505). */
  readonly exchange: string;
}

/** What each type's records are: strings, but for MX, and TXT with its character-strings. */
export interface RecordsByType {
  A: string;
  AAAA: string;
  CNAME: string;
  MX: MxRecord;
  NS: string;
  PTR: string;
  TXT: string[];
}

export type DnsRecordType = keyof RecordsByType;

export const RECORD_TYPES: readonly DnsRecordType[] = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'TXT'];

/** A record of an answer, with the name it stands under. */
export interface DnsRecord {
  readonly name: string;
  readonly type: DnsRecordType;
  /** Seconds. */
  readonly ttl: number;
  readonly data: RecordsByType[DnsRecordType];
}

/** What a server has said. */
export interface DnsAnswer {
  /** `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `REFUSED`, … (RFC 1035 4.1.1) */
  readonly rcode: string;
  /** The answer section, whatever stands in it. */
  readonly records: readonly DnsRecord[];
}

export interface DnsQuestion {
  readonly name: string;
  readonly type: DnsRecordType;
}

/**
 * Puts a question to DNS, and gets what a server has said, unchecked. It must end when the signal is aborted.
 *
 * @throws DnsError ETIMEOUT, EBADRESP, ECANCELLED
 */
export type DnsExchange = (question: DnsQuestion, signal: AbortSignal) => Promise<DnsAnswer>;
