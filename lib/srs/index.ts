/** `tsmilter/srs`: the Sender Rewriting Scheme, for senders of forwarded mail. */
export { MilterError } from '../internal/errors.js';
export { Srs, type SrsOptions, type SrsReversed } from './srs.js';
