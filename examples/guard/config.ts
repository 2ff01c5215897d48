/** Reads the configuration file, checks all of it, and prepares the rules that are on. */
import { resolve } from 'node:path';
import { ConfigFile, type SectionValues } from '../shared/config-file';
import { bansIn } from './bans';
import { Callbacks } from './callback';
import type { ClientClass } from './client';
import { commonOptions, FRAME } from './frame-options';
import type { Options, ReadContext } from './options';
import { Resources } from './resources';
import type { AnyRule, Mode, PreparedRule, Step } from './rule';
import type { Services } from './services';
import { State } from './state';

type Frame = SectionValues<typeof FRAME>;

/** A rule that is on. */
export interface ActiveRule extends PreparedRule {
  readonly name: string;
  readonly step: Step;
  readonly suspicion: boolean;
  readonly always: boolean;
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
  const own = rules.map((rule): [string, Options] => [rule.name, optionsOf(rule)]);
  const declared = { ...FRAME, ...Object.fromEntries(own) };
  const reader = new Reader(file, new ConfigFile(file, declared, 'examples/guard/guard.cfg'), report);
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

class Reader {
  readonly resources = new Resources();
  readonly #file: ConfigFile;
  readonly #context: ReadContext;
  readonly #watched: string[];

  constructor(path: string, file: ConfigFile, report: (message: string) => void) {
    this.#file = file;
    this.#watched = [resolve(path)];
    const { directory } = file;
    const watch = (name: string) => {
      const watched = resolve(directory, name);
      this.#watched.push(watched);
      return watched;
    };
    this.#context = { directory, resources: this.resources, report, watch };
  }

  async read(rules: readonly AnyRule[]): Promise<Config> {
    const frame: Frame = await this.#file.sections(FRAME, this.#context);
    const services = this.#services(frame);
    const active: ActiveRule[] = [];
    for (const rule of rules) {
      const ready = await this.#activate(rule, frame.milter.dry_run, services);
      if (ready) active.push(ready);
    }
    return { ...frame, rules: active, resources: this.resources, files: this.#watched };
  }

  #services({ milter, clients, callback }: Frame): Omit<Services, 'mode'> {
    const { report } = this.#context;
    const directory = milter.directory ?? this.#context.directory;
    return {
      state: new State(milter.state, this.resources, report),
      directory,
      bans: () => bansIn(directory),
      callbacks: () => Callbacks.open(callback, directory, report),
      signatures: [],
      internalDomains: clients.internal_domains,
      resources: this.resources,
      report,
    };
  }

  /** The rule, if it is on. */
  async #activate(
    rule: AnyRule,
    isDryRun: boolean,
    services: Omit<Services, 'mode'>,
  ): Promise<ActiveRule | null> {
    const values = await this.#file.section(rule.name, optionsOf(rule), this.#context);
    const { mode: own, log_tag, clients, subject, ...options } = values;
    if (own === 'off') return null;
    const mode = isDryRun ? 'dry-run' : own;
    const prepared = await this.#file.at(rule.name, 'mode', () =>
      rule.prepare(options, { ...services, mode }),
    );
    return {
      ...prepared,
      name: rule.name,
      step: rule.step,
      suspicion: rule.suspicion,
      always: rule.always,
      mode,
      tag: log_tag ?? rule.name.toUpperCase(),
      clients: new Set(clients),
      subject,
    };
  }
}
