/** A whole message, sent as an MTA sends it. */
import { types } from 'node:util';
import type { Text } from './frames.js';
import type { MacrosByStep } from './macros.js';
import type { EomResponse, Modification, Response, Verdict } from './replies.js';

/** An address as the SMTP client typed it, alone or with its ESMTP parameters: `['<a@b.c>', 'SIZE=10']`. */
export type Envelope = Text | readonly [address: Text, ...params: Text[]];

/** A message and its envelope. */
export interface Message {
  /** MAIL FROM; `'<>'` is the null sender. */
  readonly sender: Envelope;
  /** RCPT TO, one or more. */
  readonly recipients: readonly Envelope[];
  /** Names and values in their order, values without the space after the colon. Default: none. */
  readonly headers?: readonly (readonly [name: Text, value: Text])[];
  /** The body, lines ended by CRLF. Default: empty. */
  readonly body?: Text;
  /** Macros of this message; they take precedence over those of the session's option `macros`. */
  readonly macros?: MacrosByStep;
}

/** The outcome of a message. */
export interface MessageResult {
  /** The step whose verdict ended the message; `eom` if it was sent to the end. */
  readonly endedAt: 'mail' | 'rcpt' | 'data' | 'header' | 'eoh' | 'body' | 'eom';
  /** The verdict of that step. */
  readonly verdict: Verdict;
  /** The outcome of that step. */
  readonly response: Response;
  /** The outcome for each recipient that was sent, in order. */
  readonly recipients: readonly Response[];
  /** The changes that the filter asked for; empty if the message did not reach its end. */
  readonly modifications: readonly Modification[];
  /** How often the filter reported progress. */
  readonly progress: number;
}

/** The steps of a session that a message needs. */
export interface MessageSteps {
  mail(address: Text, ...params: Text[]): Promise<Response>;
  rcpt(address: Text, ...params: Text[]): Promise<Response>;
  data(): Promise<Response>;
  header(name: Text, value: Text): Promise<Response>;
  eoh(): Promise<Response>;
  body(data: Text): Promise<Response>;
  eom(): Promise<EomResponse>;
  abort(): Promise<void>;
}

function parts(envelope: Envelope): readonly [Text, ...Text[]] {
  return typeof envelope === 'string' || types.isUint8Array(envelope) ? [envelope] : envelope;
}

const continues = ({ verdict }: Response): boolean =>
  verdict === 'continue' || verdict === 'noreply' || verdict === 'skipped' || verdict === 'skip';

const refused = ({ verdict }: Response): boolean => verdict === 'reject' || verdict === 'tempfail';

function withSpace(value: Text): Text {
  return typeof value === 'string' ? ` ${value}` : Buffer.concat([Buffer.from(' '), value]);
}

/**
 * Sends a message step by step until a verdict ends it.
 *
 * @param leadingSpace - whether header values keep the space after the colon
 */
export async function sendMessage(
  steps: MessageSteps,
  message: Message,
  leadingSpace: boolean,
): Promise<MessageResult> {
  const recipients: Response[] = [];
  const ended = (endedAt: MessageResult['endedAt'], response: Response): MessageResult => ({
    endedAt,
    verdict: response.verdict,
    response,
    recipients,
    modifications: [],
    progress: 0,
  });

  const mail = await steps.mail(...parts(message.sender));
  if (!continues(mail)) return ended('mail', mail);

  let accepted = 0;
  for (const recipient of message.recipients) {
    const rcpt = await steps.rcpt(...parts(recipient));
    recipients.push(rcpt);
    if (continues(rcpt)) accepted++;
    else if (rcpt.verdict === 'accept') return ended('rcpt', rcpt);
    else if (!refused(rcpt)) {
      await steps.abort();
      return ended('rcpt', rcpt);
    }
  }
  const lastRcpt = recipients.at(-1);
  if (accepted === 0 && lastRcpt !== undefined) {
    // No recipient is left: the SMTP client gives up, and the MTA tells the filter.
    await steps.abort();
    return ended('rcpt', lastRcpt);
  }

  const data = await steps.data();
  if (!continues(data)) return ended('data', data);

  for (const [name, value] of message.headers ?? []) {
    const header = await steps.header(name, leadingSpace ? withSpace(value) : value);
    if (!continues(header)) return ended('header', header);
    if (header.verdict === 'skip') break;
  }
  const eoh = await steps.eoh();
  if (!continues(eoh)) return ended('eoh', eoh);

  const body = await steps.body(message.body ?? '');
  if (!continues(body)) return ended('body', body);

  const { modifications, progress, ...response } = await steps.eom();
  return { ...ended('eom', response), modifications, progress };
}
