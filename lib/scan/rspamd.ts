/** rspamd's HTTP interface: https://rspamd.com/doc/architecture/protocol.html. */
import { Agent, type IncomingMessage, request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Deadline } from '../internal/deadline.js';
import type { OptionNames } from '../internal/validate.js';
import { failureOf, piecesOf, type ScanSource } from './exchange.js';
import {
  SCANNER_OPTIONS,
  type ScannerOptions,
  type ScanOptions,
  type Settings,
  settingsOf,
} from './options.js';
import { ScanError } from './scan-error.js';

/** Options of {@link Rspamd}. */
export interface RspamdOptions extends ScannerOptions {
  /** The password of the controller, for {@link Rspamd.learn}. */
  readonly password?: string;
}

/** What rspamd may know of a message besides its text; untrusted, and passed as it is. */
export interface RspamdEnvelope extends ScanOptions {
  /** The client's IP address. */
  readonly ip?: string | null;
  /** The client's name as DNS confirms it. */
  readonly hostname?: string | null;
  readonly helo?: string | null;
  /** The envelope sender, without angle brackets. */
  readonly from?: string | null;
  /** The recipients. */
  readonly rcpt?: readonly string[];
  /** The user that has logged in. */
  readonly user?: string | null;
  readonly queueId?: string | null;
}

/** A rule that matched. */
export interface RspamdSymbol {
  readonly name: string;
  readonly score: number;
  readonly description: string | null;
  readonly options: readonly string[];
}

/** What rspamd advises: `no action`, `greylist`, `add header`, `rewrite subject`, `soft reject` or `reject`. */
export type RspamdAction = string;

/** What rspamd says of a message. */
export interface RspamdResult {
  readonly action: RspamdAction;
  readonly score: number;
  /** The score from which on a message is rejected. */
  readonly required: number;
  readonly symbols: readonly RspamdSymbol[];
  /** The text for a reply, if rspamd has one; otherwise null. It may contain text from the message. */
  readonly reply: string | null;
  /** The whole answer, for what is not above. */
  readonly raw: Readonly<Record<string, unknown>>;
}

const OPTIONS: OptionNames<RspamdOptions> = { ...SCANNER_OPTIONS, password: true };
const PORT = 11333;
const MAX_ANSWER = 1024 * 1024;

/** A client of rspamd. */
export class Rspamd {
  readonly #settings: Settings;
  readonly #agent: Agent;
  readonly #password: string | undefined;

  /** @throws MilterError ERR_MILTER_BAD_ARGUMENT */
  constructor(options: RspamdOptions = {}) {
    this.#settings = settingsOf('Rspamd', options, OPTIONS, PORT);
    this.#password = options.password;
    this.#agent = new Agent({ keepAlive: true, maxSockets: this.#settings.maxConnections });
  }

  /** Has a message checked. @throws ScanError if there is no result; the reason of `options.signal` */
  async check(source: ScanSource, envelope: RspamdEnvelope = {}): Promise<RspamdResult> {
    const answer = await this.#post('/checkv2', headersOf(envelope), source, envelope);
    return resultOf(parseAnswer(answer));
  }

  /**
   * Teaches a message as spam or ham to the Bayes classifier. The address must be that of rspamd's controller (port 11334).
   * @returns whether it was new. @throws ScanError; the reason of `options.signal`
   */
  async learn(source: ScanSource, as: 'spam' | 'ham', options: ScanOptions = {}): Promise<boolean> {
    const password = this.#password ? { Password: this.#password } : {};
    const answer = await this.#post(`/learn${as}`, password, source, options);
    if (isKnown(answer)) return false;
    parseAnswer(answer);
    return true;
  }

  /** Closes connections that are kept for the next scan. */
  close(): void {
    this.#agent.destroy();
  }

  async #post(
    path: string,
    headers: Record<string, string | string[]>,
    source: ScanSource,
    options: ScanOptions,
  ): Promise<Answered> {
    const { address, maxSize, timeout } = this.#settings;
    using deadline = new Deadline(timeout, options.signal);
    const { signal } = deadline;
    try {
      const where = 'path' in address ? { socketPath: address.path } : address;
      const post = request({ ...where, path, method: 'POST', headers, agent: this.#agent, signal });
      const response = new Promise<IncomingMessage>((resolve, reject) => {
        post.once('response', resolve);
        post.once('error', reject);
      });
      const sent = pipeline(piecesOf('rspamd', source, maxSize), post);
      // Either may fail first; neither may be left without a handler.
      const [answered] = await Promise.all([response.then(readAll), sent]);
      return answered;
    } catch (error) {
      throw failureOf('rspamd', error, deadline, options.signal);
    }
  }
}

interface Answered {
  readonly status: number;
  readonly text: string;
}

async function readAll(response: IncomingMessage): Promise<Answered> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > MAX_ANSWER)
      throw new ScanError('rspamd', 'protocol', `an answer of more than ${MAX_ANSWER} bytes`);
    pieces.push(piece);
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') };
}

/** Older versions answer 404, and say why. */
const isKnown = ({ status, text }: Answered): boolean =>
  status === 208 || (status === 404 && /has been already learned as \w+, ignore it"\}\s*$/.test(text));

function parseAnswer({ status, text }: Answered): Record<string, unknown> {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = undefined;
  }
  if (!isObject(answer))
    throw new ScanError('rspamd', 'protocol', `HTTP status ${status}, without an object as its answer`);
  if (status !== 200 || typeof answer.error === 'string') {
    throw new ScanError(
      'rspamd',
      'refused',
      `HTTP status ${status}: ${String(answer.error ?? '').slice(0, 200)}`,
    );
  }
  return answer;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

function resultOf(answer: Record<string, unknown>): RspamdResult {
  const { action, score, required_score: required, symbols, messages } = answer;
  if (typeof action !== 'string' || typeof score !== 'number')
    throw new ScanError('rspamd', 'protocol', 'the answer has no action and score');
  const reply =
    isObject(messages) && typeof messages.smtp_message === 'string' ? messages.smtp_message : null;
  return {
    action,
    score,
    required: typeof required === 'number' ? required : Number.NaN,
    symbols: isObject(symbols) ? Object.entries(symbols).map(([name, symbol]) => symbolOf(name, symbol)) : [],
    reply,
    raw: answer,
  };
}

function symbolOf(name: string, symbol: unknown): RspamdSymbol {
  const { score, description, options } = isObject(symbol) ? symbol : ({} as Record<string, unknown>);
  return {
    name,
    score: typeof score === 'number' ? score : 0,
    description: typeof description === 'string' ? description : null,
    options: Array.isArray(options) ? options.map(String) : [],
  };
}

function headersOf(envelope: RspamdEnvelope): Record<string, string | string[]> {
  const { ip, hostname, helo, from, rcpt = [], user, queueId } = envelope;
  const named = { Ip: ip, Hostname: hostname, Helo: helo, From: from, User: user, 'Queue-Id': queueId };
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(named)) if (value) headers[name] = headerValue(value);
  if (rcpt.length > 0) headers.Rcpt = rcpt.map(headerValue);
  return headers;
}

/** Node writes a header's characters as bytes: these are the bytes of UTF-8, without those that would end the line. */
function headerValue(text: string): string {
  return Buffer.from(text.replace(/\p{Cc}/gu, '?'), 'utf8').toString('latin1');
}
