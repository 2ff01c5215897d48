/** The entries of a list of clients: networks, patterns, and host names that DNS has to resolve. */
import { badArgument, type MilterError } from '../internal/errors.js';
import { matchesGlob } from './glob.js';
import { type IpAddress, inNetwork, type Network, networkOf, textOf } from './ip.js';

/** A host name; each of its addresses stands for the network of `bits` around it. */
export interface NameEntry {
  readonly name: string;
  /** undefined: the address alone */
  readonly bits: number | undefined;
}

export interface IpList {
  readonly networks: readonly Network[];
  readonly patterns: readonly string[];
  readonly names: readonly NameEntry[];
}

const PATTERN = /[*?[]/;
/** What a pattern of an address can be of; neither `*.example.com` nor `[::1]` would ever match. */
const ADDRESS_PATTERN = /^(?!\[[^\]]*\]$)[0-9a-f.:*?[\]!-]+$/i;
const BITS = /^\d{1,3}$/;
/** RFC 1123 2.1, and the underscore that is seen in the wild; a letter, or it would be a broken address. */
const HOST_NAME = /^(?=[^a-z]*[a-z])[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?$/i;
const MAX_NAME_LENGTH = 253;

function badEntry(entry: unknown): MilterError {
  return badArgument(
    `iniplist: ${JSON.stringify(entry) ?? String(entry)} is not an IP address, a network (192.0.2.0/24), ` +
      'a pattern (192.0.2.*) or a host name',
  );
}

/** @throws MilterError ERR_MILTER_BAD_ARGUMENT for an entry that is none of these; such an entry would never match */
export function readIpList(entries: Iterable<string>): IpList {
  if (typeof entries === 'string' || typeof entries?.[Symbol.iterator] !== 'function') {
    throw badArgument('iniplist: the list must be an array of strings');
  }
  const list = { networks: [] as Network[], patterns: [] as string[], names: [] as NameEntry[] };
  for (const entry of entries) {
    if (typeof entry !== 'string') throw badEntry(entry);
    if (PATTERN.test(entry)) {
      if (!ADDRESS_PATTERN.test(entry)) throw badEntry(entry);
      list.patterns.push(entry.toLowerCase());
    } else addNetworkOrName(entry, list);
  }
  return list;
}

function addNetworkOrName(entry: string, list: { networks: Network[]; names: NameEntry[] }): void {
  const slash = entry.indexOf('/');
  const base = slash < 0 ? entry : entry.slice(0, slash);
  const suffix = slash < 0 ? undefined : entry.slice(slash + 1);
  if (suffix !== undefined && !BITS.test(suffix)) throw badEntry(entry);
  const bits = suffix === undefined ? undefined : Number(suffix);
  const network = networkOf(base, bits);
  if (network) list.networks.push(network);
  else if (base.length <= MAX_NAME_LENGTH && HOST_NAME.test(base) && (bits ?? 0) <= 128) {
    list.names.push({ name: base, bits });
  } else throw badEntry(entry);
}

/** Whether a network or a pattern of the list has the address. */
export function listHas(list: IpList, address: IpAddress): boolean {
  if (list.networks.some((network) => inNetwork(address, network))) return true;
  const text = textOf(address);
  return list.patterns.some((pattern) => matchesGlob(text, pattern));
}
