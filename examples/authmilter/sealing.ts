/** Sealing a message that leaves this host again, so that the next one can know what was found out here (ARC). */
import { ArcSealer, type ArcSealing } from 'tsmilter/arc';
import type { AuthRes } from 'tsmilter/authres';
import type { Findings } from './incoming';
import type { Header } from './outgoing';
import type { Settings } from './settings';

export class Sealing {
  readonly #sealer: ArcSealer;

  private constructor(sealer: ArcSealer) {
    this.#sealer = sealer;
  }

  /** Begins at the end of the header. Null if the message is not to be sealed. */
  static begin({ sealingKey, arc }: Settings, forwarded: boolean, utf8: boolean): Sealing | null {
    if (sealingKey === null || !(forwarded || arc.seal === 'always')) return null;
    return new Sealing(new ArcSealer({ key: sealingKey, leadingSpace: true, utf8 }));
  }

  body(chunk: Buffer): void {
    this.#sealer.body(chunk);
  }

  /**
   * The fields to be put at the top. What is sealed is what will be delivered, so the header comes as late as that.
   *
   * @param header with our own signatures at its top
   */
  async seal(header: Header, { arc }: Findings, authRes: AuthRes): Promise<ArcSealing> {
    if (!header.some(([name]) => name.trim().toLowerCase() === 'from'))
      return { fields: [], reason: 'there is no From' };
    for (const [name, value] of header) this.#sealer.header(name, value);
    this.#sealer.eoh();
    return await this.#sealer.eom({ arc, authRes });
  }
}
