/** The filter: from a client's name and its sender to a verdict. */
import { isIP } from 'node:net';
import { hostname as ownName } from 'node:os';
import * as Milter from 'tsmilter';
import type { SpfCheck } from 'tsmilter/spf';
import { resolverFor } from '../shared/dns';
import type { Log } from '../shared/log';
import { type Place, placeOf } from '../shared/networks';
import { Checks } from './checks';
import type { Config } from './config';
import { nameOf, type Policies } from './policy';
import { missingHelo, numericHelo, type Refusal, spfRefusal, userRefusal } from './replies';

/** Shared by all sessions. */
export interface Shared {
  readonly config: Config;
  readonly policies: Policies;
  readonly log: Pick<Log, 'write'>;
}

/** How the log names places: in pymilter's words. */
const SHOWN: Readonly<Record<Place, string>> = {
  internal: 'INTERNAL',
  relay: 'TRUSTED',
  external: 'EXTERNAL',
};

/** The resolver for one message or one client. */
const dnsFor = ({ spf }: Config) =>
  resolverFor({
    nameservers: spf.nameservers,
    max_lookups: 1000, // two checks, and one for each trusted forwarder, all of which have their own limits
    max_time: 20, // for all of them together: the time-out of the MTA must be longer
  });

/** The address in `<user@domain>`; '' for the null sender. */
const bare = (sender: string) => (/^<.*>$/.test(sender) ? sender.slice(1, -1) : sender);

export class SpfFilter extends Milter.Base {
  readonly #id = Milter.uniqueID();
  readonly #shared: Shared;
  /** Null for a client without an address, which is a program on this host. */
  #ip: string | null = null;
  #place: Place = 'external';
  #helo: string | null = null;
  /** Headers to be added at the end of the message; the first one goes to the top. */
  #headers: [name: string, value: string][] = [];

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  #log(...words: readonly unknown[]): void {
    this.#shared.log.write(`[${this.#id}]`, ...words);
  }

  #refuse({ code, extended, lines }: Refusal): Milter.Status {
    const verdict = code.startsWith('4') ? Milter.TEMPFAIL : Milter.REJECT;
    this.#log(verdict === Milter.REJECT ? 'REJECT:' : 'TEMPFAIL:', code, extended, ...lines);
    this.setReplyText(code, extended, lines.join('\n'));
    return verdict;
  }

  @Milter.noreply
  override async connect(hostname: string, ...[family, hostaddr]: Milter.Peer): Promise<Milter.Status> {
    if (family === Milter.AF_INET || family === Milter.AF_INET6) this.#ip = hostaddr[0];
    const { config } = this.#shared;
    this.#place = await placeOf(this.#ip, hostname, config.milter, dnsFor(config), (name, error) =>
      this.#log(`${name} in the lists of networks is not looked up:`, error.message),
    );
    this.#log('connect from', hostname, 'at', this.#ip ?? 'no address', SHOWN[this.#place]);
    return Milter.CONTINUE;
  }

  /** Only kept here and judged at MAIL: AUTH comes after EHLO, and the HELO names of mail programs are often wrong. */
  @Milter.noreply
  override hello(hostname: string): Milter.Answer {
    this.#helo = hostname;
    this.#log('hello from', hostname);
    return Milter.CONTINUE;
  }

  @Milter.symlist('i', '{auth_authen}', '{auth_type}')
  override async envfrom(sender: string, ...params: string[]): Promise<Milter.Status> {
    this.#headers = [];
    this.#log('mail from', sender, ...params);
    const refusal = await this.#judge(sender);
    return refusal === null ? Milter.CONTINUE : this.#refuse(refusal);
  }

  override eom(): Milter.Answer {
    for (const [name, value] of this.#headers.toReversed()) this.addheader(name, value, 0);
    this.#log('eom', this.getsymval('i') ?? '');
    return Milter.CONTINUE;
  }

  /** The reply with which the message is rejected, or null. */
  async #judge(sender: string): Promise<Refusal | null> {
    if (this.#helo === null && this.#ip !== null) return missingHelo();
    const user = this.getsymval('{auth_authen}');
    if (user) return this.#judgeUser(user, sender);
    if (this.#place === 'internal' || this.#ip === null || this.#helo === null) return null;
    if (isIP(this.#helo) !== 0) return numericHelo(this.#helo);
    if (this.#place === 'relay') return null;
    return this.#judgeStranger({ ip: this.#ip, helo: this.#helo, sender });
  }

  /** A user who has authenticated counts as internal, whatever the client's address. */
  #judgeUser(user: string, sender: string): Refusal | null {
    const policy = this.#shared.policies.aboutUser(user, sender);
    this.#log('SMTP AUTH', this.getsymval('{auth_type}') ?? '', user, 'as', sender, 'policy', nameOf(policy));
    return userRefusal(policy, user, sender);
  }

  async #judgeStranger(envelope: { ip: string; helo: string; sender: string }): Promise<Refusal | null> {
    const { config } = this.#shared;
    const receiver = this.getsymval('j')?.trim() || ownName();
    const checks = new Checks(envelope, dnsFor(config), receiver, this.signal);

    const forwarder = await checks.forwarder(config.spf.trusted_forwarder);
    if (forwarder !== null) {
      this.#log('trusted forwarder', forwarder.domain);
      this.#headers.push(['Received-SPF', forwarder.receivedSpf]);
      return null;
    }

    const check = await checks.sender();
    this.#headers.push(['Received-SPF', check.receivedSpf]);
    const helosPostmaster = `postmaster@${envelope.helo}`;
    const address = bare(envelope.sender);
    const { policy, refusal } = this.#apply(check, address || helosPostmaster);
    if (refusal !== null) return refusal;

    // After a pass the HELO name adds nothing, and for the null sender the HELO name itself has been checked already.
    if (policy === 'OK' || check.result === 'pass' || address === '') return null;
    const helo = await checks.helo();
    this.#headers.push(['X-Hello-SPF', helo.result]);
    return this.#apply(helo, helosPostmaster).refusal;
  }

  #apply(check: SpfCheck, address: string) {
    const { identity, result, mechanism, problem } = check;
    const policy = this.#shared.policies.about(identity, result, address);
    const why = problem ?? mechanism;
    this.#log(
      'SPF',
      identity,
      address,
      result,
      ...(why === null ? [] : [`(${why})`]),
      'policy',
      nameOf(policy),
    );
    return { policy, refusal: spfRefusal(policy, check) };
  }
}
