/** A list of networks. */
import { badArgument } from '../internal/errors.js';
import { checkOptions } from '../internal/validate.js';
import { requireIp } from '../utils/ip.js';
import { type IpList, listHas, readIpList } from '../utils/ip-list.js';
import { LIST_OPTIONS, ReloadedList } from './reloaded-list.js';
import { type ListOptions, Sources, type Table } from './sources.js';

/** Every entry is compared at each look-up. */
const MAX_ENTRIES = 10_000;

class NetworkTable implements Table {
  readonly #entries: IpList[] = [];

  get size(): number {
    return this.#entries.length;
  }

  add(entry: string): void {
    let read: IpList;
    try {
      read = readIpList([entry]);
    } catch {
      throw badArgument('is not an IP address, a network (192.0.2.0/24) or a pattern (192.0.2.*)');
    }
    if (read.names.length > 0)
      throw badArgument('is a host name; such entries need DNS, use iniplist() for them');
    this.#entries.push(read);
  }

  has(address: ReturnType<typeof requireIp>): boolean {
    return this.#entries.some((entry) => listHas(entry, address));
  }
}

/**
 * A list of addresses, networks and patterns of addresses, as `iniplist` of `tsmilter/utils` reads them but without host names.
 * It is parsed once; changes of its files are picked up without a restart.
 */
export class NetworkList extends ReloadedList<NetworkTable> {
  /**
   * Reads the list.
   *
   * @param entries entries, and absolute paths of files with one entry in each line
   * @throws MilterError ERR_MILTER_LIST if a file cannot be read, has an invalid entry, or exceeds a limit;
   *   ERR_MILTER_BAD_ARGUMENT for an invalid entry of the array, or an invalid option
   */
  static async open(entries: readonly string[], options: ListOptions = {}): Promise<NetworkList> {
    checkOptions('NetworkList', options, LIST_OPTIONS);
    const create = () => new NetworkTable();
    return new NetworkList(await Sources.open('NetworkList', entries, options, create, MAX_ENTRIES));
  }

  /**
   * Whether an IP address is in the list. An IPv4-mapped IPv6 address counts as the IPv4 address.
   *
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for what is not an IP address
   */
  has(ip: string): boolean {
    const address = requireIp('NetworkList', ip);
    return this.tables.some((table) => table.has(address));
  }
}
