/** Asks the mail server of a sender whether it accepts mail for the sender, and remembers the answer. */
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AddrCache } from 'tsmilter/cache';
import { createMsg, type DsnRefusal, sendDsn } from 'tsmilter/dsn';
import type { MessageFacts } from './facts';
import { flag, number, type Option, type Values } from './options';

const TEMPLATE = `Subject: Your mail to %(receiver)s

Your mail server has sent mail in the name of %(to)s.
%(reason)s

The mail has been accepted, but %(receiver)s cannot know whether it is yours.
Please ask the postmaster of your domain to correct its SPF record.
`;

const template: Option<string> = {
  doc: 'file with the template of notices to senders, as [tsmilter/dsn](dsn.md) reads it, with `%(reason)s`; empty: a text of the filter',
  fallback: '',
  async read(name, context) {
    if (name === '') return TEMPLATE;
    const text = await readFile(context.watch(name), 'utf8');
    await createMsg(text, { to: 'ann@example.com', receiver: 'example.com', values: { reason: 'none' } }); // checks it
    return text;
  },
};

export const callbackOptions = {
  template,
  accepted_days: number('days for which an accepted callback or notice is remembered', 7, 1, 365),
  max_time: number('seconds for one callback; the time-out of the MTA must be longer', 30, 1, 300),
  port: number('the port of mail servers', 25, 1, 65_535),
  private_hosts: flag(
    'whether to connect to addresses that are not public, such as those of an internal network',
    false,
  ),
};

type Settings = Values<typeof callbackOptions>;

/** How a sender is asked: by a callback alone, or by a notice that it has to accept. */
export type Question = 'callback' | 'notice';

/** What a server has said about the address itself; everything else, such as a dislike of this host, is about something else. */
const ABOUT_ADDRESS: ReadonlySet<string> = new Set(['address', 'dns', 'rcpt']);

/** Most servers say at RCPT, too, what they have against the client: 5.7.X is about policy (RFC 3463 3.8). */
const isAboutAddress = ([code, text, stage]: DsnRefusal): boolean =>
  code >= 500 && ABOUT_ADDRESS.has(stage) && !(stage === 'rcpt' && /^5\.7\./.test(text));

/** By their files. They outlive a configuration: sessions of the one before still ask, and what a server has said stays true. */
const caches = new Map<string, { readonly renew: number; readonly cache: AddrCache<string> }>();

/** What is remembered in a file for some days, as the file has it by now. */
async function openCache(file: string, renew: number): Promise<AddrCache<string>> {
  const known = caches.get(file);
  const cache = known?.renew === renew ? known.cache : new AddrCache<string>({ file, renew });
  await cache.load();
  caches.set(file, { renew, cache });
  return cache;
}

export class Callbacks {
  readonly #settings: Settings;
  readonly #asked: Readonly<Record<Question, AddrCache<string>>>;
  readonly #report: (message: string) => void;

  private constructor(
    settings: Settings,
    asked: Record<Question, AddrCache<string>>,
    report: (message: string) => void,
  ) {
    this.#settings = settings;
    this.#asked = asked;
    this.#report = report;
  }

  /**
   * @param directory for the files of accepted addresses; created if there is none
   * @param report what goes wrong with these files later on
   */
  static async open(
    settings: Settings,
    directory: string,
    report: (message: string) => void,
  ): Promise<Callbacks> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const open = (name: string) => openCache(join(directory, name), settings.accepted_days);
    const asked = { callback: await open('callbacks'), notice: await open('notices') };
    return new Callbacks(settings, asked, report);
  }

  /**
   * What the mail server of the sender says against the sender; null if it accepts mail for it, or if nobody can tell.
   *
   * @param reason for the notice
   */
  async refusal(question: Question, facts: MessageFacts, reason: string): Promise<string | null> {
    const { address } = facts.message.sender;
    // A name without a domain has no server; to the cache it would be that of a domain.
    if (!address.includes('@')) return null;
    const cache = this.#asked[question];
    const known = cache.get(address);
    if (known !== undefined) return known;
    const refusal = await this.#ask(question, facts, reason);
    if (refusal === null) this.#remember(cache, address);
    else if (isAboutAddress(refusal)) {
      const text = `${refusal[0]} ${refusal[1]}`;
      cache.set(address, text);
      return text;
    }
    return null;
  }

  /** What the file cannot take, such as that of a full disk, is remembered until the filter ends: the address has been accepted. */
  #remember(cache: AddrCache<string>, address: string): void {
    try {
      cache.set(address);
    } catch (error) {
      this.#report(`CALLBACK an accepted address cannot be written: ${(error as Error).message}`);
    }
  }

  async #ask(
    question: Question,
    { message, host, dns, signal }: MessageFacts,
    reason: string,
  ): Promise<DsnRefusal | null> {
    const { address } = message.sender;
    const { max_time, port, private_hosts, template } = this.#settings;
    const notice =
      question === 'notice'
        ? await createMsg(template, { to: address, receiver: host, values: { reason } })
        : null;
    return sendDsn(address, notice, {
      receiver: host,
      resolver: dns,
      maxTime: max_time * 1000,
      port,
      privateHosts: private_hosts,
      signal,
    });
  }
}
