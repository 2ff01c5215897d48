/** The production filter behind both MTAs, configured anew for each test. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { MODES, type Mode } from '../../../examples/guard/rule';
import { DnsServer, type Zone } from '../../../tools/dns-server';
import { type SinkMessage, SmtpClient } from '../../../tools/mta';
import { projectRoot } from '../../../tools/project-root';
import { TIMEOUT, until } from '../../../tools/wait';
import { heard } from './conversation';
import { logIn, loginByAddress } from './login';
import { compose, type Kind, kinds, MtaFixture, nextId } from './mta-fixture';
import { Program } from './program';

export const script = path.join(projectRoot, '.build/examples/guard.js');

/** Addresses from which clients connect. */
export const clients = {
  inside: '127.0.1.1',
  relay: '127.0.2.1',
  stranger: '127.0.3.1',
  localhost: '127.0.4.1',
  dynamic: '127.0.5.1',
  banned: '127.0.6.1',
  listed: '127.0.7.1',
  user: '127.0.8.1',
} as const;

const ptr = (address: string, name: string): Zone => ({
  [`${address.split('.').reverse().join('.')}.in-addr.arpa`]: { PTR: [name] },
});
const spf = (record: string) => ({ TXT: [`v=spf1 ${record}`] });

export const zone: Zone = {
  ...ptr(clients.stranger, 'mail.stranger.example'),
  ...ptr(clients.localhost, 'localhost'),
  ...ptr(clients.banned, 'mail.banned.example'),
  ...ptr(clients.listed, 'mail.listed.example'),
  '1.7.0.127.bl.test': { A: ['127.0.0.2'] },
  'pass.example': spf(`ip4:${clients.stranger} -all`),
  'trusted.example': spf(`ip4:${clients.dynamic} -all`),
  'branch.ours.test': spf(`ip4:${clients.stranger} -all`),
  'fail.example': spf('-all'),
  'partner.fail.example': spf('-all'),
  'soft.example': spf('~all'),
  'refused.soft.example': spf('~all'),
  'held.soft.example': spf('~all'),
  'wrong.example': spf('nonsense:x -all'),
  'asked.example': { MX: [{ exchange: 'mx.asked.example', priority: 10 }] },
  'mx.asked.example': { A: ['127.0.0.1'] },
  'down.example': { fault: 'SERVFAIL' },
};

/** What a client does. */
export interface Trial {
  /** From where. Default: the stranger. */
  readonly at?: string;
  /** Null for none. Default: the stranger's name. */
  readonly helo?: string | null;
  readonly from?: string;
  readonly to?: string | readonly string[];
  readonly headers?: readonly string[];
  readonly body?: string;
  /** The message behind its Message-Id, in place of the fixture's own fields, `headers` and `body`. */
  readonly content?: string;
  /** Who has logged in; the client comes from `clients.user` then. */
  readonly user?: string;
}

export interface Tried {
  /** The reply to the last step. */
  readonly reply: string;
  readonly code: number;
  readonly id: string;
}

/** What a finding of this mode does to a message, of which `atMost` is the most severe effect. */
export function effectOf({ atMost }: { readonly atMost?: Mode }, mode: Mode): Mode {
  return atMost !== undefined && MODES.indexOf(mode) > MODES.indexOf(atMost) ? atMost : mode;
}

export type Sections = Readonly<Record<string, Readonly<Record<string, string>>>>;

export class GuardFixture {
  readonly #dns: DnsServer;
  readonly #mtas: MtaFixture;
  readonly #base: Sections;
  #filter: Program;

  private constructor(dns: DnsServer, mtas: MtaFixture, base: Sections, filter: Program) {
    this.#dns = dns;
    this.#mtas = mtas;
    this.#base = base;
    this.#filter = filter;
  }

  /** @param records what DNS has */
  static async start(records: Zone): Promise<GuardFixture> {
    const dns = await DnsServer.start(records);
    try {
      return await GuardFixture.#startWith(dns);
    } catch (error) {
      await dns.close();
      throw error;
    }
  }

