/** examples/guard without an MTA: its filter with a configuration and a DNS server, and clients that send to it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FeedEnvelope, type FeedResult, TestCtx } from 'tsmilter/testing';
import { GuardFilter } from '../../examples/guard/filter';
import { LiveConfig } from '../../examples/guard/live-config';
import { rules } from '../../examples/guard/rules';
import { DnsServer, type Zone } from '../../tools/dns-server';
import { privateDirectory, removeDirectory } from '../../tools/private-directory';

export const STRANGER = '198.51.100.7';
export const INSIDE = '10.0.0.7';

/** Sections of the configuration, each with its options. */
export type Sections = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Who sends, and what. */
export interface Attempt extends FeedEnvelope {
  /** The address of the client; null for none. Default: {@link STRANGER}. */
  readonly from?: string | null;
  /** Its name, as the MTA says it. Default: that of {@link STRANGER}, or the address. */
  readonly hostname?: string;
  readonly helo?: string;
}

const MESSAGE = 'From: a@stranger.test\r\nSubject: hello\r\n\r\nHello\r\n';

export class GuardClient implements AsyncDisposable {
  readonly directory = privateDirectory('guard');
  /** The lines of the log, without the number of the session. */
  readonly log: string[] = [];
  readonly #live: Promise<LiveConfig>;
  readonly #dns: DnsServer;
  readonly #contexts: TestCtx[] = [];

  private constructor(dns: DnsServer, sections: Sections, files: Readonly<Record<string, string>>) {
    this.#dns = dns;
    for (const [name, content] of Object.entries(files))
      writeFileSync(join(this.directory, name), content, { mode: 0o600 });
    const common: Sections = {
      milter: { socketname: 's', state: 'sqlite:state', directory: 'state' },
      clients: { internal_connect: '10.0.0.0/8', internal_domains: 'ours.test, .ours.test' },
      dns: { nameservers: dns.address },
    };
    const text = Object.entries({ ...common, ...sections }).map(([name, options]) =>
      [`[${name}]`, ...Object.entries(options).map(([option, value]) => `${option} = ${value}`)].join('\n'),
    );
    const file = join(this.directory, 'guard.cfg');
    writeFileSync(file, text.join('\n'));
    this.#live = LiveConfig.open(file, rules, (line) => this.log.push(line));
  }

  /**
   * @param zone names must be the test's own: all filters of a process share their cache of DNS
   * @param files that the configuration names, by name
   */
  static async start(
    sections: Sections,
    zone: Zone = {},
    files: Readonly<Record<string, string>> = {},
  ): Promise<GuardClient> {
    const dns = await DnsServer.start({
      '7.100.51.198.in-addr.arpa': { PTR: ['mail.stranger.test'] },
      'mail.stranger.test': { A: [STRANGER] },
      ...zone,
    });
    const client = new GuardClient(dns, sections, files);
    try {
      await client.#live;
    } catch (error) {
      await dns.close();
      removeDirectory(client.directory);
      throw error;
    }
    return client;
  }

  /** A session that has not begun yet. */
  async open({ from = STRANGER, hostname, helo = 'mail.stranger.test' }: Attempt = {}): Promise<TestCtx> {
    const live = await this.#live;
    const log = { write: (...words: readonly unknown[]) => this.log.push(words.slice(1).join(' ')) };
    const ctx = new TestCtx(() => new GuardFilter({ live, log }), {
      helo,
      hostname: hostname ?? (from === STRANGER ? 'mail.stranger.test' : `[${from}]`),
      hostaddr: from === null ? { family: 'unknown' } : { family: 'inet', address: from, port: 25_000 },
      macros: { connect: { j: 'mx.ours.test' } },
    });
    this.#contexts.push(ctx);
    return ctx;
  }

  /** Sends a message in a session of its own. */
  async send(message: string = MESSAGE, attempt: Attempt = {}): Promise<FeedResult> {
    const ctx = await this.open(attempt);
    const { sender, recipients = ['<ann@ours.test>'] } = attempt;
    const result = await ctx.feedMessage(message, { recipients, ...(sender !== undefined && { sender }) });
    await ctx.close();
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const ctx of this.#contexts) await ctx.close();
    await (await this.#live).close();
    await this.#dns.close();
    removeDirectory(this.directory);
  }
}

/** The reply that refused a recipient or the message, such as `550 5.7.1 …`; the verdict if there is none. */
export function replyTo({ recipients, response }: FeedResult): string {
  const { reply, verdict } = recipients.find((each) => each.verdict !== 'continue') ?? response;
  return reply?.text ?? verdict;
}
