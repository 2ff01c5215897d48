/** `tsmilter/authres`: Authentication-Results fields (RFC 8601) read, written, and removed if they are forged. */
export { MilterError } from '../internal/errors.js';
export { type FormatAuthResOptions, formatAuthRes } from './format.js';
export { parseAuthRes } from './parse.js';
export { claimsToBe, type HeaderChanger, removeAuthRes } from './remove.js';
export type { AuthRes, AuthResProperty, AuthResResult } from './types.js';
