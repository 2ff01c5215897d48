/** `tsmilter/lists`: names, addresses and networks in files, bans that end, and addresses that are remembered for some days. */
export { MilterError } from '../internal/errors.js';
export type { RedisStoreOptions } from '../internal/stores/redis-requests.js';
export { AddressList, type AddressListOptions } from './address-list.js';
export type { AddressMemory } from './address-memory.js';
export type { ListEntry } from './address-table.js';
export { BanList, type BanListOptions } from './ban-list.js';
export { AUTH_LEVELS, type AuthLevel } from './levels.js';
export { NetworkList } from './network-list.js';
export { RedisAddressMemory } from './redis-address-memory.js';
export type { ListOptions } from './sources.js';
export { SqliteAddressMemory, type SqliteAddressMemoryOptions } from './sqlite-address-memory.js';
