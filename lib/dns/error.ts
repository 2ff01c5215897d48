/** The error of a failed lookup. */
import { MilterError, type MilterErrorCode } from '../internal/errors.js';
import { printable } from '../internal/printable.js';
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

/** How much of a name is quoted in a message: all of a valid one, even if each octet is escaped. */
const MAX_SHOWN = 1024;

const PERMANENT: ReadonlySet<DnsErrorCode> = new Set([
  'ENOTFOUND',
  'ENODATA',
  'EBADNAME',
  'ERR_MILTER_DNS_LIMIT',
]);

/** A DNS lookup that failed, or for which there is no record. */
export class DnsError extends MilterError {
  override readonly name = 'DnsError';
  /** The name that was asked for. */
  readonly hostname: string;
  /** The type that was asked for. */
  readonly type: string;

  /** Whether the same lookup may succeed later. False if there is no such name or record, or if a limit other than `maxTime` is exceeded. */
  readonly temporary: boolean;

  /** @internal */
  constructor(
    code: DnsErrorCode,
    type: string,
    hostname: string,
    detail: string,
    temporary = !PERMANENT.has(code),
  ) {
    super(code, printable(`DNS: ${type} of "${hostname.slice(0, MAX_SHOWN)}": ${detail}`));
    this.hostname = hostname;
    this.type = type;
    this.temporary = temporary;
  }

  /** Whether the answer is that the name does not exist or has no record of the type (a void lookup in RFC 7208). */
  get nothing(): boolean {
    return this.code === 'ENOTFOUND' || this.code === 'ENODATA';
  }
}
shareInstanceof(DnsError, 'DnsError');
