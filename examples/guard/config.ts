/** Reads the configuration file, checks all of it, and prepares the rules that are on. */
import { dirname, resolve } from 'node:path';
import { MilterConfigParser } from 'tsmilter/config';
import { ConfigError } from '../shared/config-error';
import { bansIn } from './bans';
import { Callbacks } from './callback';
import type { ClientClass } from './client';
import { resolverFor } from './dns';
import { commonOptions, FRAME } from './frame-options';
import type { Options, ReadContext, Values } from './options';
import { Resources } from './resources';
import type { AnyRule, Mode, PreparedRule, Step } from './rule';
import { State } from './state';

type Frame = { readonly [Section in keyof typeof FRAME]: Values<(typeof FRAME)[Section]> };

/** A rule that is on. */
export interface ActiveRule extends PreparedRule {
  readonly name: string;
  readonly step: Step;
  readonly suspicion: boolean;
  readonly mode: Exclude<Mode, 'off'>;
  readonly tag: string;
  readonly clients: ReadonlySet<ClientClass>;
  /** Put before the Subject; null for nothing. */
  readonly subject: string | null;
}

export interface Config extends Frame {
  /** In the order in which they are asked. */
  readonly rules: readonly ActiveRule[];
  /** Released by whoever does not use the configuration any more. */
  readonly resources: Resources;
  /** When one of these changes, the configuration must be read again. */
  readonly files: readonly string[];
}

/**
 * Reads the configuration file.
 *
 * @param rules all rules that there are, in their order
 * @param report what goes wrong with the files of this configuration later on
 * @throws ConfigError or MilterError, whose message has the place and what to do
 */
export async function readConfig(
  file: string,
  rules: readonly AnyRule[],
  report: (message: string) => void,
): Promise<Config> {
  const parser = new MilterConfigParser();
  if (parser.read(file).length === 0)
    throw new ConfigError(`${file}: the file does not exist; examples/guard/guard.cfg is a starting point`);
  parser.checkNames(namesOf(rules));
  const reader = new Reader(file, parser, report);
  try {
    return await reader.read(rules);
  } catch (error) {
    await reader.resources.release();
    throw error;
  }
}

/** The options of all sections. */
export function optionsOf(rule: AnyRule) {
  return { ...commonOptions(rule), ...rule.options };
}

function namesOf(rules: readonly AnyRule[]): Map<string, readonly string[]> {
  const frame = Object.entries<Options>(FRAME);
  const own = rules.map((rule): [string, Options] => [rule.name, optionsOf(rule)]);
  return new Map([...frame, ...own].map(([section, options]) => [section, Object.keys(options)]));
}

class Reader {
  readonly resources = new Resources();
  readonly #file: string;
  readonly #parser: MilterConfigParser;
  readonly #context: ReadContext;
  readonly #files: string[];

  constructor(file: string, parser: MilterConfigParser, report: (message: string) => void) {
    this.#file = file;
    this.#files = [resolve(file)];
    this.#parser = parser;
    const directory = dirname(resolve(file));
    const watch = (name: string) => {
      const path = resolve(directory, name);
      this.#files.push(path);
      return path;
    };
    this.#context = { directory, resources: this.resources, report, watch };
  }

  async read(rules: readonly AnyRule[]): Promise<Config> {
    const frame: Frame = {
      milter: await this.#section('milter', FRAME.milter),
      clients: await this.#section('clients', FRAME.clients),
      dns: await this.#section('dns', FRAME.dns),
      authentication: await this.#section('authentication', FRAME.authentication),
      callback: await this.#section('callback', FRAME.callback),
    };
    await this.#at('dns', 'nameservers', () => resolverFor(frame.dns));
    const { report } = this.#context;
    const filesOfRules = frame.milter.directory ?? this.#context.directory;
    const services = {
      state: new State(frame.milter.state, this.resources, report),
      directory: filesOfRules,
      bans: () => bansIn(filesOfRules),
      callbacks: () => Callbacks.open(frame.callback, filesOfRules),
      internalDomains: frame.clients.internal_domains,
      resources: this.resources,
      report,
    };
    const active: ActiveRule[] = [];
    for (const rule of rules) {
      const {
        mode: own,
        log_tag,
        clients,
        subject,
        ...options
      } = await this.#section(rule.name, optionsOf(rule));
      if (own === 'off') continue;
      const mode = frame.milter.dry_run ? 'dry-run' : own;
      const prepared = await this.#at(rule.name, 'mode', () => rule.prepare(options, { ...services, mode }));
      active.push({
        ...prepared,
        name: rule.name,
        step: rule.step,
        suspicion: rule.suspicion,
        mode,
        tag: log_tag ?? rule.name.toUpperCase(),
        clients: new Set(clients),
        subject,
      });
    }
    return { ...frame, rules: active, resources: this.resources, files: this.#files };
  }

  async #section<O extends Options>(section: string, options: O): Promise<Values<O>> {
    const values: Record<string, unknown> = {};
    for (const [name, option] of Object.entries(options)) {
      values[name] = await this.#at(section, name, () => {
        const text = this.#parser.get(section, name)?.trim() ?? option.fallback;
        return option.read(text, this.#context);
      });
    }
    return values as Values<O>;
  }

  /** An error gets the place of the option that it is about. */
  async #at<T>(section: string, option: string, run: () => T | Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const place = this.#parser.placeOf(section, option) ?? this.#file;
      throw new ConfigError(`${place}: [${section}] ${option}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
}
