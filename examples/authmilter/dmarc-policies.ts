/** Exceptions from what domains ask for by DMARC. */
import type { DmarcDecision, DmarcResult } from 'tsmilter/dmarc';
import { ConfigError } from '../shared/config-error';
import { addressPattern, type Pattern } from './pattern';
import { readTable } from './table';

/**
 * What is done with mail of a domain that fails:
 *
 * - `enforce`: what the domain asks for.
 * - `dry_run`: nothing; the log says what the domain asks for.
 * - `ignore`: nothing, for a partner whose mail is never in order.
 * - `quarantine`, `reject`: this, whatever the domain asks for.
 */
export const DMARC_ACTIONS = ['enforce', 'dry_run', 'ignore', 'quarantine', 'reject'] as const;
export type DmarcAction = (typeof DMARC_ACTIONS)[number];

const COLUMNS = ['domain', 'action'];

export class DmarcPolicies {
  readonly #entries: readonly { readonly matches: Pattern; readonly action: DmarcAction }[];

  private constructor(entries: readonly { matches: Pattern; action: DmarcAction }[]) {
    this.#entries = entries;
  }

  /** @throws ConfigError, with the line */
  static async read(file: string | null): Promise<DmarcPolicies> {
    const rows = file === null ? [] : await readTable(file, COLUMNS);
    return new DmarcPolicies(
      rows.map(({ columns: [domain = '', word = ''], place }) => {
        const action = DMARC_ACTIONS.find((known) => known === word.toLowerCase());
        if (action) return { matches: addressPattern(domain), action };
        throw new ConfigError(`${place}: ${word} is not one of ${DMARC_ACTIONS.join(', ')}`);
      }),
    );
  }

  /** The decision about a message that fails; undefined for what its domain asks for. */
  decide({ domain = '', policy }: DmarcResult): DmarcDecision | undefined {
    const action = this.#entries.find(({ matches }) => matches(`@${domain}`))?.action ?? 'enforce';
    switch (action) {
      case 'enforce':
        return undefined;
      case 'dry_run':
        return { type: 'local_policy', disposition: 'none', comment: `dry run, otherwise ${policy}` };
      case 'ignore':
        return { type: 'local_policy', disposition: 'none', comment: 'an exception for this domain' };
      default:
        return { type: 'local_policy', disposition: action, comment: 'our own rule for this domain' };
    }
  }
}
