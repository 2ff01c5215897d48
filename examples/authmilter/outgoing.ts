/** Signing a message, while it comes. */
import { DkimSigner } from 'tsmilter/dkim';
import { parseaddr } from 'tsmilter/utils';
import type { Settings } from './settings';

/** A header as it came. */
export type Header = readonly (readonly [name: string, value: string])[];

/** Why a message is not signed. */
export interface Unsigned {
  readonly reason: string;
}

export class Outgoing {
  readonly #signer: DkimSigner;
  /** Names under which DNS has the keys, for the log. */
  readonly keyNames: readonly string[];

  private constructor(signer: DkimSigner, keyNames: readonly string[]) {
    this.#signer = signer;
    this.keyNames = keyNames;
  }

  /** Chooses the keys, at the end of the header. */
  static begin(header: Header, sender: string, settings: Settings): Outgoing | Unsigned {
    const from = header.filter(([name]) => name.trim().toLowerCase() === 'from');
    // Without From there is nothing to sign, and of several the reader may see another one than was signed for.
    if (from.length !== 1)
      return { reason: from.length === 0 ? 'there is no From' : 'there are several From' };
    const [, address] = parseaddr(from[0]?.[1] ?? '');
    const keys = settings.signingTable.keysFor({ from: address, sender });
    if (keys.length === 0) return { reason: `the signing table has no key for ${address || 'this From'}` };
    const signer = new DkimSigner({ keys, ...settings.signing });
    for (const [name, value] of header) signer.header(name, value);
    signer.eoh();
    return new Outgoing(
      signer,
      keys.map(({ selector, domain }) => `${selector}._domainkey.${domain}`),
    );
  }

  body(chunk: Buffer): void {
    this.#signer.body(chunk);
  }

  /** The fields to be put at the top. */
  signatures(): Promise<[name: string, value: string][]> {
    return this.#signer.eom();
  }
}
