/** A list of names and addresses. */
import { checkInteger, checkOptions, checkText, type OptionNames } from '../internal/validate.js';
import { AddressTable, type ListEntry } from './address-table.js';
import { type AuthLevel, levelsOf } from './levels.js';
import { lookupOf } from './names.js';
import { LIST_OPTIONS, ReloadedList } from './reloaded-list.js';
import { type ListOptions, Sources } from './sources.js';

/** Options of an {@link AddressList}. */
export interface AddressListOptions extends ListOptions {
  /** Maximum number of patterns of the array, and of each file; each is tried at every look-up. Default: 1,000. */
  readonly maxGlobs?: number;
}

const OPTIONS: OptionNames<AddressListOptions> = {
  ...LIST_OPTIONS,
  maxGlobs: true,
};

const MAX_ENTRIES = 1_000_000;
const MAX_GLOBS = 1000;

/**
 * A list of names and addresses, such as banned senders. Open it once, when the filter starts; changes of its files are picked up
 * without a restart. Replace a file by renaming a new one to it.
 *
 * ```text
 * ann@example.com      the address
 * @example.com         all addresses of the domain
 * example.com          the host or domain, and all its addresses
 * .example.com         everything below the domain, but not the domain itself
 * news-*@*.example     a pattern: *, ?, [0-9], [!a-f]
 * <>                   the null sender
 * /etc/mail/banned     a file with one entry in each line (not within a file)
 * example.org:!pass    holds for mail that has not passed; also pass, or neutral,none
 * ```
 *
 * Letter case, unnecessary quotes, a source route and the spelling of international domains do not matter.
 */
export class AddressList extends ReloadedList<AddressTable> {
  /**
   * Reads the list.
   *
   * @param entries entries, and absolute paths of files
   * @throws MilterError ERR_MILTER_LIST if a file cannot be read, has an invalid entry, or exceeds a limit;
   *   ERR_MILTER_BAD_ARGUMENT for an invalid entry of the array, or an invalid option
   */
  static async open(entries: readonly string[], options: AddressListOptions = {}): Promise<AddressList> {
    checkOptions('AddressList', options, OPTIONS);
    const { maxGlobs = MAX_GLOBS } = options;
    checkInteger('AddressList: maxGlobs', maxGlobs, 0);
    const create = () => new AddressTable(maxGlobs);
    return new AddressList(await Sources.open('AddressList', entries, options, create, MAX_ENTRIES));
  }

  /**
   * The entry that applies to a name or an address: of the array first, then of the files in their order; in each of them the
   * address before its domain, the domain before those above it, and patterns last.
   *
   * @param name an address with or without `<>`, the name of a host, or '' or `<>` for the null sender
   * @param level how the name was authenticated. Without it, only entries that hold at every level apply.
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT if the name is not a string, or the level is unknown
   */
  find(name: string, level?: AuthLevel): ListEntry | undefined {
    checkText('AddressList: name', name);
    const needed = levelsOf('AddressList', level);
    const lookup = lookupOf(name);
    for (const table of this.tables) {
      const found = table.find(lookup, needed);
      if (found) return found;
    }
    return undefined;
  }

  /** Whether an entry applies; see {@link find}. */
  has(name: string, level?: AuthLevel): boolean {
    return this.find(name, level) !== undefined;
  }
}
