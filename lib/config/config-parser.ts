/** Reads configuration files in the format that pymilter uses. */
import { basename, resolve } from 'node:path';
import { badArgument, type MilterError } from '../internal/errors.js';
import { suggestName } from '../internal/suggestions.js';
import { checkOptions, type OptionNames } from '../internal/validate.js';
import { parseAddr } from '../utils/index.js';
import { configError } from './config-error.js';
import { type IniOption, readIniText, type Sections } from './ini-text.js';
import { interpolate, referencesIn } from './interpolate.js';
import { readText } from './read-text.js';
import { booleanOf, entriesOf, integerOf } from './values.js';

/** Limits of {@link MilterConfigParser}. */
export interface MilterConfigParserOptions {
  /** Maximum size in bytes of a configuration file, and of a file in a `file:` value. Default: 8,388,608 (8 MiB). */
  readonly maxFileSize?: number;
}

const OPTIONS: OptionNames<MilterConfigParserOptions> = { maxFileSize: true };

const MAX_FILE_SIZE = 8 * 1024 * 1024;
/** The section of Python's ConfigParser whose options are defaults for all sections. */
const DEFAULT_SECTION = 'DEFAULT';
const FILE = /^file:/i;

/**
 * Reads ini files in the dialect of Python's ConfigParser (pymilter's `MilterConfigParser`).
 *
 * ```
 * const config = new MilterConfigParser({ timeout: '600' });
 * config.read(['/etc/mail/filter.cfg', '/etc/mail/filter.local.cfg']);
 * const timeout = config.getint('milter', 'timeout');
 * ```
 *
 * Names of options are not case-sensitive; names of sections are. Defaults, whether from the constructor or a `[DEFAULT]`
 * section, are returned by the methods that get a value, but are not listed as options of a section. In values, `%(name)s` is
 * replaced by the value of another option of the section or of the defaults, and `%%` by `%`.
 */
export class MilterConfigParser {
  readonly #defaults: ReadonlyMap<string, string>;
  readonly #fileDefaults = new Map<string, IniOption>();
  readonly #sections: Sections = new Map();
  readonly #maxFileSize: number;

  /** @param defaults values that {@link get}, {@link getint} and {@link getboolean} return for options that are not configured */
  constructor(defaults: Readonly<Record<string, string>> = {}, options: MilterConfigParserOptions = {}) {
    checkOptions('MilterConfigParser', options, OPTIONS);
    this.#defaults = new Map(
      Object.entries(defaults).map(([name, value]) => [name.toLowerCase(), String(value)]),
    );
    this.#maxFileSize = options.maxFileSize ?? MAX_FILE_SIZE;
    if (!(this.#maxFileSize > 0)) {
      throw badArgument('MilterConfigParser: maxFileSize must be a number above 0');
    }
  }

  /**
   * Reads one or several files. The values of later files override those of earlier ones.
   *
   * @returns the files that exist; a missing file is not an error
   * @throws MilterError ERR_MILTER_CONFIG for a file that is too large or malformed, with its name and line
   */
  read(files: string | readonly string[]): string[] {
    return (typeof files === 'string' ? [files] : [...files]).filter((file) => {
      const text = this.#readIfThere(file);
      if (text !== undefined) this.readString(text, file);
      return text !== undefined;
    });
  }

