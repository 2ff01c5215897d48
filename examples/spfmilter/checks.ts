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
   * @param resolver shared by all checks of the message, so that they share its cache
   * @param receiver the name of this host
   * @param signal aborts the checks
   */
  constructor(envelope: Envelope, resolver: DnsSession, receiver: string, signal: AbortSignal) {
    this.#envelope = envelope;
    this.#options = { resolver, receiver, signal };
  }

  /** The sender; for the null sender, `postmaster` at the HELO name. */
  sender(): Promise<SpfCheck> {
    return this.#check(this.#envelope, 'mailfrom');
  }

  helo(): Promise<SpfCheck> {
    return this.#check(this.#envelope, 'helo');
  }

  /** The first of these domains whose SPF record allows the client, checked as if the client had named it in HELO; or null. */
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
