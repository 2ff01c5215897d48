/** What all lists with files have in common. */
import type { OptionNames } from '../internal/validate.js';
import type { ListOptions, Sources, Table } from './sources.js';

export const LIST_OPTIONS: OptionNames<ListOptions> = {
  maxBytes: true,
  maxLineLength: true,
  maxEntries: true,
  pollInterval: true,
  onReload: true,
  onError: true,
};

/** A list whose files are read again when they change. */
export abstract class ReloadedList<Each extends Table> implements Disposable {
  readonly #sources: Sources<Each>;

  /** @internal */
  protected constructor(sources: Sources<Each>) {
    this.#sources = sources;
  }

  /** @internal The table of the array, then those of the files. */
  protected get tables(): readonly Each[] {
    return this.#sources.tables;
  }

  /** The number of entries. */
  get size(): number {
    return this.#sources.size;
  }

  /**
   * Reads the files that have changed. The entries of a file that cannot be read stay in use.
   *
   * @returns whether a file was read again
   * @throws MilterError ERR_MILTER_LIST as `open`
   */
  reload(): Promise<boolean> {
    return this.#sources.reload();
  }

  /** Stops checking the files for changes. The entries remain available. */
  close(): void {
    this.#sources.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
