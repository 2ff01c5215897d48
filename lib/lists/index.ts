/** `tsmilter/lists`: names, addresses and networks in files, and bans that end. */
export { MilterError } from '../internal/errors.js';
export { AddressList, type AddressListOptions } from './address-list.js';
export type { ListEntry } from './address-table.js';
export { BanList, type BanListOptions } from './ban-list.js';
export { AUTH_LEVELS, type AuthLevel } from './levels.js';
export { NetworkList } from './network-list.js';
export type { ListOptions } from './sources.js';
