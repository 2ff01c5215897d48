/** Whether a client is in a list of addresses, networks, patterns and host names. */
import { promises as dns } from 'node:dns';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { bitsOf, type IpAddress, inNetwork, readIp, requireIp } from './ip.js';
import { listHas, type NameEntry, readIpList } from './ip-list.js';

/** Finds the addresses of a host; a `dns.promises.Resolver` of Node is one. */
export interface NameResolver {
  /** The IPv4 addresses; rejects where there are none. */
  resolve4(hostname: string): Promise<string[]>;
  /** The IPv6 addresses; rejects where there are none. */
  resolve6(hostname: string): Promise<string[]>;
}

/** How {@link iniplist} resolves host names. */
export interface IniplistOptions {
  /** Default: the name servers of the system, asked directly (`/etc/hosts` is not read). */
  readonly resolver?: NameResolver;
  /** Milliseconds for all names of the list together; default 5000. */
  readonly timeout?: number;
  /** How many addresses of one name are looked at, in the answer's order; default 100. */
  readonly maxAddresses?: number;
  /** Told about a name that could not be resolved, or not in time. Such a name matches nothing. */
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
 * - `192.0.2.*`: a shell pattern (`*`, `?`, `[0-5]`) of the address as {@link https://www.rfc-editor.org/rfc/rfc5952 RFC 5952}
 *   writes it
 * - `mx.example.com`, `mx.example.com/24`: each address of the host, or the network around it
 *
 * An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) counts as the IPv4 address. `0.0.0.0/0` is every IPv4
 * address, and no IPv6 address. `localhost` is the loopback address without DNS (RFC 6761 6.3).
 *
 * Without `options` nothing is resolved: the answer is there at once, and a host name in the list is an error. With
 * `options`, `{}` for the defaults, the answer is a promise; DNS is asked only where no other entry matches.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad address, a bad entry, or a host name without `options`
 *   (a rejection where there are options)
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
      `iniplist: ${first.name} is a host name, which has to be resolved: await iniplist(ip, list, {})`,
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

/** All names at once: the time is that of the slowest, and the first match ends the wait. */
async function anyNameMatches(
  address: IpAddress,
  names: readonly NameEntry[],
  options: Limits,
): Promise<boolean> {
  const own = options.resolver ? undefined : new dns.Resolver({ timeout: options.timeout });
  const resolver = options.resolver ?? (own as NameResolver);
  const clock = new AbortController();
  const timer = setTimeout(() => clock.abort(), options.timeout);
  let decided = false;
  const nameMatches = async ({ name, bits }: NameEntry): Promise<boolean> => {
    try {
      const found = await addressesOf(name, address, resolver, clock.signal);
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

/** True as soon as one is, false when none is. */
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

/** The answer is that there is no such name or address, which is no failure. */
function isNoSuchName(error: Error & { code?: unknown }): boolean {
  return error.code === 'ENOTFOUND' || error.code === 'ENODATA';
}

/** The host's addresses of the client's family, unless the time runs out before. */
async function addressesOf(
  name: string,
  client: IpAddress,
  resolver: NameResolver,
  timeUp: AbortSignal,
): Promise<string[]> {
  const isIpv4 = client.kind() === 'ipv4';
  if (/^localhost\.?$/i.test(name)) return [isIpv4 ? '127.0.0.1' : '::1'];
  const lookup = isIpv4 ? resolver.resolve4(name) : resolver.resolve6(name);
  return Promise.race([lookup, rejectionOf(name, timeUp)]);
}

function rejectionOf(name: string, timeUp: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    timeUp.addEventListener('abort', () => reject(new Error(`iniplist: no answer for ${name} in time`)), {
      once: true,
    });
  });
}
