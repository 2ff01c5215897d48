/** `tsmilter/srs`: the Sender Rewriting Scheme for senders of forwarded mail, and BATV for one's own. */
export { MilterError } from '../internal/errors.js';
export { Batv, type BatvOptions, type BatvVerified } from './batv.js';
export { Srs, type SrsOptions, type SrsReversed } from './srs.js';
