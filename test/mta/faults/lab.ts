/** A filter behind both MTAs that gets broken, and what an SMTP client then sees. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect } from '@jest/globals';
import { DnsServer } from '../../../tools/dns-server';
import { RedisServer } from '../../../tools/redis';
import { TIMEOUT } from '../../../tools/wait';
import type { FaultySettings } from '../../fixtures/mta/faulty';
import { expectThat } from '../../support/expect';
import { FilterProcess, type FilterProcessOptions } from '../../support/filter-process';
import { type Kind, type Mail, MtaFixture } from '../support/mta-fixture';

/** What becomes of a message. */
export type Outcome = 'delivered' | 'deferred' | 'refused';

/** The class of the last reply to a message with that outcome. */
const CODE_CLASS: Readonly<Record<Outcome, number>> = { delivered: 2, deferred: 4, refused: 5 };

/** How the filter is started. */
export interface FilterSetup {
  readonly settings?: FaultySettings;
  readonly fork?: FilterProcessOptions['fork'];
}

/** A named fault: what is broken, and what a message meets then. When it is mended, the next message must be delivered. */
export interface Fault {
  readonly name: string;
  /** Default: the plain filter. */
  readonly filter?: FilterSetup | ((lab: FaultLab) => FilterSetup);
  /** Breaks something before the message, or has it broken in the middle of the message. */
  readonly harm: (lab: FaultLab) => unknown;
  /** The message. Default: from from@src.test to rcpt@dest.test. */
  readonly mail?: Mail;
  readonly outcome: Outcome;
  /** The filter has died of it, and an administrator, or systemd, starts another. */
  readonly dies?: true;
  /** Mends it. Default: nothing remains to be mended. */
  readonly mend?: (lab: FaultLab) => unknown;
}

/** Postfix waits before it starts a service again of which a process was killed; a second will do. */
const MTA_OPTIONS = { postfix: { extraConfig: 'service_throttle_time = 1s' } };

export class FaultLab {
  #filter: FilterProcess | undefined;
  #setup = '';

  private constructor(
    readonly mtas: MtaFixture,
    readonly redis: RedisServer,
    readonly dns: DnsServer,
  ) {}

  static async start(): Promise<FaultLab> {
    const mtas = MtaFixture.start({ fixture: null, mta: MTA_OPTIONS });
    return new FaultLab(await mtas, await RedisServer.start(), await DnsServer.start());
  }

  get filter(): FilterProcess {
    return this.#filter as FilterProcess;
  }

  /** The directory of the filter's socket. */
  get directory(): string {
    return this.mtas.dir;
  }

  file(name: string): string {
    return path.join(this.directory, name);
  }

  /** Makes the filter do what its fixture has under that name in the next handler of a step. */
  atStep(name: string, step: string): void {
    fs.writeFileSync(this.file('fault'), `${name} ${step}`);
  }

  /** Changes a limit of the filter's process, as prlimit(1) names it. */
  limit(name: string, value: number | 'unlimited'): void {
    execFileSync('prlimit', ['--pid', String(this.filter.pid), `--${name}=${value}:`]);
  }

  /** Starts a filter, unless one of that setup runs already. */
  async useFilter(setup: FilterSetup): Promise<void> {
    const wanted = JSON.stringify(setup);
    if (this.#filter?.running && this.#setup === wanted) return;
    await this.endFilter();
    await this.startFilter(setup);
    this.#setup = wanted;
  }

  async startFilter({ settings = {}, fork }: FilterSetup): Promise<void> {
    this.#filter = await FilterProcess.start('mta/faulty', {
      socket: this.mtas.socket(),
      options: { ...settings, run: { mode: 0o666, ...settings.run } },
      ...(fork && { fork }),
    });
  }

  /** Stops the filter if it still runs, which must succeed; what died by the fault is taken away. */
  async endFilter(): Promise<void> {
    const filter = this.#filter;
    this.#filter = undefined;
    if (filter?.running) await filter.stop();
    else await filter?.[Symbol.asyncDispose]();
  }

  /** Sends a message and checks what the client is told, and what is delivered. */
  async expectOutcome(kind: Kind, outcome: Outcome, mail: Mail = {}): Promise<void> {
    const { id, last } = await this.mtas.submit(kind, mail);
    expectThat(Math.floor(last.code / 100), `${last.code} ${last.text}; ${this.#filter?.state()}`).toBe(
      CODE_CLASS[outcome],
    );
    if (outcome === 'delivered') expect((await this.mtas.delivered(id)).text).toMatch(/^X-Filtered: yes/m);
    else expect(await this.mtas.wasDelivered(kind, id)).toBe(false);
  }

  /** One fault, from the healthy filter to the healthy filter. */
  async run(kind: Kind, fault: Fault): Promise<void> {
    const { filter = {}, harm, outcome, mail, dies = false, mend } = fault;
    const setup = typeof filter === 'function' ? filter(this) : filter;
    await this.useFilter(setup);
    await harm(this);
    await this.expectOutcome(kind, outcome, mail);
    if (dies) await this.#filter?.exited(TIMEOUT);
    else expectThat(this.filter.running, this.filter.state()).toBe(true);
    expectThat(fs.existsSync(this.file('fault')), 'the fault has not happened').toBe(false);
    await mend?.(this);
    await this.useFilter(setup);
    await this.expectOutcome(kind, 'delivered', mail);
  }

  async stop(): Promise<void> {
    try {
      await this.endFilter();
    } finally {
      await this.#filter?.[Symbol.asyncDispose]();
      await Promise.all([this.mtas.stop(), this.redis[Symbol.asyncDispose](), this.dns.close()]);
    }
  }
}
