/** The SPF checks of one message. */
import type { DnsSession } from 'tsmilter/dns';
import { checkSpf, type SpfCheck, type SpfIdentity } from 'tsmilter/spf';

export interface Envelope {
  readonly ip: string;
  readonly helo: string;
  readonly sender: string;
}

export class Checks {
  readonly #envelope: Envelope;
  readonly #options: {
    readonly resolver: DnsSession;
    readonly receiver: string;
    readonly signal: AbortSignal;
  };

  /**
   * @param resolver for all checks of the message, which then know what the others have asked
   * @param receiver this host
   * @param signal ends them
   */
  constructor(envelope: Envelope, resolver: DnsSession, receiver: string, signal: AbortSignal) {
    this.#envelope = envelope;
    this.#options = { resolver, receiver, signal };
  }

  /** The sender, or postmaster of the HELO name for the null sender. */
  sender(): Promise<SpfCheck> {
    return this.#check(this.#envelope, 'mailfrom');
  }

  helo(): Promise<SpfCheck> {
    return this.#check(this.#envelope, 'helo');
  }

  /** The first of these domains for which the client may send mail, checked as if its name were the client's; null for none. */
  async forwarder(domains: readonly string[]): Promise<SpfCheck | null> {
    for (const domain of domains) {
      const check = await this.#check({ ...this.#envelope, helo: domain }, 'helo');
      if (check.result === 'pass') return check;
    }
    return null;
  }

  #check(envelope: Envelope, identity: SpfIdentity): Promise<SpfCheck> {
    return checkSpf(envelope, { ...this.#options, identity });
  }
}
