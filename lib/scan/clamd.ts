/** ClamAV's daemon. Its protocol: clamd(8), INSTREAM. */
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

/** What clamd says of a message. */
export type ClamdResult = { readonly infected: false } | { readonly infected: true; readonly virus: string };

const PORT = 3310;
const END = Buffer.alloc(4);

/**
 * A client of clamd.
 *
 * @example
 * ```
 * const clamd = new Clamd({ path: '/run/clamav/clamd.ctl' });
 * const result = await clamd.scan(transaction.stream(), { signal: this.signal });
 * ```
 */
export class Clamd {
  readonly #settings: Settings;
  readonly #lanes: Lanes;

  /** @throws MilterError ERR_MILTER_BAD_ARGUMENT */
  constructor(options: ScannerOptions = {}) {
    this.#settings = settingsOf('Clamd', options, SCANNER_OPTIONS, PORT);
    this.#lanes = new Lanes(this.#settings.maxConnections);
  }

  /**
   * Has a message scanned, while it is read.
   * @throws ScanError if there is no result; the reason of `options.signal`
   */
  async scan(source: ScanSource, options: ScanOptions = {}): Promise<ClamdResult> {
    const answer = await this.#ask(this.#instream(source), options);
    const [, found] = /^stream: (.+) FOUND$/.exec(answer) ?? [];
    if (found !== undefined) return { infected: true, virus: found };
    if (answer === 'stream: OK') return { infected: false };
    if (/size limit exceeded/i.test(answer))
      throw new ScanError(
        'clamd',
        'too large',
        `the message exceeds clamd's limit (StreamMaxLength): ${answer}`,
      );
    throw unexpected(answer);
  }

  /** Whether clamd answers. @throws ScanError if it does not */
  async ping(options: ScanOptions = {}): Promise<void> {
    const answer = await this.#ask(only('zPING\0'), options);
    if (answer !== 'PONG') throw unexpected(answer);
  }

  /** The version of clamd and of its signatures, such as `ClamAV 1.4.3/27700/Mon Nov 23 2026`. @throws ScanError */
  version(options: ScanOptions = {}): Promise<string> {
    return this.#ask(only('zVERSION\0'), options);
  }

  async #ask(request: AsyncIterable<Uint8Array>, options: ScanOptions): Promise<string> {
    const what = { scanner: 'clamd', settings: this.#settings, lanes: this.#lanes, request, half: false };
    const answer = await exchange(what, options);
    // `z` commands are answered with a NUL at the end.
    return answer
      .toString('utf8')
      .replace(/\0[\s\S]*$/, '')
      .trim();
  }

  async *#instream(source: ScanSource): AsyncGenerator<Uint8Array> {
    yield Buffer.from('zINSTREAM\0');
    for await (const piece of piecesOf('clamd', source, this.#settings.maxSize)) {
      if (piece.length === 0) continue; // a length of 0 ends the stream
      const length = Buffer.alloc(4);
      length.writeUInt32BE(piece.length);
      yield length;
      yield piece;
    }
    yield END;
  }
}

async function* only(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

function unexpected(answer: string): ScanError {
  const reason = answer.endsWith('ERROR') ? 'refused' : 'protocol';
  return new ScanError('clamd', reason, `an unexpected answer: ${JSON.stringify(answer.slice(0, 200))}`);
}
