/** Matches a client against a list of addresses, networks, patterns and host names. */
import { promises as dns } from 'node:dns';
import { badArgument } from '../internal/errors.js';
import { onAbort } from '../internal/on-abort.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { bitsOf, type IpAddress, inNetwork, readIp, requireIp } from './ip.js';
import { listHas, type NameEntry, readIpList } from './ip-list.js';

/** Looks up the addresses of a host, like a `dns.promises.Resolver` of Node. */
export interface NameResolver {
  /** The IPv4 addresses; rejects if there are none. */
  resolve4(hostname: string): Promise<string[]>;
  /** The IPv6 addresses; rejects if there are none. */
  resolve6(hostname: string): Promise<string[]>;
}

/** How {@link iniplist} resolves host names. */
export interface IniplistOptions {
  /** The DNS resolver. Default: the name servers of the system (`/etc/hosts` is not read). */
  readonly resolver?: NameResolver;
  /** Milliseconds for all names of the list together. Default: 5,000. */
  readonly timeout?: number;
  /** Maximum number of addresses of one name that are compared, in the order of the answer. Default: 100. */
  readonly maxAddresses?: number;
  /** Called for a name that could not be resolved, or not in time. Such a name matches nothing. Default: not called */
  readonly onLookupError?: (hostname: string, error: Error) => void;
}

const OPTIONS: OptionNames<IniplistOptions> = {
  resolver: true,
  timeout: true,
  maxAddresses: true,
  onLookupError: true,
};

const TIMEOUT_MS = 5000;
const MAX_ADDRESSES = 100;

/**
 * Whether an IP address is in a list (pymilter's `iniplist`). Entries of the list:
 *
 * - `192.0.2.1`, `2001:db8::1`: an address
 * - `192.0.2.0/24`, `2001:db8::/32`: a network (CIDR)
 * - `192.0.2.*`: a shell pattern (`*`, `?`, `[0-5]`) for the address in the form of
 *   {@link https://www.rfc-editor.org/rfc/rfc5952 RFC 5952}
 * - `mx.example.com`, `mx.example.com/24`: each address of the host, or the network around it
 *
 * An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) counts as the IPv4 address. `0.0.0.0/0` matches every IPv4 address, but no
 * IPv6 address. `localhost` is the loopback address, without a DNS lookup (RFC 6761 6.3).
 *
 * Without `options`, no names are resolved: the result is returned synchronously, and a host name in the list is an error. With
 * `options` (`{}` for the defaults) the result is a promise, and DNS is asked only if no other entry matches.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad address, a bad entry, or a host name without `options`
 *   (as a rejection if there are options)
 */
export function iniplist(ip: string, list: Iterable<string>): boolean;
export function iniplist(ip: string, list: Iterable<string>, options: IniplistOptions): Promise<boolean>;
export function iniplist(
  ip: string,
  list: Iterable<string>,
  options?: IniplistOptions,
): boolean | Promise<boolean> {
  return options === undefined ? inPlainList(ip, list) : inListWithNames(ip, list, options);
}

function inPlainList(ip: string, entries: Iterable<string>): boolean {
  const address = requireIp('iniplist', ip);
  const list = readIpList(entries);
  const [first] = list.names;
  if (first) {
    throw badArgument(
      `iniplist: ${first.name} is a host name, which must be resolved with options: await iniplist(ip, list, {})`,
    );
  }
  return listHas(list, address);
}

async function inListWithNames(
  ip: string,
  entries: Iterable<string>,
  options: IniplistOptions,
): Promise<boolean> {
  checkOptions('iniplist', options, OPTIONS);
  const { timeout = TIMEOUT_MS, maxAddresses = MAX_ADDRESSES } = options;
  checkInteger('iniplist: timeout', timeout, 1);
  checkInteger('iniplist: maxAddresses', maxAddresses, 1);
  const address = requireIp('iniplist', ip);
  const list = readIpList(entries);
  if (listHas(list, address)) return true;
  if (list.names.length === 0) return false;
  return anyNameMatches(address, list.names, { ...options, timeout, maxAddresses });
}

type Limits = IniplistOptions & { readonly timeout: number; readonly maxAddresses: number };

/** Resolves all names concurrently; the first match ends the wait. */
async function anyNameMatches(
  address: IpAddress,
  names: readonly NameEntry[],
  options: Limits,
): Promise<boolean> {
  const own = options.resolver ? undefined : new dns.Resolver({ timeout: options.timeout });
  const resolver = options.resolver ?? (own as NameResolver);
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), options.timeout);
  let decided = false;
  const nameMatches = async ({ name, bits }: NameEntry): Promise<boolean> => {
    try {
      const found = await addressesOf(name, address, resolver, deadline.signal);
      return matchesAny(address, found.slice(0, options.maxAddresses), bits);
    } catch (error) {
      if (!decided && !isNoSuchName(error as Error)) options.onLookupError?.(name, error as Error);
      return false;
    }
  };
  try {
    return await firstTrue(names.map(nameMatches));
  } finally {
    decided = true;
    clearTimeout(timer);
    own?.cancel();
  }
}

/** Resolves with true as soon as one promise does, or with false if none does. */
function firstTrue(answers: readonly Promise<boolean>[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const watched = answers.map(async (answer) => {
      if (await answer) resolve(true);
    });
    Promise.all(watched).then(() => resolve(false), reject);
  });
}

function matchesAny(address: IpAddress, found: readonly string[], bits = bitsOf(address)): boolean {
  return found.some((text) => {
    const other = readIp(text);
    return other !== undefined && inNetwork(address, [other, Math.min(bits, bitsOf(other))]);
  });
}

/** Whether the error means that the name or the address does not exist, which is not a failure. */
function isNoSuchName(error: Error & { code?: unknown }): boolean {
  return error.code === 'ENOTFOUND' || error.code === 'ENODATA';
}

/** The addresses of a host in the address family of the client; rejects if they are not found in time. */
async function addressesOf(
  name: string,
  client: IpAddress,
  resolver: NameResolver,
  timeUp: AbortSignal,
): Promise<string[]> {
  const isIpv4 = client.kind() === 'ipv4';
  if (/^localhost\.?$/i.test(name)) return [isIpv4 ? '127.0.0.1' : '::1'];
  const lookup = isIpv4 ? resolver.resolve4(name) : resolver.resolve6(name);
  return new Promise((resolve, reject) => {
    const unsubscribe = onAbort(timeUp, () => reject(new Error(`iniplist: no answer for ${name} in time`)));
    lookup.then(resolve, reject).finally(unsubscribe);
  });
}
