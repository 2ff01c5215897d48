/** A whole message through a TestCtx: the greeting, the envelope, the headers, the body. */
import type { Text } from '../wire/frames.js';
import { type Envelope, type MessageSteps, sendMessage } from '../wire/message.js';
import type { Modification, Response, Verdict } from '../wire/replies.js';
import { withoutSpace } from './arguments.js';
import type { MessageContent } from './message-source.js';
import { type TestStep, testStepOf } from './steps.js';
import type { TestMessage } from './test-message.js';

/** The envelope of a message that is fed. */
export interface FeedEnvelope {
  /** MAIL FROM, with its ESMTP parameters if it is a list. Default: `<sender@example.com>`. */
  readonly sender?: Envelope;
  /** RCPT TO, one or more. Default: `<recipient@example.com>`. */
  readonly recipients?: readonly Envelope[];
}

/** The outcome of a message that was fed. */
export interface FeedResult {
  /** The step whose verdict ended the message; `eom` if it was sent to the end. */
  readonly endedAt: TestStep;
  /** The verdict of that step. */
  readonly verdict: Verdict;
  /** The outcome of that step. */
  readonly response: Response;
  /** The outcome for each recipient that was sent, in order. */
  readonly recipients: readonly Response[];
  /** The changes that the filter asked for, in its order; empty if the message did not reach its end. */
  readonly modifications: readonly Modification[];
  /** How often the filter reported progress. */
  readonly progress: number;
  /** The message with these changes made. */
  readonly message: TestMessage;
}

/** The steps of a session that a message needs. */
export interface FeedSteps extends Omit<MessageSteps, 'mail' | 'rcpt'> {
  connect(): Promise<Response>;
  helo(): Promise<Response>;
  envfrom(address: Text, ...params: Text[]): Promise<Response>;
  envrcpt(address: Text, ...params: Text[]): Promise<Response>;
}

/** The responses to connect and helo, while they hold for the messages of the session. */
export interface Greetings {
  connect?: Response;
  helo?: Response;
}

const SENDER = '<sender@example.com>';
const RECIPIENT = '<recipient@example.com>';

/** The verdicts on connect and helo after which messages follow; DISCARD has no meaning there (docs/callbacks.md). */
const CONTINUES: ReadonlySet<Verdict> = new Set<Verdict>(['continue', 'noreply', 'skipped', 'discard']);

/** The envelope with its defaults. */
export function completeEnvelope(envelope: FeedEnvelope): Required<FeedEnvelope> {
  return { sender: envelope.sender ?? SENDER, recipients: envelope.recipients ?? [RECIPIENT] };
}

/** Sends connect and helo unless the session has done so; the outcome if no message can follow. */
export async function greet(
  steps: FeedSteps,
  greetings: Greetings,
): Promise<Omit<FeedResult, 'message'> | undefined> {
  for (const step of ['connect', 'helo'] as const) {
    const response = greetings[step] ?? (await steps[step]());
    if (CONTINUES.has(response.verdict)) continue;
    const { verdict } = response;
    return { endedAt: step, verdict, response, recipients: [], modifications: [], progress: 0 };
  }
  return undefined;
}

/**
 * Sends a message after the greeting.
 * @param leadingSpace whether header values keep the space after the colon
 */
export async function feed(
  steps: FeedSteps,
  { sender, recipients }: Required<FeedEnvelope>,
  { headers, body }: MessageContent,
  leadingSpace: boolean,
): Promise<Omit<FeedResult, 'message'>> {
  const { endedAt, ...result } = await sendMessage(
    {
      mail: (...args) => steps.envfrom(...args),
      rcpt: (...args) => steps.envrcpt(...args),
      data: () => steps.data(),
      header: (...args) => steps.header(...args),
      eoh: () => steps.eoh(),
      body: (data) => steps.body(data),
      eom: () => steps.eom(),
      abort: () => steps.abort(),
    },
    {
      sender,
      recipients,
      headers: headers.map(([name, value]) => [name, leadingSpace ? value : withoutSpace(value)]),
      body,
    },
    false, // the values are already as the filter is to receive them
  );
  return { ...result, endedAt: testStepOf(endedAt) };
}
