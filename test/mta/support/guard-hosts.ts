/**
 * Hosts with a guard each behind the HAProxy of one MTA of each kind, with their state in Redis: as docs/guard-hosts.md describes it, by
 * the configuration of HAProxy that stands there. Each host is an address of the loopback network; the page's third one is switched off.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { DnsServer } from '../../../tools/dns-server';
import { freePorts } from '../../../tools/free-ports';
import { HaProxy } from '../../../tools/haproxy';
import { SmtpClient } from '../../../tools/mta';
import { RedisServer } from '../../../tools/redis';
import { TIMEOUT, until } from '../../../tools/wait';
import { readPages } from '../../support/docs/pages';
import { type Sections, script, textOf, zone } from './guard-fixture';
import { compose, type Kind, MtaFixture, nextId } from './mta-fixture';
import { Program } from './program';

/** Of the documented hosts, those that run, by their names in HAProxy. */
export const HOSTS = { mx1: '127.0.9.1', mx2: '127.0.9.2' } as const;
export type HostName = keyof typeof HOSTS;
const HOST_NAMES = Object.keys(HOSTS) as HostName[];

/** The rest of a client's patience: far more attempts than a message needs. */
const MAX_ATTEMPTS = 200;

/** A message of a client. */
export interface HostMail {
  /** From where. */
  readonly at: string;
  readonly helo?: string;
  readonly from?: string;
  readonly to?: string;
}

/** A client's message that has been accepted. */
export interface Accepted {
  readonly id: string;
  /** The temporary failures before. */
  readonly deferrals: readonly string[];
}

export class GuardHosts {
  readonly mtas: MtaFixture;
  readonly redis: RedisServer;
  readonly #haproxy: HaProxy;
  /** Closed in this order. */
  readonly #opened: readonly AsyncDisposable[];
  readonly #guards = new Map<HostName, Program>();
  #starts = 0;

  private constructor(
    mtas: MtaFixture,
    redis: RedisServer,
    haproxy: HaProxy,
    opened: readonly AsyncDisposable[],
  ) {
    this.mtas = mtas;
    this.redis = redis;
    this.#haproxy = haproxy;
    this.#opened = opened;
  }

