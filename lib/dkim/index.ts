/** `tsmilter/dkim`: DomainKeys Identified Mail (RFC 6376, 8301, 8463, 8616): signatures verified and made. */
export { MilterError } from '../internal/errors.js';
export type { Canonicalization } from './canonical-header.js';
export { type CheckedKeyRecord, type CheckedKeyResult, type CheckKeyOptions, checkKey } from './check-key.js';
export { KeyFile, type KeyFileOptions, type ReadKeyFileOptions, readKeyFile } from './key-file.js';
export type { TxtResolver } from './key-lookup.js';
export {
  formatKeyRecord,
  formatZoneLine,
  generateKey,
  type KeyPairOptions,
  type KeyRecordOptions,
  keyRecordName,
} from './key-pair.js';
export type { KeyType } from './signature-tags.js';
export { DEFAULT_SIGNED_HEADERS, DkimSigner, type DkimSignerOptions } from './signer.js';
export type { DkimKey, PrivateKeyInput } from './signing-key.js';
export { type DkimResult, type DkimResultName, DkimVerifier, type DkimVerifierOptions } from './verifier.js';
