/** Checks whether a list is in service. */
import ipaddr from 'ipaddr.js';
import { badArgument } from '../internal/errors.js';
import { askAll, type DnsblOptions, questionOf, settingsOf } from './check.js';
import type { DnsblList } from './list.js';

/** The test entries of RFC 5782 5: the first is on every list, the second on none. */
const TEST_ADDRESSES = [
  ['127.0.0.2', '127.0.0.1'],
  ['::ffff:7f00:2', '::ffff:7f00:1'],
] as const;

/**
 * Asks a list for the entries that every list has, and for those that none has (RFC 5782 5), for example when the filter starts.
 *
 * @param kind what the list contains
 * @returns the problem: the list fails, lists no address, or lists all; undefined if it is in service
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid list
 */
export async function testList(
  list: DnsblList,
  kind: 'addresses' | 'domains',
  options: DnsblOptions = {},
): Promise<string | undefined> {
  const settings = settingsOf([list], options);
  if (kind !== 'addresses' && kind !== 'domains') {
    throw badArgument("testList: kind must be 'addresses' or 'domains'");
  }
  const isIpv6Only = list.families !== undefined && !list.families.includes(4);
  const [present, absent] = kind === 'domains' ? ['test', 'invalid'] : TEST_ADDRESSES[isIpv6Only ? 1 : 0];
  const ask = (entry: string) => {
    const prefix = kind === 'domains' ? entry : isIpv6Only ? ipv6Prefix(entry) : questionOf(entry).prefix;
    return askAll([list], [{ listed: entry, prefix }], settings);
  };
  const [there, missing] = await Promise.all([ask(present), ask(absent)]);
  const [failure] = [...there.failures, ...missing.failures];
  if (failure) return failure.error.message;
  if (missing.listings.length > 0) return `${list.zone} has ${absent}, which no list has: it lists everybody`;
  return there.listings.length > 0 ? undefined : `${list.zone} does not have ${present}, as every list has`;
}

/** The test addresses of IPv6 are IPv4-mapped, and must not become IPv4 addresses here. */
function ipv6Prefix(address: string): string {
  const digits = Buffer.from(ipaddr.IPv6.parse(address).toByteArray()).toString('hex');
  return [...digits].reverse().join('.');
}
