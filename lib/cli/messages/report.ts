/** Prints what becomes of messages, one by one and in sum. */

import { withoutSpace } from '../../testing/simulator/arguments.js';
import type { FeedResult } from '../../testing/simulator/feed.js';
import type { MessageContent } from '../../testing/simulator/message-source.js';
import type { HeaderRules } from '../../testing/simulator/test-message.js';
import { TestMessage } from '../../testing/simulator/test-message.js';
import { EXIT } from '../command.js';
import { jsonLine, type Output } from '../output.js';
import { plainMessage } from '../system-error.js';
import { printChanges } from './changes.js';
import type { StoredEnvelope } from './envelope.js';
import { exitCodeOf, type Outcome, outcomeOf, printOutcome, replyText } from './outcome.js';

export interface ReportOptions {
  /** Print a line of JSON for each message, and nothing else. */
  readonly json: boolean;
  /** Print what was changed. */
  readonly changes: boolean;
}

/** A message that has been through a filter. */
export interface Processed {
  readonly name: string;
  readonly before: TestMessage;
  readonly result: FeedResult;
  readonly milliseconds: number;
}

/** A message as the MTA has it before the filter sees it. */
export function messageBefore(
  rules: HeaderRules,
  { headers, body }: MessageContent,
  { sender: [sender, ...params], recipients }: StoredEnvelope,
): TestMessage {
  const message = new TestMessage(rules, sender, params);
  for (const [name, value] of headers) message.receive(name, withoutSpace(value));
  message.recipients = recipients.map(([address, ...rest]) => ({ address, params: rest }));
  message.body = body;
  return message;
}

export class Report {
  readonly #output: Output;
  readonly #options: ReportOptions;
  readonly #counts = new Map<Outcome, number>();
  readonly #times: number[] = [];
  #failed = 0;

  constructor(output: Output, options: ReportOptions) {
    this.#output = output;
    this.#options = options;
  }

  add(processed: Processed): void {
    const { name, before, result, milliseconds } = processed;
    const outcome = outcomeOf(result);
    this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1);
    this.#times.push(milliseconds);
    if (this.#options.json) {
      this.#output.print(jsonLine(asJson(processed, outcome)));
      return;
    }
    printOutcome(this.#output, name, result);
    result.recipients.forEach((response, at) => {
      if (response.verdict !== 'reject' && response.verdict !== 'tempfail') return;
      const { address = '' } = before.recipients[at] ?? {};
      this.#output.print(
        `  ${address} ${response.verdict === 'reject' ? 'rejected' : 'deferred'}${replyText(response)}`,
      );
    });
    if (this.#options.changes && result.endedAt === 'eom') printChanges(this.#output, before, result.message);
  }

  /** A message that could not be tried to its end. */
  addFailure(name: string, error: Error): void {
    this.#failed++;
    this.#output.error(`${name}: ${plainMessage(error)}`);
  }

  /** Prints how many messages there were of each outcome, and how long they took. */
  summarise(): void {
    if (this.#options.json) return;
    const total = this.#times.length + this.#failed;
    const parts = [...this.#counts].map(([outcome, count]) => `${count} ${outcome}`);
    if (this.#failed > 0) parts.push(`${this.#failed} failed`);
    this.#output.print(`${total} ${total === 1 ? 'message' : 'messages'}: ${parts.join(', ') || 'none'}`);
    if (this.#times.length === 0) return;
    const sorted = this.#times.toSorted((one, other) => one - other);
    const quantile = (part: number) => (sorted[Math.ceil(sorted.length * part) - 1] ?? 0).toFixed(1);
    this.#output.print(
      `time for each: median ${quantile(0.5)} ms, 95 % ${quantile(0.95)} ms, most ${quantile(1)} ms`,
    );
  }

  /** That of the worst message. */
  get exitCode(): number {
    return this.#failed > 0 ? EXIT.failed : exitCodeOf(new Set(this.#counts.keys()));
  }
}

/** A line for programs. Bodies are Base64, because they can be of any bytes. */
function asJson({ name, result, milliseconds }: Processed, outcome: Outcome): object {
  const { verdict, endedAt, response, recipients, modifications, progress } = result;
  return {
    message: name,
    outcome,
    verdict,
    endedAt,
    reply: response.reply ?? null,
    recipients,
    modifications: modifications.map((modification) =>
      modification.type === 'replacebody'
        ? { ...modification, body: modification.body.toString('base64') }
        : modification,
    ),
    progress,
    milliseconds: Math.round(milliseconds * 10) / 10,
  };
}
