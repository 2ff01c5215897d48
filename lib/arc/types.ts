/** What a verifier says of a message's Authenticated Received Chain (RFC 8617). */
import type { AuthRes } from '../authres/index.js';

/**
 * The chain validation status (RFC 8617 4.4), and what it leaves out:
 *
 * - `none`: the message has no chain.
 * - `pass`: it has a valid one.
 * - `fail`: it has an invalid one, which is to be treated as none (5.2).
 * - `temperror`: DNS did not answer. The RFC calls this a failure, but a chain that is sealed as failed stays failed, so it
 *   must not be sealed.
 */
export type ArcResultName = 'none' | 'pass' | 'fail' | 'temperror';

/** The values of `cv=` (RFC 8617 4.4). */
export type ChainStatus = 'none' | 'pass' | 'fail';

/** One ARC Set of a chain: what one handler of the message has added (RFC 8617 4.2). */
export interface ArcSet {
  /** `i=`: 1 for the first set, up to 50. */
  readonly instance: number;
  /** The domain of the sealer: `d=` of the ARC-Seal. */
  readonly domain: string;
  /** `s=` of the ARC-Seal. */
  readonly selector: string;
  /** `a=` of the ARC-Seal. */
  readonly algorithm: string;
  /** `cv=` of the ARC-Seal: what the sealer says of the sets before its own. */
  readonly chainStatus: ChainStatus;
  /** `t=` of the ARC-Seal, in seconds since 1970. */
  readonly signedAt?: number;
  /**
   * What the sealer has found out about the message when it came to it (ARC-Authentication-Results); only in a chain that
   * passes. It is worth as much as the sealer is trusted.
   */
  readonly authRes?: AuthRes;
}

/** What became of a message's chain. */
export interface ArcResult {
  readonly result: ArcResultName;
  /** Why it is neither `pass` nor `none`. Nothing of the message is quoted, apart from the text of a DNS error. */
  readonly reason?: string;
  /** The sets of a well-formed chain, the oldest first; otherwise empty. */
  readonly sets: readonly ArcSet[];
  /**
   * The instance of the oldest ARC-Message-Signature that still matches the message, 0 if all do (RFC 8617 5.2): no forwarder has
   * changed it since. Only of a chain that passes.
   */
  readonly oldestPass?: number;
}
