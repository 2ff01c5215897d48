import * as fs from 'node:fs';
import { installation } from './installation';
import { type Door, doors, hostOf, type Mta, type MtaOptions, openDoors } from './mta';
import { awaitListening, freePorts } from './ports';
import { SupervisedProcess } from './process';
import { makeRunDir } from './run-dir';

const startMs = 10_000;

export type DoorPorts = Readonly<Record<Door, number>>;

/** What is particular to one kind of MTA: what is written before it starts, and how it is started. */
export interface Recipe {
  readonly name: Mta['name'];
  readonly packageName: string;
  prepare(dir: string, ports: DoorPorts, options: MtaOptions): Promise<Prepared>;
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

/** Starts an MTA in a folder of its own and resolves when all its doors are open. */
export async function startMta(recipe: Recipe, options: MtaOptions): Promise<Mta> {
  const version = installation().versions.get(recipe.packageName) ?? 'unknown';
  const numbers = await freePorts(doors.length);
  const ports = Object.fromEntries(doors.map((door, i) => [door, numbers[i]])) as unknown as DoorPorts;
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
  // kept at the end, for who asks about it after a failure
  #lastLog: string | undefined;

  constructor(
    readonly name: Mta['name'],
    readonly version: string,
    readonly dir: string,
    ports: DoorPorts,
    prepared: Prepared,
    command: ConstructorParameters<typeof SupervisedProcess>[0],
  ) {
    this.endpoints = Object.fromEntries(
      doors.map((door) => [door, { host: hostOf(door), port: ports[door] }]),
    ) as unknown as Mta['endpoints'];
    this.#prepared = prepared;
    this.#process = new SupervisedProcess(command);
  }

  async started(): Promise<void> {
    const ports = openDoors.map((door) => this.endpoints[door].port);
    try {
      await awaitListening(this.name, ports, startMs, () => this.#process.ended);
    } catch (error) {
      const said = `${this.#process.output}${this.log()}`;
      await this.stop();
      throw new Error(`${this.name} did not start; it said:\n${said}`, { cause: error });
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
