/** SpamAssassin's daemon. Its protocol: SPAMC/SPAMD 1.5, spamd/PROTOCOL of SpamAssassin. */
import { badArgument } from '../internal/errors.js';
import type { OptionNames } from '../internal/validate.js';
import { exchange, piecesOf, type ScanSource } from './exchange.js';
import { Lanes } from './lanes.js';
import {
  SCANNER_OPTIONS,
  type ScannerOptions,
  type ScanOptions,
  type Settings,
  settingsOf,
} from './options.js';
import { ScanError } from './scan-error.js';

/** Settings of a single check. */
export interface SpamdCheck extends ScanOptions {
  /** The user whose preferences and database apply. Default: `SpamdOptions.user`. */
  readonly user?: string;
  /** Whether the answer has SpamAssassin's report. Default: false. */
  readonly report?: boolean;
}

/** Options of {@link Spamd}. */
export interface SpamdOptions extends ScannerOptions {
  /** The user whose preferences and database apply. Default: that of spamd. */
  readonly user?: string;
}

/** What SpamAssassin says of a message. */
export interface SpamdResult {
  readonly spam: boolean;
  readonly score: number;
  /** The score from which on a message is spam. */
  readonly required: number;
  /** The names of the rules that match. Empty with `report`. */
  readonly rules: readonly string[];
  /** The report, if it was asked for; otherwise null. */
  readonly report: string | null;
}

const OPTIONS: OptionNames<SpamdOptions> = { ...SCANNER_OPTIONS, user: true };
const PORT = 783;
const STATUS = /^SPAMD\/[\d.]+ (\d+) ([\w-]+)/;

/** A client of spamd. */
export class Spamd {
  readonly #settings: Settings;
  readonly #lanes: Lanes;
  readonly #user: string | undefined;

  /** @throws MilterError ERR_MILTER_BAD_ARGUMENT */
  constructor(options: SpamdOptions = {}) {
    this.#settings = settingsOf('Spamd', options, OPTIONS, PORT);
    this.#lanes = new Lanes(this.#settings.maxConnections);
    this.#user = options.user;
    userLine(this.#user);
  }

  /** Has a message checked. @throws ScanError if there is no result; the reason of `options.signal` */
  async check(source: ScanSource, options: SpamdCheck = {}): Promise<SpamdResult> {
    const { headers, body } = await this.#ask(options.report ? 'REPORT' : 'SYMBOLS', [], source, options);
    const [, spam, score, required] =
      /^(true|yes|false|no) *; *(-?[\d.]+) *\/ *(-?[\d.]+)/i.exec(headers.get('spam') ?? '') ?? [];
    if (spam === undefined) throw new ScanError('spamd', 'protocol', 'the answer has no line "Spam:"');
    return {
      spam: /^[ty]/i.test(spam),
      score: Number(score),
      required: Number(required),
      rules: options.report
        ? []
        : body
            .split(',')
            .map((rule) => rule.trim())
            .filter(Boolean),
      report: options.report ? body : null,
    };
  }

  /**
   * Teaches a message as spam or ham to the Bayes database. spamd must have been started with `--allow-tell`.
   * @returns whether it was new. @throws ScanError; the reason of `options.signal`
   */
  async learn(source: ScanSource, as: 'spam' | 'ham', options: SpamdCheck = {}): Promise<boolean> {
    const { headers } = await this.#ask('TELL', [`Message-class: ${as}`, 'Set: local'], source, options);
    return headers.get('didset')?.includes('local') ?? false;
  }

  /** Whether spamd answers. @throws ScanError if it does not */
  async ping(options: ScanOptions = {}): Promise<void> {
    await this.#ask('PING', [], Buffer.alloc(0), options);
  }

  async #ask(command: string, lines: string[], source: ScanSource, options: SpamdCheck) {
    const user = userLine(options.user ?? this.#user);
    const request = this.#request([`${command} SPAMC/1.5`, ...user, ...lines, '', ''].join('\r\n'), source);
    // Without a length spamd reads to the end, so that a message need not be held to be counted.
    const what = { scanner: 'spamd', settings: this.#settings, lanes: this.#lanes, request, half: true };
    return parseAnswer(await exchange(what, options));
  }

  async *#request(head: string, source: ScanSource): AsyncGenerator<Uint8Array> {
    yield Buffer.from(head);
    yield* piecesOf('spamd', source, this.#settings.maxSize);
  }
}

function userLine(user: string | undefined): string[] {
  if (user === undefined) return [];
  // It stands in a line of the request, where a line break would begin another one.
  if (!/^[\w.@+=-]{1,255}$/.test(user))
    throw badArgument(`Spamd: ${JSON.stringify(user)} is not a user's name`);
  return [`User: ${user}`];
}

function parseAnswer(answer: Buffer): {
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
} {
  const text = answer.toString('utf8');
  const end = text.indexOf('\r\n\r\n');
  const [status = '', ...lines] = (end < 0 ? text : text.slice(0, end)).split('\r\n');
  const [, code, name] = STATUS.exec(status) ?? [];
  if (code === undefined)
    throw new ScanError('spamd', 'protocol', `an unexpected answer: ${JSON.stringify(status.slice(0, 200))}`);
  if (code !== '0') throw new ScanError('spamd', 'refused', `${name} (${code})`);
  const headers = new Map(
    lines.map((line) => {
      const at = line.indexOf(':');
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
    }),
  );
  return { headers, body: end < 0 ? '' : text.slice(end + 4).trim() };
}
