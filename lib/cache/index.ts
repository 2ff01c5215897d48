/** `tsmilter/cache`: a cache of results for mail addresses, which expire after some days. */
export { AddrCache, type AddrCacheOptions } from './addr-cache.js';
