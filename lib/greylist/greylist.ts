/** Greylisting: who is not known is asked to come back. */

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

/** The longest span, a hundred years: times stay whole numbers, in Redis's Lua too. */
const MAX_SPAN = 36_525 * DAY;

/** How long is long enough. All spans are in milliseconds. */
export interface GreylistOptions {
  /** A retry counts when this much, and `grace`, has passed since the first try. Default: 600,000 (10 minutes). */
  readonly delay?: number;
  /** Added to `delay`, as pymilter does: a retry that comes on the very second is early. Default: 5,000. */
  readonly grace?: number;
  /** A retry counts until this much has passed since the first try. Default: 14,400,000 (4 hours). */
  readonly window?: number;
  /** Who was let in is known until this much has passed since the last mail. Default: 3,110,400,000 (36 days). */
  readonly lifetime?: number;
  /** The clock: milliseconds since 1970. Default: `Date.now`. */
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
      `Greylist: window (${window} ms) must be longer than delay and grace (${delay + grace} ms), or nobody is let in`,
    );
  }
  return { delay: delay + grace, window, lifetime };
}

/**
 * A greylist (pymilter's `Greylist`). A triple of client, sender and recipient that is not known is put off; a retry after
 * `delay` and within `window` is let in, and from then on every mail of the triple at once, as long as there is one within
 * `lifetime` of the last.
 *
 * A triple is known by its exact text. Pass less to know more: the first three bytes of the client's address for pools of
 * outgoing servers, addresses in lower case, the sender without its changing part.
 */
export class Greylist implements AsyncDisposable {
  readonly #store: GreylistStore;
  readonly #rules: Rules;
  readonly #now: () => number;

  /**
   * @param store the path of an SQLite file, which is made where it is not there, or a store
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for options that make no sense; what {@link SqliteStore} throws
   */
  constructor(store: string | GreylistStore, options: GreylistOptions = {}) {
    checkOptions('Greylist', options, OPTIONS);
    this.#rules = rulesOf(options);
    checkFunctionOrNull('Greylist: now', options.now ?? null);
    this.#now = options.now ?? Date.now;
    this.#store = typeof store === 'string' ? new SqliteStore(store) : store;
  }

  /**
   * Notes a try to send mail, in `envrcpt` best.
   *
   * @param ip the client's address
   * @param sender the envelope sender; '' for the null sender
   * @param recipient the envelope recipient
   * @returns 0 where the mail is to be put off (TEMPFAIL), else how many mails of the triple were let in, this one included
   * @throws MilterError ERR_MILTER_STORE where the store cannot be used, within a bounded time
   */
  async check(ip: string, sender: string, recipient: string): Promise<number> {
    checkText('check: ip', ip);
    checkText('check: sender', sender);
    checkText('check: recipient', recipient);
    return this.#store.check([ip, sender, recipient], this.#now(), this.#rules);
  }

  /**
   * Removes triples that are over: those whose window has passed without a retry, and those not seen for `lifetime`. Call it
   * now and then; once an hour will do.
   *
   * @returns how many were removed
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
