/** Authenticating a message that comes in, while it comes. */
import { type ArcResult, ArcVerifier } from 'tsmilter/arc';
import { type DkimResult, DkimVerifier } from 'tsmilter/dkim';
import { checkDmarc, type DmarcResult } from 'tsmilter/dmarc';
import type { DnsSession, DnsSessionLimits } from 'tsmilter/dns';
import { checkSpf, type SpfCheck } from 'tsmilter/spf';
import { resolverFor } from '../shared/dns';
import { dnsOf } from './config';
import type { Settings } from './settings';

/** Who has sent a message. */
export interface Envelope {
  /** Null for a program on this host. */
  readonly ip: string | null;
  /** Null if there was none. */
  readonly helo: string | null;
  readonly sender: string;
  /** The message uses SMTPUTF8. */
  readonly utf8: boolean;
}

/** What was found out about a message. */
export interface Findings {
  readonly envelope: Envelope;
  /** Null if there is no client to check. */
  readonly spf: SpfCheck | null;
  readonly dkim: readonly DkimResult[];
  readonly arc: ArcResult;
  /** Null if it is not checked. */
  readonly dmarc: DmarcResult | null;
}

/**
 * The parts of the questions and of the time that SPF may use up, and the keys of signatures, and both together. The sender chooses these
 * names, and so what they cost; the rest is for the policy of the domain in From, which a forger does not own.
 */
const SPF_SHARE = 0.5;
const KEYS_SHARE = 0.5;
const SENDER_SHARE = 0.75;

export class Incoming {
  readonly #envelope: Envelope;
  readonly #settings: Settings;
  readonly #resolver: DnsSession;
  readonly #from: string[] = [];
  readonly #spf: Promise<SpfCheck | null>;
  readonly #verifier: DkimVerifier;
  readonly #arc: ArcVerifier;

  /**
   * Begins at MAIL: SPF is asked for from now on, the keys of signatures from the end of the header on.
   *
   * @param receiver the name of this host
   */
  constructor(envelope: Envelope, receiver: string, settings: Settings, signal: AbortSignal) {
    this.#envelope = envelope;
    this.#settings = settings;
    const { ip, helo, sender } = envelope;
    this.#resolver = resolverFor(dnsOf(settings), signal);
    const ofSender = this.#resolver.share(part(settings, SENDER_SHARE));
    const ofSpf = ofSender.share(part(settings, SPF_SHARE));
    this.#spf =
      ip === null
        ? Promise.resolve(null)
        : checkSpf({ ip, helo: helo ?? '', sender }, { resolver: ofSpf, receiver, signal });
    this.#spf.catch(() => {}); // for a message that ends before its results are asked for
    const ofKeys = ofSender.share(part(settings, KEYS_SHARE));
    this.#verifier = new DkimVerifier({ resolver: ofKeys, leadingSpace: true });
    this.#arc = new ArcVerifier(this.#verifier);
  }

  header(name: string, value: string): void {
    if (name.trim().toLowerCase() === 'from') this.#from.push(value);
    this.#verifier.header(name, value);
  }

  eoh(): void {
    this.#verifier.eoh();
  }

  body(chunk: Buffer): void {
    this.#verifier.body(chunk);
  }

  /** What was found, at the end of the message. */
  async findings(): Promise<Findings> {
    const [spf, dkim, arc] = await Promise.all([this.#spf, this.#verifier.eom(), this.#arc.eom()]);
    const dmarc = await this.#checkDmarc({ spf, dkim, arc });
    return { envelope: this.#envelope, spf, dkim, arc, dmarc };
  }

  async #checkDmarc({ spf, dkim, arc }: Omit<Findings, 'envelope' | 'dmarc'>): Promise<DmarcResult | null> {
    const { dmarc, dmarcPolicies } = this.#settings;
    if (dmarc.policy === 'off') return null;
    return await checkDmarc(
      { from: this.#from, dkim, arc, ...(spf && { spf }) },
      {
        resolver: this.#resolver,
        trustedSealers: dmarc.trusted_sealers,
        localPolicy: (result) => dmarcPolicies.decide(result),
        dryRun: dmarc.policy === 'dry_run',
      },
    );
  }
}

function part({ verify }: Settings, share: number): DnsSessionLimits {
  return {
    maxLookups: Math.ceil(verify.max_lookups * share),
    maxTime: Math.ceil(verify.dns_time * 1000 * share),
  };
}
