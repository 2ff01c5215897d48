/** Addresses that are remembered for some days, such as those to which our own users have written. */

import { badArgument } from '../internal/errors.js';
import { digestOf } from '../internal/stores/digest.js';
import { checkInteger, checkText } from '../internal/validate.js';
import { lookupOf } from './names.js';

const DAY_MS = 86_400_000;
const MAX_DAYS = 36_500;

/** A store of addresses: {@link SqliteAddressMemory} or {@link RedisAddressMemory}. */
export interface AddressMemory {
  /**
   * Remembers addresses. An address that is remembered for a longer time already stays so.
   *
   * @param addresses with or without `<>`, in any letter case
   * @param days from now, 1 to 36,500
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT; ERR_MILTER_STORE
   */
  add(addresses: readonly string[], days: number): Promise<void>;
  /**
   * Whether the very address is remembered; domains are not.
   *
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT if it is not a string; ERR_MILTER_STORE
   */
  has(address: string): Promise<boolean>;
  /** Removes the addresses whose time is over. @returns how many. @throws MilterError ERR_MILTER_STORE */
  clean(): Promise<number>;
  /** Closes the file or the connection. */
  close(): Promise<void>;
}

/** Spellings of an address have the same key. It is a digest, which does not tell the address and cannot be too long. */
export function keyOf(address: string): string {
  checkText('AddressMemory: address', address);
  return digestOf(lookupOf(address).keys[0] as string);
}

/** What `add` gets: keys, each once, and milliseconds. */
export function checkedEntries(addresses: readonly string[], days: number): { keys: string[]; ms: number } {
  if (!Array.isArray(addresses)) throw badArgument('AddressMemory: addresses must be an array');
  checkInteger('AddressMemory: days', days, 1, MAX_DAYS);
  return { keys: [...new Set(addresses.map(keyOf))], ms: days * DAY_MS };
}
