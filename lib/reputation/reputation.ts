/** Reputation: what the last messages of a domain were, by how the domain was authenticated. */
import { hostname } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { badArgument, type MilterError } from '../internal/errors.js';
import { ToleratedFailures } from '../internal/stores/tolerated-failures.js';
import { DAY, HOUR, MAX_SPAN } from '../internal/time-spans.js';
import { checkFunctionOrNull, checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { identityOf } from './identity.js';
import { encodeOutcome, type Outcome, tally } from './outcomes.js';
import { type ReputationScore, scoreOf, UNKNOWN } from './score.js';
import { SqliteReputationStore } from './sqlite-store.js';
import { checkHost, type ReputationEntry, type ReputationStore, readEntry } from './store.js';

/** How reputations are kept and computed. Time spans are in milliseconds. */
export interface ReputationOptions {
  /** The weight of a message halves with each of these time spans. At least an hour. Default: 2,592,000,000 (30 days). */
  readonly halfLife?: number;
  /** An identity is forgotten when this time has passed since its last message. At least an hour. Default: 15,552,000,000 (180 days). */
  readonly lifetime?: number;
  /**
   * The name of this host. Each host keeps its own records; hosts whose stores are merged must have different names. Default:
   * `os.hostname()`.
   */
  readonly host?: string;
  /** What {@link Reputation.score} and {@link Reputation.record} do if the store fails. Default: `unknown`, which lets the filter go on. */
  readonly whenStoreFails?: 'unknown' | 'throw';
  /** Called with each failure of the store that is not thrown; it must not throw. Default: a process warning for the first of a series. */
  readonly onFailure?: (error: MilterError) => void;
  /** The clock, in milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
}

const OPTIONS: OptionNames<ReputationOptions> = {
  halfLife: true,
  lifetime: true,
  host: true,
  whenStoreFails: true,
  onFailure: true,
  now: true,
};

/** Entries that one step of merge() stores. Sessions are served between the steps. */
const MERGE_BATCH = 100;

/**
 * The reputation of domains. A domain is judged together with how it was authenticated: `example.com` with `pass` and `example.com`
 * with `neutral` have a reputation each, because mail of the second kind may be forged. The last 1,024 messages of an identity count, newer
 * ones more than older ones; {@link ReputationScore} has the formulas.
 *
 * Hosts with a store of their own exchange what they know with {@link export} and {@link merge}; hosts with a common Redis need not.
 */
export class Reputation implements AsyncDisposable {
  readonly #store: ReputationStore;
  readonly #halfLife: number;
  readonly #lifetime: number;
  readonly #host: string;
  readonly #failures: ToleratedFailures | undefined;
  readonly #now: () => number;

  /**
   * @param store a store, or the path of an SQLite file, which is created if it does not exist
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for invalid options; the errors of {@link SqliteReputationStore}
   */
  constructor(store: string | ReputationStore, options: ReputationOptions = {}) {
    checkOptions('Reputation', options, OPTIONS);
    const {
      halfLife = 30 * DAY,
      lifetime = 180 * DAY,
      host = hostname(),
      whenStoreFails = 'unknown',
    } = options;
    checkInteger('Reputation: halfLife', halfLife, HOUR, MAX_SPAN);
    checkInteger('Reputation: lifetime', lifetime, HOUR, MAX_SPAN);
    checkHost('Reputation: host', host);
    if (whenStoreFails !== 'unknown' && whenStoreFails !== 'throw') {
      throw badArgument("Reputation: whenStoreFails must be 'unknown' or 'throw'");
    }
    checkFunctionOrNull('Reputation: onFailure', options.onFailure ?? null);
    checkFunctionOrNull('Reputation: now', options.now ?? null);
    this.#halfLife = halfLife;
    this.#lifetime = lifetime;
    this.#host = host;
    this.#failures = whenStoreFails === 'throw' ? undefined : new ToleratedFailures(options.onFailure);
    this.#now = options.now ?? Date.now;
    this.#store = typeof store === 'string' ? new SqliteReputationStore(store) : store;
  }

  /**
   * The reputation of a name with a level of authentication, from the messages of all hosts that the store knows.
   *
   * @param name a domain in any spelling, or an address of a client if no domain was authenticated
   * @param level how the name was authenticated: a result such as `pass` or `neutral`, or a word of your own such as `dkim-pass`, of
   *   at most 32 lower-case letters, digits and hyphens
   * @returns score, confidence and number of messages, all 0 if nothing is known, or, with `failure`, if the store has failed
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT; ERR_MILTER_STORE with `whenStoreFails: 'throw'`. Within a limited time.
   */
  async score(name: string, level: string): Promise<ReputationScore> {
    const id = identityOf(name, level);
    const request = async () => {
      const records = await this.#store.find(id);
      const now = this.#now();
      const alive = records.filter(({ changed }) => now - changed < this.#lifetime);
      return scoreOf(
        tally(
          alive.map(({ outcomes }) => outcomes),
          now,
          this.#halfLife,
        ),
      );
    };
    return this.#tolerate(request, (failure): ReputationScore => ({ ...UNKNOWN, failure }));
  }

  /**
   * Records what a message turned out to be. Call it once for each message, for example in `eom` after the content was scanned.
   *
   * @param name as for {@link score}
   * @param level as for {@link score}
   * @returns whether it has been recorded; false if the store has failed
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT; ERR_MILTER_STORE with `whenStoreFails: 'throw'`. Within a limited time.
   */
  async record(name: string, level: string, outcome: Outcome): Promise<boolean> {
    const id = identityOf(name, level);
    if (outcome !== 'spam' && outcome !== 'ham')
      throw badArgument("record: the outcome must be 'spam' or 'ham'");
    const request = async () => {
      const now = this.#now();
      await this.#store.record(id, this.#host, encodeOutcome(outcome, now), now, this.#lifetime);
      return true;
    };
    return this.#tolerate(request, () => false);
  }

  /**
   * The records of the store, for {@link merge} on another host. They include what has been merged here, so hosts need not all
   * exchange with each other. Entries are read some hundred at a time, while sessions go on.
   *
   * @param since only records with a message at this time or later, in milliseconds since 1970 by the clock of the recording host.
   *   Default: 0, all
   * @throws MilterError ERR_MILTER_STORE
   */
  async *export(since = 0): AsyncGenerator<ReputationEntry, void, void> {
    checkInteger('export: since', since, 0, Number.MAX_SAFE_INTEGER);
    yield* this.#store.entries(since);
  }

  /**
   * Stores records of other hosts. Each host's newest record is kept, so the order of merges does not matter (they are commutative
   * and associative), nor whether a record arrives twice (they are idempotent). Records are checked, but not doubted: merge only
   * those of hosts that you trust.
   *
   * @returns the number of records that were newer than those of the store
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a malformed entry, ERR_MILTER_STORE; entries before it may have been stored
   */
  async merge(entries: Iterable<ReputationEntry> | AsyncIterable<ReputationEntry>): Promise<number> {
    let merged = 0;
    let batch: ReputationEntry[] = [];
    const flush = async () => {
      if (batch.length > 0) merged += await this.#store.merge(batch, this.#now(), this.#lifetime);
      batch = [];
      await nextTurn();
    };
    for await (const entry of entries) {
      batch.push(readEntry(entry));
      if (batch.length === MERGE_BATCH) await flush();
    }
    await flush();
    return merged;
  }

  /**
   * Removes records without a message for `lifetime`. Call it from time to time, for example once a day.
   *
   * @returns the number of records removed
   * @throws MilterError ERR_MILTER_STORE
   */
  async clean(): Promise<number> {
    return this.#store.clean(this.#now() - this.#lifetime);
  }

  /** Closes the store. */
  async close(): Promise<void> {
    await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #tolerate<T>(request: () => Promise<T>, instead: (failure: MilterError) => T): Promise<T> {
    return this.#failures?.run(request, instead) ?? request();
  }
}
