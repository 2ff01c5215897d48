/** Greylisting: mail from an unknown client, sender and recipient is deferred until the client tries again. */

import { badArgument } from '../internal/errors.js';
import { DAY, HOUR, MAX_SPAN, MINUTE, SECOND } from '../internal/time-spans.js';
import {
  checkBoolean,
  checkFunctionOrNull,
  checkInteger,
  checkOptions,
  checkText,
  type OptionNames,
} from '../internal/validate.js';
import { type ClientNetworks, clientNetwork } from '../utils/client-network.js';
import { foldSender } from './normalise.js';
import type { Rules } from './rules.js';
import { SqliteStore } from './sqlite-store.js';
import type { GreylistStore } from './store.js';

/** How a greylist decides. Time spans are in milliseconds. */
export interface GreylistOptions {
  /** A retry is accepted once `delay` and `grace` have passed since the first attempt. Default: 600,000 (10 minutes). */
  readonly delay?: number;
  /** Added to `delay`, as in pymilter. Default: 5,000. */
  readonly grace?: number;
  /** A retry is accepted until this time has passed since the first attempt. Default: 14,400,000 (4 hours). */
  readonly window?: number;
  /** A triple that was accepted is remembered until this time has passed since its last message. Default: 3,110,400,000 (36 days). */
  readonly lifetime?: number;
  /** Clients of an IPv4 network with this prefix length count as one client; 24 is usual. Default: 32, each by itself. */
  readonly ipv4Prefix?: number;
  /** Clients of an IPv6 network with this prefix length count as one client; 64 is usual. Default: 128, each by itself. */
  readonly ipv6Prefix?: number;
  /** Whether senders are compared without the parts that change from message to message; see {@link foldSender}. Default: false. */
  readonly foldSenders?: boolean;
  /**
   * All mail of a client, or of its network, is accepted once this many of its retries have been accepted, counting at most one
   * an hour, and until `lifetime` has passed since its last message. Postgrey uses 5. Default: 0, never.
   */
  readonly autoWhitelist?: number;
  /** The clock, in milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
}

const OPTIONS: OptionNames<GreylistOptions> = {
  delay: true,
  grace: true,
  window: true,
  lifetime: true,
  ipv4Prefix: true,
  ipv6Prefix: true,
  foldSenders: true,
  autoWhitelist: true,
  now: true,
};

function rulesOf({
  delay = 10 * MINUTE,
  grace = 5 * SECOND,
  window = 4 * HOUR,
  lifetime = 36 * DAY,
  autoWhitelist = 0,
}: GreylistOptions): Rules {
  for (const [name, value] of Object.entries({ delay, grace })) {
    checkInteger(`Greylist: ${name}`, value, 0, MAX_SPAN);
  }
  for (const [name, value] of Object.entries({ window, lifetime })) {
    checkInteger(`Greylist: ${name}`, value, 1, MAX_SPAN);
  }
  checkInteger('Greylist: autoWhitelist', autoWhitelist, 0);
  if (window <= delay + grace) {
    throw badArgument(
      `Greylist: window (${window} ms) must be longer than delay and grace (${delay + grace} ms), or no retry would be accepted`,
    );
  }
  return { delay: delay + grace, window, lifetime, autoWhitelist };
}

/**
 * A greylist (pymilter's `Greylist`). An unknown triple of client, sender and recipient is deferred. A retry after `delay` and
 * within `window` is accepted, and so is all further mail of the triple, as long as no more than `lifetime` passes between two
 * messages.
 *
 * By default, triples are compared as exact text. The options `ipv4Prefix`, `ipv6Prefix` and `foldSenders` recognise retries from
 * another host of the same network, and senders that change with each message; pass recipients in lower case.
 */
export class Greylist implements AsyncDisposable {
  readonly #store: GreylistStore;
  readonly #rules: Rules;
  readonly #networks: ClientNetworks;
  readonly #foldSenders: boolean;
  readonly #now: () => number;

  /**
   * @param store a store, or the path of an SQLite file, which is created if it does not exist
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for invalid options; the errors of {@link SqliteStore}
   */
  constructor(store: string | GreylistStore, options: GreylistOptions = {}) {
    checkOptions('Greylist', options, OPTIONS);
    this.#rules = rulesOf(options);
    const { ipv4Prefix = 32, ipv6Prefix = 128, foldSenders = false } = options;
    checkInteger('Greylist: ipv4Prefix', ipv4Prefix, 1, 32);
    checkInteger('Greylist: ipv6Prefix', ipv6Prefix, 1, 128);
    checkBoolean('Greylist: foldSenders', foldSenders);
    this.#networks = { ipv4Prefix, ipv6Prefix };
    this.#foldSenders = foldSenders;
    checkFunctionOrNull('Greylist: now', options.now ?? null);
    this.#now = options.now ?? Date.now;
    this.#store = typeof store === 'string' ? new SqliteStore(store) : store;
  }

  /**
   * Records an attempt to send mail. Call it in `envrcpt`.
   *
   * @param ip the client's address
   * @param sender the envelope sender; '' for the null sender
   * @param recipient the envelope recipient
   * @returns 0 if the mail should be deferred (TEMPFAIL); otherwise the number of accepted messages of the triple, including
   *   this one; for a client on the automatic whitelist, the number of its retries that have been counted
   * @throws MilterError ERR_MILTER_STORE if the store cannot be used; within a limited time
   */
  async check(ip: string, sender: string, recipient: string): Promise<number> {
    checkText('check: ip', ip);
    checkText('check: sender', sender);
    checkText('check: recipient', recipient);
    const client = clientNetwork(ip, this.#networks);
    const from = this.#foldSenders ? foldSender(sender) : sender;
    return this.#store.check([client, from, recipient], this.#now(), this.#rules);
  }

  /**
   * Removes expired triples: those without a retry within `window`, and those not seen for `lifetime`. Call it from time to
   * time, for example once an hour.
   *
   * @returns the number of triples removed
   * @throws MilterError ERR_MILTER_STORE
   */
  async clean(): Promise<number> {
    return this.#store.clean(this.#now(), this.#rules);
  }

  /** Closes the store. */
  async close(): Promise<void> {
    await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
