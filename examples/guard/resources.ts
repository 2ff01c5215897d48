/** What must be closed when a configuration is not in use any more: lists that watch files, stores, caches. */

/**
 * Closes resources when their last user has released them. The configuration itself is the first user: when another one takes its
 * place, sessions that have begun with the old one still keep it.
 */
export class Resources {
  readonly #closers: (() => unknown)[] = [];
  #users = 1;

  add(close: () => unknown): void {
    this.#closers.push(close);
  }

  use(): void {
    this.#users++;
  }

  /** Resolves when everything is closed, if this was the last user. Rejects with the first failure. */
  async release(): Promise<void> {
    if (--this.#users > 0) return;
    const closers = this.#closers.splice(0).reverse();
    const ends = await Promise.allSettled(closers.map(async (close) => close()));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }
}
