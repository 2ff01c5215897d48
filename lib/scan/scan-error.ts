/** The error of a scan that has no result. */
import { MilterError } from '../internal/errors.js';
import { shareInstanceof } from '../internal/shared-instanceof.js';

/**
 * - `unreachable`: no connection to the scanner, or it was cut
 * - `timeout`: no answer in time
 * - `too large`: the message exceeds `maxSize`, or the scanner's own limit
 * - `refused`: the scanner has answered with an error, such as a wrong password
 * - `protocol`: an answer that is none of this protocol
 */
export type ScanFailure = 'unreachable' | 'timeout' | 'too large' | 'refused' | 'protocol';

/** A scan without a result. The message is neither clean nor infected: what to do then is the filter's decision. */
export class ScanError extends MilterError {
  override readonly name = 'ScanError';
  readonly reason: ScanFailure;

  /** @internal */
  constructor(scanner: string, reason: ScanFailure, message: string, options?: ErrorOptions) {
    super('ERR_MILTER_SCAN', `${scanner}: ${message}`, options);
    this.reason = reason;
  }
}
shareInstanceof(ScanError, 'ScanError');
