/** `tsmilter/cache`: addresses that were found good or bad, remembered for some days. */
export { AddrCache, type AddrCacheOptions } from './addr-cache.js';
