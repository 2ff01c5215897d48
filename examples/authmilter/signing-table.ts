/** Whose mail is signed, with which keys. */
import { dirname, resolve } from 'node:path';
import { type DkimKey, DkimSigner, readKeyFile } from 'tsmilter/dkim';
import { ConfigError } from '../shared/config-error';
import { addressPattern, type Pattern } from './pattern';
import { readTable } from './table';

/** What a message says of its author. */
export interface Author {
  /** The address in From, or null if there is not exactly one such field. */
  readonly from: string | null;
  /** The sender of the envelope. */
  readonly sender: string;
}

interface Entry {
  readonly text: string;
  readonly envelope: boolean;
  readonly matches: Pattern;
  readonly key: DkimKey;
}

const COLUMNS = ['pattern', 'domain', 'selector', 'key file'];
const ENVELOPE = 'envelope:';

export class SigningTable {
  readonly #entries: readonly Entry[];
  /** The files with the keys. */
  readonly keyFiles: readonly string[];

  private constructor(entries: readonly Entry[], keyFiles: readonly string[]) {
    this.#entries = entries;
    this.keyFiles = keyFiles;
  }

  /** No mail is signed. */
  static readonly EMPTY = new SigningTable([], []);

  /**
   * Reads the table and all keys in it, so that a bad one is found before it counts.
   *
   * @throws ConfigError, with the line
   */
  static async read(file: string, keyMode: number): Promise<SigningTable> {
    const entries: Entry[] = [];
    const keyFiles = new Set<string>();
    for (const { columns, place } of await readTable(file, COLUMNS)) {
      const [text = '', domain = '', selector = '', name = ''] = columns;
      const keyFile = resolve(dirname(file), name);
      keyFiles.add(keyFile);
      try {
        const key = { domain, selector, key: await readKeyFile(keyFile, { maxMode: keyMode }) };
        new DkimSigner({ keys: [key] }); // checks the names
        const envelope = text.startsWith(ENVELOPE);
        entries.push({
          text,
          envelope,
          matches: addressPattern(envelope ? text.slice(ENVELOPE.length) : text),
          key,
        });
      } catch (error) {
        throw new ConfigError(`${place}: ${(error as Error).message}`);
      }
    }
    return new SigningTable(entries, [...keyFiles]);
  }

  /** The keys of the first pattern that matches: its lines may name several, of several algorithms. */
  keysFor({ from, sender }: Author): DkimKey[] {
    const first = this.#entries.find(({ envelope, matches }) =>
      envelope ? matches(sender) : from !== null && matches(from),
    );
    return this.#entries.filter(({ text }) => text === first?.text).map(({ key }) => key);
  }
}
