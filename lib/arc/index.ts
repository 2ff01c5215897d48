/** `tsmilter/arc`: the Authenticated Received Chain (RFC 8617): verified, and sealed. */
export { MilterError } from '../internal/errors.js';
export { type ArcAuthResOptions, arcAuthRes } from './authres.js';
export { type ArcEvidence, ArcSealer, type ArcSealerOptions, type ArcSealing } from './sealer.js';
export { mayBeTrusted, type TrustedSealer, trustedSealer } from './trusted-sealer.js';
export type { ArcResult, ArcResultName, ArcSet, ChainStatus } from './types.js';
export { ArcVerifier, type ArcVerifierOptions } from './verifier.js';
