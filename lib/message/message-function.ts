/** A filter as a function, for those who want no class. */
import { CONTINUE, SKIP } from '../addon/constants.js';
import type { Answer, Status } from '../addon/status.js';
import { badArgument } from '../internal/errors.js';
import { checkOptions, type OptionNames } from '../internal/validate.js';
import type { EnvelopeAddress } from './address.js';
import type { StorageOptions } from './body-store.js';
import { MessageFilter } from './message-filter.js';
import type { Transaction } from './transaction.js';

/** A decision about a message, or, at a recipient, about this recipient. */
export type Decide = (transaction: Transaction) => Answer;
/** A decision about one recipient. */
export type DecideRecipient = (transaction: Transaction, recipient: EnvelopeAddress) => Answer;

/**
 * When a decision is made:
 *
 * - `mail`: the sender is known
 * - `rcpt`: once for each recipient
 * - `headers`: the headers are complete; the body is not passed
 * - `end`: the whole message is there. The default
 */
export type DecisionStage = 'mail' | 'rcpt' | 'headers' | 'end';

const STAGES: readonly DecisionStage[] = ['mail', 'rcpt', 'headers', 'end'];

/** Options of {@link messageFilter}. */
export interface MessageFilterOptions<Stage extends DecisionStage = DecisionStage> extends StorageOptions {
  readonly at?: Stage;
}

const OPTIONS: OptionNames<MessageFilterOptions> = {
  at: true,
  maxMemory: true,
  maxTotalMemory: true,
  spoolDirectory: true,
};

/** A filter class that makes one decision. */
export type DecisionFilter = new () => MessageFilter;

/**
 * Makes a filter of a function that decides on each message, to be passed to `runmilter` as its factory. Its edits are sent at the
 * end of the message, whenever the decision is made.
 *
 * @param decide returns a status: CONTINUE or ACCEPT to deliver the message
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT
 */
export function messageFilter(
  decide: DecideRecipient,
  options: MessageFilterOptions<'rcpt'> & { readonly at: 'rcpt' },
): DecisionFilter;
export function messageFilter(decide: Decide, options?: MessageFilterOptions): DecisionFilter;
export function messageFilter(
  decide: Decide | DecideRecipient,
  options: MessageFilterOptions = {},
): DecisionFilter {
  if (typeof decide !== 'function') throw badArgument('messageFilter: the decision must be a function');
  checkOptions('messageFilter', options, OPTIONS);
  const { at = 'end', ...storage } = options;
  if (!STAGES.includes(at))
    throw badArgument(`messageFilter: at must be one of ${STAGES.join(', ')}, not ${String(at)}`);

  class Decision extends MessageFilter {
    static override readonly storage = storage;

    protected override message(transaction: Transaction): Answer {
      return at === 'end' ? (decide as Decide)(transaction) : CONTINUE;
    }
  }
  if (at === 'end') return Decision;

  return class extends Decision {
    protected override atMail(transaction: Transaction): Answer {
      return at === 'mail' ? (decide as Decide)(transaction) : CONTINUE;
    }

    protected override atRcpt(transaction: Transaction, recipient: EnvelopeAddress): Answer {
      return at === 'rcpt' ? (decide as DecideRecipient)(transaction, recipient) : CONTINUE;
    }

    protected override atHeaders(transaction: Transaction): Answer {
      return at === 'headers' ? (decide as Decide)(transaction) : CONTINUE;
    }

    /** The decision does not need the body. */
    override async body(): Promise<Status> {
      return SKIP;
    }
  };
}