  #readIfThere(file: string): string | undefined {
    try {
      return readText(file, this.#maxFileSize);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** As {@link read}, from a string; `source` names it in errors. A malformed text changes nothing. */
  readString(text: string, source = '<string>'): void {
    for (const [name, section] of readIniText(text, source)) {
      const known = name === DEFAULT_SECTION ? this.#fileDefaults : this.#sections.get(name)?.options;
      for (const [option, value] of known ? section.options : []) known?.set(option, value);
      if (!known) this.#sections.set(name, section);
    }
  }

  /** The names of the sections in the order of the files, without `DEFAULT`. */
  sections(): string[] {
    return [...this.#sections.keys()];
  }

  /** Whether a section exists. */
  hasSection(section: string): boolean {
    return this.#sections.has(section);
  }

  /**
   * The names of a section's own options, in lower case.
   *
   * @throws MilterError ERR_MILTER_CONFIG if the section does not exist
   */
  options(section: string): string[] {
    const found = this.#sections.get(section);
    if (!found) throw configError(`there is no section [${section}]`);
    return [...found.options.keys()];
  }

  /** Whether a section has an option of its own. */
  hasOption(section: string, option: string): boolean {
    return this.#sections.get(section)?.options.has(option.toLowerCase()) ?? false;
  }

  /**
   * Where an option is written, as `file:line`, for errors about its value: the place of the option, of its default in the section
   * `DEFAULT`, of the section without the option, or null.
   */
  placeOf(section: string, option: string): string | null {
    const found = this.#sections.get(section);
    const name = option.toLowerCase();
    return (found?.options.get(name) ?? this.#fileDefaults.get(name) ?? found)?.place ?? null;
  }

  /**
   * Checks that the files have no other sections and options than these: a misspelt option would silently have no effect. The section
   * `DEFAULT` may have the options of all sections, and what `%(name)s` in a value refers to.
   *
   * @param known the names of options, in lower case, by section
   * @throws MilterError ERR_MILTER_CONFIG with the place of the first unknown name, and a similar one that is known
   */
  checkNames(known: ReadonlyMap<string, readonly string[]>): void {
    for (const [section, { place, options }] of this.#sections) {
      const names = known.get(section);
      if (!names) throw unknownName(place, `[${section}]`, section, [...known.keys()]);
      for (const [name, option] of options) {
        if (!names.includes(name)) throw unknownName(option.place, `[${section}] ${name}`, name, names);
      }
    }
    const ofAny = new Set([...known.values()].flat());
    const referred = this.#references();
    for (const [name, { place }] of this.#fileDefaults) {
      if (!ofAny.has(name) && !referred.has(name))
        throw unknownName(place, `[${DEFAULT_SECTION}] ${name}`, name, [...ofAny]);
    }
  }

  /** The names of options to which values refer. */
  #references(): Set<string> {
    const options = [this.#fileDefaults, ...[...this.#sections.values()].map((section) => section.options)];
    const values = options.flatMap((section) => [...section.values()].map(({ value }) => value));
    return new Set(values.flatMap(referencesIn));
  }

  /** The value of an option: from the section, otherwise from the defaults, otherwise `fallback`. Default: null */
  get(section: string, option: string): string | null;
  get<T>(section: string, option: string, fallback: T): string | T;
  get(section: string, option: string, fallback: unknown = null): unknown {
    return this.#find(section, option) ?? fallback;
  }

  /**
   * The value of an option as an integer.
   *
   * @throws MilterError ERR_MILTER_CONFIG if the value is not an integer, or there is neither a value nor a `fallback`
   */
  getint(section: string, option: string, fallback?: number): number {
    return this.#convert(section, option, this.#find(section, option), integerOf, 'a whole number', fallback);
  }

  /**
   * The value of an option as a boolean: `1`, `yes`, `true`, `on`, or `0`, `no`, `false`, `off`, in any letter case.
   *
   * @throws MilterError ERR_MILTER_CONFIG for any other value, or if there is neither a value nor a `fallback`
   */
  getboolean(section: string, option: string, fallback?: boolean): boolean {
    return this.#convert(section, option, this.#find(section, option), booleanOf, 'yes or no', fallback);
  }

  /** As {@link get}, but with `fallback` instead of the constructor's defaults. */
  getdefault(section: string, option: string): string | null;
  getdefault<T>(section: string, option: string, fallback: T): string | T;
  getdefault(section: string, option: string, fallback: unknown = null): unknown {
    return this.#findInFiles(section, option) ?? fallback;
  }

  /** As {@link getint}, but with `fallback` instead of the constructor's defaults. Default: null */
  getintdefault(section: string, option: string, fallback: number | null = null): number | null {
    const value = this.#findInFiles(section, option);
    return value === undefined
      ? fallback
      : this.#convert(section, option, value, integerOf, 'a whole number');
  }

  /** The entries of a list, separated by commas or line breaks, without empty ones; `[]` if the option is not in the files. */
  getlist(section: string, option: string): string[] {
    return entriesOf(this.#findInFiles(section, option) ?? '');
  }

  /**
   * Users by domain: `check_user = joe@a.example, ann@a.example, file:b.example` becomes
   * `a.example` → `['joe', 'ann']` and `b.example` → the users in the file `b.example`.
   *
   * A file contains users separated by white space; `#` begins a comment. Domains are converted to lower case, users are not;
   * `@a.example` is the user `''`.
   *
   * @param dir the directory of the files. Default: the working directory
   * @throws MilterError ERR_MILTER_CONFIG for an entry without `@`; the error of the system for a file that cannot be read
   */
  getaddrset(section: string, option: string, dir = ''): Map<string, string[]> {
    const found = new Map<string, string[]>();
    const add = (domain: string, users: readonly string[]) =>
      found.set(domain, [...new Set([...(found.get(domain) ?? []), ...users])]);
    for (const entry of this.getlist(section, option)) {
      if (FILE.test(entry)) {
        const file = fileOf(entry);
        add(basename(file).toLowerCase(), this.#wordsOf(resolve(dir, file)));
        continue;
      }
      const [user, domain] = parseAddr(entry);
      if (!domain)
        throw configError(`${this.#nameOf(section, option)}: ${JSON.stringify(entry)} is not user@domain`);
      add(domain.toLowerCase(), [user]);
    }
    return found;
  }

  /**
   * Names by address. The option lists the names of other options in the section, which list the addresses:
   *
   * ```
   * users = ann, bob
   * ann = ann@a.example, info@a.example
   * bob = file:bob.txt
   * ```
   *
   * becomes `ann@a.example` → `ann`, `info@a.example` → `ann`, and each address in the file `bob.txt` → `bob`. A name
   * without an option of its own has no addresses. Letter case is preserved. If an address has two names, the later one is used.
   *
   * @param dir the directory of the files. Default: the working directory
   * @throws the error of the system for a file that cannot be read
   */
  getaddrdict(section: string, option: string, dir = ''): Map<string, string> {
    const found = new Map<string, string>();
    for (const name of this.getlist(section, option)) {
      for (const entry of this.hasOption(section, name) ? this.getlist(section, name) : []) {
        const file = FILE.test(entry) ? fileOf(entry) : undefined;
        const addresses = file === undefined ? [entry] : this.#wordsOf(resolve(dir, file));
        for (const address of addresses) found.set(address, name);
      }
    }
    return found;
  }

  #find(section: string, option: string): string | undefined {
    return this.#findInFiles(section, option) ?? this.#defaults.get(option.toLowerCase());
  }

  #findInFiles(section: string, option: string): string | undefined {
    const name = option.toLowerCase();
    const options = this.#sections.get(section)?.options;
    const find = (other: string) => (options?.get(other) ?? this.#fileDefaults.get(other))?.value;
    const value = find(name);
    if (value === undefined) return undefined;
    const lookUp = (other: string) => find(other) ?? this.#defaults.get(other);
    return interpolate(value, this.#nameOf(section, option), lookUp);
  }

  /** An option in errors about its value: with its place, if it is in a file. */
  #nameOf(section: string, option: string): string {
    const place = this.placeOf(section, option);
    return place === null ? `[${section}] ${option}` : `${place}: [${section}] ${option}`;
  }

  #convert<T>(
    section: string,
    option: string,
    value: string | undefined,
    convert: (value: string) => T | undefined,
    wanted: string,
    fallback?: T,
  ): T {
    if (value === undefined) {
      if (fallback !== undefined) return fallback;
      throw configError(`${this.#nameOf(section, option)}: not configured; it must be ${wanted}`);
    }
    const converted = convert(value.trim());
    if (converted !== undefined) return converted;
    throw configError(`${this.#nameOf(section, option)}: ${JSON.stringify(value)} is not ${wanted}`);
  }

  #wordsOf(file: string): string[] {
    return readText(file, this.#maxFileSize)
      .split(/\r?\n/)
      .flatMap((line) => (line.split('#')[0] as string).split(/\s+/))
      .filter((word) => word !== '');
  }
}

function unknownName(place: string, shown: string, name: string, known: readonly string[]): MilterError {
  const similar = suggestName(name, known);
  const advice = similar === undefined ? `known are ${known.join(', ')}` : `did you mean ${similar}?`;
  return configError(`${place}: ${shown} is unknown; ${advice}`);
}

function fileOf(entry: string): string {
  return entry.replace(FILE, '').trim();
}
