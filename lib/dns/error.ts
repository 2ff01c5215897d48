/** What a look-up may end with besides an answer. */
import { MilterError, type MilterErrorCode } from '../internal/errors.js';

/** The codes are those of node:dns, and `ERR_MILTER_DNS_LIMIT`. */
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

/** A look-up without an answer. */
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

  /** Whether DNS says that there is nothing: the name is unknown, or has no record of the type (RFC 7208's void look-up). */
  get nothing(): boolean {
    return this.code === 'ENOTFOUND' || this.code === 'ENODATA';
  }
}
