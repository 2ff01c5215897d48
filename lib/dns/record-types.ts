/** Types of DNS records, questions and answers. */

/** An MX record, in the form of node:dns. */
export interface MxRecord {
  readonly priority: number;
  /** The mail server, without a final dot. Empty in a null MX (RFC 7505). */
  readonly exchange: string;
}

/** The data of each record type. TXT records are arrays of character-strings. */
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

/** A record in an answer. */
export interface DnsRecord {
  readonly name: string;
  readonly type: DnsRecordType;
  /** Time to live in seconds. */
  readonly ttl: number;
  readonly data: RecordsByType[DnsRecordType];
}

/** The answer of a server. */
export interface DnsAnswer {
  /** `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `REFUSED`, … (RFC 1035 4.1.1) */
  readonly rcode: string;
  /** All records of the answer section. */
  readonly records: readonly DnsRecord[];
  /** For how many seconds a negative answer may be cached, by the SOA record of its zone (RFC 2308 5); undefined if there is none. */
  readonly negativeTtl?: number | undefined;
}

export interface DnsQuestion {
  readonly name: string;
  readonly type: DnsRecordType;
}

/**
 * Sends a question and returns a server's answer, which is not trusted. It must reject when the signal is aborted.
 *
 * @throws DnsError ETIMEOUT, EBADRESP, ECANCELLED
 */
export type DnsExchange = (question: DnsQuestion, signal: AbortSignal) => Promise<DnsAnswer>;
