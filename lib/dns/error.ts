/** The error of a failed lookup. */
import { MilterError, type MilterErrorCode } from '../internal/errors.js';
import { shareInstanceof } from '../internal/shared-instanceof.js';

/** The error codes of node:dns, and `ERR_MILTER_DNS_LIMIT`. */
export type DnsErrorCode = Extract<
  MilterErrorCode,
  | 'ENOTFOUND'
  | 'ENODATA'
  | 'ESERVFAIL'
  | 'EREFUSED'
  | 'ETIMEOUT'
  | 'EBADRESP'
  | 'EBADNAME'
  | 'ECANCELLED'
  | 'ERR_MILTER_DNS_LIMIT'
>;

/** A DNS lookup that failed, or for which there is no record. */
export class DnsError extends MilterError {
  override readonly name = 'DnsError';
  /** The name that was asked for. */
  readonly hostname: string;
  /** The type that was asked for. */
  readonly type: string;

  /** @internal */
  constructor(code: DnsErrorCode, type: string, hostname: string, detail: string) {
    super(code, `DNS: ${type} of ${JSON.stringify(hostname)}: ${detail}`);
    this.hostname = hostname;
    this.type = type;
  }

  /** Whether the answer is that the name does not exist or has no record of the type (a void lookup in RFC 7208). */
  get nothing(): boolean {
    return this.code === 'ENOTFOUND' || this.code === 'ENODATA';
  }
}
shareInstanceof(DnsError, 'DnsError');
