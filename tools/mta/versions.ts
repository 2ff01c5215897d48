/** What depends on an MTA's version, in one table. docs/callbacks.md tells users of it, under "Newer MTAs". */
import type { Mta } from './mta';

export interface VersionedBehaviour {
  /** Whether HELP is a command; otherwise a filter hears of it as an unknown one. */
  readonly knowsHelp: boolean;
  /** What a filter gets of an unknown command. */
  readonly unknownCommand: 'whole line' | 'first word';
  /** Whether the client gets the filter's reply if the filter rejects an unknown command. */
  readonly rejectsUnknownCommand: boolean;
  /** {rcpt_mailer}, {rcpt_host} and {rcpt_addr} for the recipient mtareject@dest.test, which the MTA refuses. */
  readonly rejectedRecipient: readonly [mailer: string, host: string, address: string];
  /** What Postfix logs of a message that a filter has quarantined for `reason`. Sendmail keeps the reason in the queue. */
  readonly quarantineLog: ((reason: string) => string) | null;
}

type Oldest = readonly [since: string, behaviour: VersionedBehaviour];
type Change = readonly [since: string, behaviour: Partial<VersionedBehaviour>];

/** The oldest version comes first and says everything; each later one says what it changed. */
const CHANGES: Readonly<Record<Mta['name'], readonly [Oldest, ...Change[]]>> = {
  sendmail: [
    [
      '8.17',
      {
        knowsHelp: true,
        unknownCommand: 'whole line',
        rejectsUnknownCommand: true,
        rejectedRecipient: ['error', '5.1.1', '550 5.1.1 User unknown'],
        quarantineLog: null,
      },
    ],
    ['8.18', { rejectedRecipient: ['error', '', 'mtareject'] }],
  ],
  postfix: [
    [
      '3.7',
      {
        knowsHelp: false,
        unknownCommand: 'first word',
        rejectsUnknownCommand: true,
        rejectedRecipient: ['error', '5.7.1', 'Recipient address rejected: Access denied'],
        quarantineLog: () => ': milter triggers HOLD action; from=',
      },
    ],
    ['3.9', { knowsHelp: true }],
    [
      '3.10',
      {
        unknownCommand: 'whole line',
        rejectsUnknownCommand: false,
        // Logs are read as Latin-1, which keeps every byte.
        quarantineLog: (reason) => `: ${Buffer.from(reason).toString('latin1')}; from=`,
      },
    ],
  ],
};

/** How this MTA behaves where versions differ. */
export function behaviourOf({ name, version }: Pick<Mta, 'name' | 'version'>): VersionedBehaviour {
  const [[, oldest], ...changes] = CHANGES[name];
  const made = changes.filter(([since]) => isAtLeast(version, since));
  return Object.assign({}, oldest, ...made.map(([, behaviour]) => behaviour));
}

/** Compares the upstream part of a Debian version, number by number. */
function isAtLeast(version: string, since: string): boolean {
  const numbers = (text: string) => text.split(/[^\d]/, 2).map(Number);
  const [major = 0, minor = 0] = numbers(version);
  const [leastMajor = 0, leastMinor = 0] = numbers(since);
  return major !== leastMajor ? major > leastMajor : minor >= leastMinor;
}