  static async #startWith(dns: DnsServer): Promise<GuardFixture> {
    const mtas = await MtaFixture.start({
      fixture: null,
      mta: { sendmail: { extraConfig: loginByAddress(clients.user) } },
    });
    try {
      const base = {
        milter: {
          socketname: mtas.socket(),
          umask: '0111',
          name: 'guardtest',
          state: 'sqlite:state',
          directory: 'files',
        },
        clients: {
          internal_connect: clients.inside,
          trusted_relay: clients.relay,
          internal_domains: 'ours.test, .ours.test',
        },
        dns: { nameservers: dns.address },
        banned_ips: { networks: clients.banned },
        dnsbl: { lists: 'bl.test' },
        banned_senders: { senders: '@spam.example' },
        // Whoever else sends a first message is to be judged by other rules alone.
        greylist: { clients: 'relay' },
        auth_sender: { access_file: 'users-access' },
        known_users: { domains: 'u-*@dest.test', users: 'u-ann@dest.test' },
        private_relay: { recipients: 'private@dest.test' },
        honeypot: { recipients: 'trap@dest.test' },
        signed_bounce: { secrets_file: 'srs-secret', domain: 'srs.test', signed: 'signed@dest.test' },
      };
      const file = path.join(mtas.dir, 'guard.cfg');
      fs.writeFileSync(
        path.join(mtas.dir, 'users-access'),
        'SMTP-Auth:ann@ours.test OK\nSMTP-Auth:ann@ REJECT\n',
      );
      fs.writeFileSync(path.join(mtas.dir, 'srs-secret'), 'a secret of ours\n', { mode: 0o600 });
      fs.writeFileSync(file, textOf(base));
      const filter = await Program.start(script, [file], /: listening on /, path.join(mtas.dir, 'tmp'));
      return new GuardFixture(dns, mtas, base, filter);
    } catch (error) {
      await mtas.stop();
      throw error;
    }
  }

  get dir(): string {
    return this.#mtas.dir;
  }

  get stateDirectory(): string {
    const directory = path.join(this.dir, 'state');
    fs.mkdirSync(directory, { recursive: true });
    return directory;
  }

  /** Waits until the filter has banned an address. */
  async bans(address: string): Promise<void> {
    const file = path.join(this.dir, 'files/banned-ips');
    await until(
      `a ban of ${address}`,
      () => fs.existsSync(file) && fs.readFileSync(file, 'utf8').includes(`[${address}]`),
    );
  }

  /** What the filter has logged since the last configuration or message. */
  get log(): string {
    return this.#filter.output;
  }

  async logged(text: RegExp): Promise<void> {
    await this.#filter.wrote(text);
  }

  /** Writes a configuration: the fixture's, with these changes. */
  write(changes: Sections): void {
    const names = Object.keys({ ...this.#base, ...changes });
    const sections = Object.fromEntries(
      names.map((name) => [name, { ...this.#base[name], ...changes[name] }]),
    );
    const file = path.join(this.dir, 'guard.cfg');
    fs.writeFileSync(`${file}.new`, textOf(sections));
    fs.renameSync(`${file}.new`, file);
  }

  /** Writes a configuration, and waits until it is in use. */
  async configure(changes: Sections): Promise<void> {
    await this.tryConfiguration(changes, /CONFIG was read again: SIGHUP/);
  }

  /** Writes a configuration, and waits for what the filter says about it. */
  async tryConfiguration(changes: Sections, expected: RegExp): Promise<void> {
    this.write(changes);
    this.#filter.output = '';
    this.#filter.kill('SIGHUP');
    await this.#filter.wrote(expected);
  }

  open(kind: Kind, localAddress: string = clients.stranger): Promise<SmtpClient> {
    const { host, port } = this.#mtas.mta(kind).endpoints.unix;
    return SmtpClient.open(host, port, { localAddress, timeoutMs: 2 * TIMEOUT });
  }

  /** A session with one message, up to the first step that is refused. */
  async send(kind: Kind, trial: Trial = {}): Promise<Tried> {
    const { user, at = user === undefined ? clients.stranger : clients.user } = trial;
    const { helo = 'mail.stranger.example', from = 'joe@stranger.example', to = 'rcpt@dest.test' } = trial;
    const id = nextId();
    this.#filter.output = '';
    const client = await this.open(kind, at);
    try {
      if (user !== undefined) await logIn(client, kind, user);
      else if (helo !== null) await client.command(`EHLO ${helo}`);
      let last = await client.command(`MAIL FROM:<${from}>`);
      let accepted = 0;
      for (const recipient of last.code === 250 ? [to].flat() : []) {
        last = await client.command(`RCPT TO:<${recipient}>`);
        if (last.code === 250) accepted++;
      }
      if (accepted > 0) last = await client.data(contentOf(id, trial));
      if (last.code !== 421) await client.quit();
      // Sendmail puts the recipient before what the filter says.
      return { reply: heard(last).replaceAll(/<[^>]*>\.\.\. /g, ''), code: last.code, id };
    } finally {
      client.destroy();
    }
  }

  delivered(id: string): Promise<SinkMessage> {
    return this.#mtas.delivered(id);
  }

  wasDelivered(kind: Kind, id: string): Promise<boolean> {
    return this.#mtas.wasDelivered(kind, id);
  }

  /** Everything that both MTAs have delivered, as soon as they have nothing left to deliver. */
  async deliveries(): Promise<readonly SinkMessage[]> {
    for (const kind of kinds) await this.#mtas.queueEmpty(kind);
    return this.#mtas.sink.messages;
  }

  /** The messages that an MTA holds in quarantine. */
  held(kind: Kind): string[] {
    return this.#mtas.held(kind);
  }

  async stop(): Promise<void> {
    try {
      await this.#filter.stop();
      await until('the last line of the log', () => /guardtest\[\d+\]: stopped$/m.test(this.log));
      if (/untrapped/.test(this.log)) throw new Error(this.log);
    } finally {
      await this.#mtas.stop();
      await this.#dns.close();
    }
  }
}

function contentOf(id: string, { content, headers = [], body = 'a line\r\n' }: Trial): Buffer | string {
  return content === undefined ? compose(id, headers, body) : `Message-Id: <${id}@src.test>\r\n${content}`;
}

/** The text of a configuration file. */
export function textOf(sections: Sections): string {
  return Object.entries(sections)
    .map(([section, options]) => {
      const lines = Object.entries(options).map(([option, value]) => `${option} = ${value}\n`);
      return `[${section}]\n${lines.join('')}`;
    })
    .join('');
}