  /** @param rules the sections of rules, the same on all hosts */
  static async start(rules: Sections): Promise<GuardHosts> {
    const opened: AsyncDisposable[] = [];
    const open = async <T extends AsyncDisposable>(opening: Promise<T>): Promise<T> => {
      const value = await opening;
      opened.unshift(value);
      return value;
    };
    try {
      const [redisPort = 0, milterPort = 0, metricsPort = 0] = await freePorts(3);
      const dns = await open(DnsServer.start(zone));
      const redis = await open(RedisServer.start(redisPort));
      const mtas = await open(MtaFixture.start({ endpoints: ['inet'], fixture: null }));
      const places = { mtas: mtas.socket('inet'), milterPort, metricsPort };
      const haproxy = await open(HaProxy.start(documentedConfiguration(places)));
      for (const [name, address] of Object.entries(HOSTS)) {
        const milter = {
          socketname: `inet:${milterPort}@${address}`,
          metrics: `inet:${metricsPort}@${address}`,
          state: `redis://127.0.0.1:${redisPort}/1`,
          directory: `${name}-files`,
          name,
        };
        const sections = { milter, dns: { nameservers: dns.address }, ...rules };
        fs.writeFileSync(path.join(mtas.dir, `${name}.cfg`), textOf(sections));
      }
      const hosts = new GuardHosts(mtas, redis, haproxy, opened);
      opened.unshift({ [Symbol.asyncDispose]: () => hosts.#stopGuards() });
      await Promise.all(HOST_NAMES.map((name) => hosts.startGuard(name)));
      await hosts.#until('mx3', 'DOWN');
      return hosts;
    } catch (error) {
      await closeAll(opened);
      throw error;
    }
  }

  /** Starts a host's guard, for the first time or again; resolves when HAProxy sends it sessions. */
  async startGuard(name: HostName): Promise<void> {
    const temporary = path.join(this.mtas.dir, `tmp-${++this.#starts}`);
    const config = path.join(this.mtas.dir, `${name}.cfg`);
    this.#guards.set(name, await Program.start(script, [config], /: listening on /, temporary));
    await this.#until(name, 'UP');
  }

  /** Ends a host's guard by SIGKILL. */
  async killGuard(name: HostName): Promise<void> {
    await this.#guards.get(name)?.[Symbol.asyncDispose]();
    this.#guards.delete(name);
  }

  /** Upgrades a host's guard as the documentation says: it is stopped by SIGTERM, and started again. */
  async upgradeGuard(name: HostName): Promise<void> {
    await this.#haproxy.command(`set server guards/${name} state drain`);
    const ended = async () => (await this.#haproxy.server('guards', name)).connections === 0;
    await until(`the end of the sessions of ${name}`, ended, 2 * TIMEOUT);
    await this.#guards.get(name)?.stop();
    await this.#haproxy.command(`set server guards/${name} state ready`);
    await this.startGuard(name);
  }

  /** New sessions go to these hosts alone. */
  async use(...names: readonly HostName[]): Promise<void> {
    for (const name of HOST_NAMES) {
      const isUsed = names.includes(name);
      await this.#haproxy.command(`set server guards/${name} state ${isUsed ? 'ready' : 'maint'}`);
      if (!isUsed) await this.#until(name, 'MAINT');
      else if (this.#guards.has(name)) await this.#until(name, 'UP');
    }
  }

  /** What a host's guard has logged since its start. */
  log(name: HostName): string {
    return this.#guards.get(name)?.output ?? '';
  }

  open(kind: Kind, localAddress: string): Promise<SmtpClient> {
    return this.mtas.open(kind, 'inet', { localAddress });
  }

  /** One attempt at a message: the last reply, `250 …` if it is accepted. */
  async attempt(kind: Kind, mail: HostMail, id = nextId()): Promise<string> {
    const { at, helo = '127.0.3.1', from = 'joe@stranger.example', to = 'rcpt@dest.test' } = mail;
    const { host, port } = this.mtas.mta(kind).endpoints.inet;
    const { last } = await SmtpClient.submit(
      { host, port },
      { helo, from, to, data: compose(id, [], 'a line\r\n') },
      { localAddress: at, timeoutMs: 2 * TIMEOUT },
    );
    return `${last.code} ${last.text}`;
  }

  /** A message of a client that tries again after each temporary failure, until it is accepted. */
  async deliver(kind: Kind, mail: HostMail, id = nextId()): Promise<Accepted> {
    const deferrals: string[] = [];
    while (deferrals.length < MAX_ATTEMPTS) {
      const reply = await this.attempt(kind, mail, id);
      if (reply.startsWith('250 ')) return { id, deferrals };
      if (!reply.startsWith('4')) throw new Error(`message ${id} was refused: ${reply}`);
      deferrals.push(reply);
    }
    throw new Error(`message ${id} is still deferred: ${deferrals.at(-1)}`);
  }

  stop(): Promise<void> {
    return closeAll(this.#opened);
  }

  async #until(name: string, state: string): Promise<void> {
    const reached = async () => (await this.#haproxy.server('guards', name)).status.startsWith(state);
    await until(`${name} to be ${state}`, reached);
  }

  async #stopGuards(): Promise<void> {
    await Promise.all([...this.#guards.values()].map((guard) => guard.stop()));
    this.#guards.clear();
  }
}

/** Closes all of them, one after the other, whatever happens with one; rejects with the first failure. */
async function closeAll(opened: readonly AsyncDisposable[]): Promise<void> {
  let failure: unknown;
  for (const each of opened) {
    try {
      await each[Symbol.asyncDispose]();
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
}

interface Places {
  /** Where the MTAs look for the filter. */
  readonly mtas: string;
  readonly milterPort: number;
  readonly metricsPort: number;
}

/** HAProxy's configuration in the documentation, with the addresses of a test. */
function documentedConfiguration({ mtas, milterPort, metricsPort }: Places): string {
  const page = readPages().find(({ path: name }) => name === 'docs/guard-hosts.md');
  const block = page?.blocks.find(({ language }) => language === 'haproxy');
  if (block === undefined) throw new Error('docs/guard-hosts.md has no configuration of HAProxy');
  const port = /^inet:(\d+)@/.exec(mtas)?.[1];
  return block.text
    .replace('127.0.0.1:8890', `127.0.0.1:${port}`)
    .replaceAll(/192\.0\.2\.1(\d):8891/g, `127.0.9.$1:${milterPort}`)
    .replace('check port 9464', `check port ${metricsPort}`);
}
