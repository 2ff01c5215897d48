/** Reads options of an ini file. What has been asked for is known: every other name in the file is an error. */
import { MilterConfigParser } from 'tsmilter/config';
import { ConfigError } from '../shared/config-error';

export class Options {
  readonly #file: string;
  readonly #parser = new MilterConfigParser();
  readonly #known = new Map<string, Set<string>>();

  /** @throws ConfigError for a missing file, MilterError ERR_MILTER_CONFIG for one that is not well-formed */
  constructor(file: string) {
    this.#file = file;
    if (this.#parser.read(file).length > 0) return;
    throw new ConfigError(
      `${file}: the file does not exist; examples/authmilter/authmilter.cfg is a starting point`,
    );
  }

  /** Null for an option that is not in the file, or is empty. */
  text(section: string, option: string): string | null {
    this.#know(section, option);
    return this.#parser.get(section, option)?.trim() || null;
  }

  list(section: string, option: string): string[] {
    this.#know(section, option);
    return this.#parser.getlist(section, option);
  }

  flag(section: string, option: string, fallback: boolean): boolean {
    this.#know(section, option);
    return this.#parser.getboolean(section, option, fallback);
  }

  /** A whole number within bounds. */
  number(section: string, option: string, fallback: number, min: number, max: number): number {
    this.#know(section, option);
    const value = this.#parser.getint(section, option, fallback);
    if (value >= min && value <= max) return value;
    throw this.error(section, option, `${value} is not a number from ${min} to ${max}`);
  }

  /** One of several words, in any letter case. */
  choice<T extends string>(section: string, option: string, words: readonly T[], fallback: T): T {
    return this.word(section, option, this.text(section, option) ?? fallback, words);
  }

  /** The same for a part of a value. */
  word<T extends string>(section: string, option: string, value: string, words: readonly T[]): T {
    const found = words.find((word) => word === value.toLowerCase());
    if (found !== undefined) return found;
    throw this.error(section, option, `${value} is not one of ${words.join(', ')}`);
  }

  error(section: string, option: string, why: string): ConfigError {
    const place = this.#parser.placeOf(section, option) ?? this.#file;
    return new ConfigError(`${place}: [${section}] ${option}: ${why}`);
  }

  /** Refuses unknown options: a misspelt one would silently have no effect. */
  finish(): void {
    this.#parser.checkNames(new Map([...this.#known].map(([section, options]) => [section, [...options]])));
  }

  #know(section: string, option: string): void {
    const known = this.#known.get(section) ?? new Set();
    this.#known.set(section, known.add(option));
  }
}
