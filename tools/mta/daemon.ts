import * as fs from 'node:fs';
import { freePorts } from '../free-ports';
import { SupervisedProcess } from '../supervised-process';
import { installation } from './installation';
import { awaitListening } from './listening';
import { type EndpointName, endpointNames, hostOf, type Mta, type MtaOptions, openEndpoints } from './mta';
import { makeRunDir } from './run-dir';

export type EndpointPorts = Readonly<Record<EndpointName, number>>;

/** What one kind of MTA needs: the files that are written before it starts, and its command. */
export interface Recipe {
  readonly name: Mta['name'];
  readonly packageName: string;
  prepare(dir: string, ports: EndpointPorts, options: MtaOptions): Promise<Prepared>;
}

export interface Prepared {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly queueDir: string;
  log(): string;
  quarantined(): string[];
  /** Called once, after the MTA's end. */
  release(): void;
}

/** Starts an MTA in a folder of its own; resolves when all its endpoints listen. */
export async function startMta(recipe: Recipe, options: MtaOptions): Promise<Mta> {
  const version = installation().versions.get(recipe.packageName) ?? 'unknown';
  const numbers = await freePorts(endpointNames.length);
  const ports = Object.fromEntries(
    endpointNames.map((endpoint, i) => [endpoint, numbers[i]]),
  ) as unknown as EndpointPorts;
  const dir = makeRunDir(recipe.name);
  let prepared: Prepared;
  try {
    prepared = await recipe.prepare(dir, ports, options);
  } catch (error) {
    fs.rmSync(dir, { recursive: true, force: true });
    throw error;
  }
  const { command, args, env } = prepared;
  const daemon = new Daemon(recipe.name, version, dir, ports, prepared, { dir, command, args, env });
  await daemon.started();
  return daemon;
}

class Daemon implements Mta {
  readonly endpoints: Mta['endpoints'];
  readonly #prepared: Prepared;
  readonly #process: SupervisedProcess;
  #stopped: Promise<void> | undefined;
  /** Kept at the end, for the report of a failure. */
  #lastLog: string | undefined;

  constructor(
    readonly name: Mta['name'],
    readonly version: string,
    readonly dir: string,
    ports: EndpointPorts,
    prepared: Prepared,
    command: ConstructorParameters<typeof SupervisedProcess>[0],
  ) {
    this.endpoints = Object.fromEntries(
      endpointNames.map((endpoint) => [endpoint, { host: hostOf(endpoint), port: ports[endpoint] }]),
    ) as unknown as Mta['endpoints'];
    this.#prepared = prepared;
    this.#process = new SupervisedProcess(command);
  }

  async started(): Promise<void> {
    const ports = openEndpoints.map((endpoint) => this.endpoints[endpoint].port);
    try {
      await awaitListening(this.name, ports, () => this.#process.ended);
    } catch (error) {
      const output = `${this.#process.output}${this.log()}`;
      await this.stop();
      throw new Error(`${this.name} did not start; its output:\n${output}`, { cause: error });
    }
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get queueDir(): string {
    return this.#prepared.queueDir;
  }

  log(): string {
    return this.#lastLog ?? this.#prepared.log();
  }

  quarantined(): string[] {
    return this.#prepared.quarantined();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #end(): Promise<void> {
    this.#lastLog = this.#prepared.log();
    try {
      await this.#process.stop();
    } finally {
      this.#prepared.release();
    }
  }
}
