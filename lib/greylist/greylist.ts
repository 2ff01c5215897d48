/** Greylisting: mail from an unknown client, sender and recipient is deferred until the client tries again. */

import { badArgument } from '../internal/errors.js';
import {
  checkFunctionOrNull,
  checkInteger,
  checkOptions,
  checkText,
  type OptionNames,
} from '../internal/validate.js';
import type { Rules } from './rules.js';
import { SqliteStore } from './sqlite-store.js';
import type { GreylistStore } from './store.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The longest time span: a hundred years. Times within it are exact in the numbers of JavaScript and of Lua. */
const MAX_SPAN = 36_525 * DAY;

/** The time spans of a greylist, in milliseconds. */
export interface GreylistOptions {
  /** A retry is accepted once `delay` and `grace` have passed since the first attempt. Default: 600,000 (10 minutes). */
  readonly delay?: number;
  /** Added to `delay`, as in pymilter. Default: 5,000. */
  readonly grace?: number;
  /** A retry is accepted until this time has passed since the first attempt. Default: 14,400,000 (4 hours). */
  readonly window?: number;
  /** A triple that was accepted is remembered until this time has passed since its last message. Default: 3,110,400,000 (36 days). */
  readonly lifetime?: number;
  /** The clock, in milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
}

const OPTIONS: OptionNames<GreylistOptions> = {
  delay: true,
  grace: true,
  window: true,
  lifetime: true,
  now: true,
};

function rulesOf({
  delay = 10 * MINUTE,
  grace = 5 * SECOND,
  window = 4 * HOUR,
  lifetime = 36 * DAY,
}: GreylistOptions): Rules {
  for (const [name, value] of Object.entries({ delay, grace })) {
    checkInteger(`Greylist: ${name}`, value, 0, MAX_SPAN);
  }
  for (const [name, value] of Object.entries({ window, lifetime })) {
    checkInteger(`Greylist: ${name}`, value, 1, MAX_SPAN);
  }
  if (window <= delay + grace) {
    throw badArgument(
      `Greylist: window (${window} ms) must be longer than delay and grace (${delay + grace} ms), or no retry would be accepted`,
    );
  }
  return { delay: delay + grace, window, lifetime };
}

/**
 * A greylist (pymilter's `Greylist`). An unknown triple of client, sender and recipient is deferred. A retry after `delay` and
 * within `window` is accepted, and so is all further mail of the triple, as long as no more than `lifetime` passes between two
 * messages.
 *
 * Triples are compared as exact text. To treat similar ones as equal, normalise them: pass the first three bytes of the
 * client's address for pools of outgoing servers, addresses in lower case, or the sender without its variable part.
 */
export class Greylist implements AsyncDisposable {
  readonly #store: GreylistStore;
  readonly #rules: Rules;
  readonly #now: () => number;

  /**
   * @param store a store, or the path of an SQLite file, which is created if it does not exist
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for invalid options; the errors of {@link SqliteStore}
   */
  constructor(store: string | GreylistStore, options: GreylistOptions = {}) {
    checkOptions('Greylist', options, OPTIONS);
    this.#rules = rulesOf(options);
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
   *   this one
   * @throws MilterError ERR_MILTER_STORE if the store cannot be used; within a limited time
   */
  async check(ip: string, sender: string, recipient: string): Promise<number> {
    checkText('check: ip', ip);
    checkText('check: sender', sender);
    checkText('check: recipient', recipient);
    return this.#store.check([ip, sender, recipient], this.#now(), this.#rules);
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
