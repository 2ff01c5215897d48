/** A configuration file whose options are declared. */
import { dirname, resolve } from 'node:path';
import { MilterConfigParser } from 'tsmilter/config';
import { ConfigError } from './config-error';
import type { Option, Options, ReadContext, Values } from './options';

/** The options of each section. */
export type Sections<Context extends ReadContext = ReadContext> = Readonly<Record<string, Options<Context>>>;

/** The values of all sections. */
export type SectionValues<S extends Sections<never>> = { readonly [Name in keyof S]: Values<S[Name]> };

export class ConfigFile {
  readonly #file: string;
  readonly #parser = new MilterConfigParser();

  /**
   * Reads the file. A name that is not declared is an error: a misspelt option would silently have no effect.
   *
   * @param declared all sections that the file may have
   * @param sample a file to start from, named if there is none
   * @throws ConfigError for a missing file, MilterError ERR_MILTER_CONFIG for one that is not well-formed
   */
  constructor(file: string, declared: Sections<never>, sample: string) {
    this.#file = file;
    if (this.#parser.read(file).length === 0)
      throw new ConfigError(`${file}: the file does not exist; ${sample} is a starting point`);
    const names = Object.entries(declared).map(
      ([section, options]) => [section, Object.keys(options)] as const,
    );
    this.#parser.checkNames(new Map(names));
  }

  /** Relative names in the file are relative to this directory. */
  get directory(): string {
    return dirname(resolve(this.#file));
  }

  /** The values of several sections. @throws ConfigError with the place of the option that is wrong */
  async sections<Context extends ReadContext, S extends Sections<Context>>(
    declared: S,
    context: Context,
  ): Promise<SectionValues<S>> {
    const values: Record<string, unknown> = {};
    for (const [section, options] of Object.entries<Options<Context>>(declared))
      values[section] = await this.section(section, options, context);
    return values as SectionValues<S>;
  }

  /** The values of one section. @throws ConfigError with the place of the option that is wrong */
  async section<Context extends ReadContext, O extends Options<Context>>(
    section: string,
    declared: O,
    context: Context,
  ): Promise<Values<O>> {
    const values: Record<string, unknown> = {};
    for (const [name, option] of Object.entries<Option<unknown, Context>>(declared)) {
      const text = this.#parser.get(section, name)?.trim() ?? option.fallback;
      values[name] = await this.at(section, name, () => option.read(text, context));
    }
    return values as Values<O>;
  }

  /** Does something with an option: an error gets the place of the option. */
  async at<T>(section: string, option: string, run: () => T | Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw this.error(section, option, (error as Error).message, { cause: error });
    }
  }

  /** What is wrong with an option, with its place. */
  error(section: string, option: string, why: string, options?: ErrorOptions): ConfigError {
    const place = this.#parser.placeOf(section, option) ?? this.#file;
    return new ConfigError(`${place}: [${section}] ${option}: ${why}`, options);
  }
}
