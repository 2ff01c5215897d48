/**
 * Content scanners: ClamAV, SpamAssassin and rspamd.
 * @module tsmilter/scan
 */
export { Clamd, type ClamdResult } from './clamd.js';
export type { ScanSource } from './exchange.js';
export type { ScannerOptions, ScanOptions } from './options.js';
export {
  Rspamd,
  type RspamdAction,
  type RspamdEnvelope,
  type RspamdOptions,
  type RspamdResult,
  type RspamdSymbol,
} from './rspamd.js';
export { ScanError, type ScanFailure } from './scan-error.js';
export { Spamd, type SpamdCheck, type SpamdOptions, type SpamdResult } from './spamd.js';
