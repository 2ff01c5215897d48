/** The lines of the log that tell of messages. */
import { STEP_NAMES } from '../addon/steps.js';
import type { Logger } from '../internal/logger.js';
import { printable } from '../internal/printable.js';
import type { MessageRecord, Outcome, ReplyRecord } from '../session/message-record.js';
import type { Observer, SessionFacts } from '../session/observer.js';
import type { Fields } from './entry-logger.js';
import { tell } from './tell.js';

/** Characters of an address or a reply that are written. */
const MAX_LENGTH = 320;

/** Writes a line for the end of each message, and for each session that ends, or is accepted, before its first message. */
export function messageLog(logger: Logger): Observer {
  return {
    messageEnded: (session, message) => tell(logger, messageFields(session, message), 'message'),
    sessionDecided: (session, step, verdict) =>
      tell(logger, sessionFields(session, step, verdict), 'session'),
  };
}

function messageFields(session: SessionFacts, message: MessageRecord): Fields {
  const { recipientCount, refusedCount, changes } = message;
  const fields: Record<string, unknown> = { session: session.session };
  if (message.queueId !== null) fields.queueId = message.queueId;
  if (session.client !== null) fields.client = session.client;
  if (message.sender !== null) fields.from = shown(message.sender);
  if (recipientCount > 0) fields.to = message.recipients.map(shown);
  if (recipientCount > message.recipients.length) fields.recipients = recipientCount;
  if (refusedCount > 0) fields.refused = refusedCount;
  fields.verdict = message.outcome;
  fields.step = STEP_NAMES[message.step];
  if (message.reply) fields.reply = replyText(message.reply);
  if (changes.size > 0) fields.changes = Array.from(changes, changeText);
  if (message.bodyBytes > 0) fields.bytes = message.bodyBytes;
  fields.ms = rounded(message.milliseconds);
  return fields;
}

function sessionFields(session: SessionFacts, step: number, verdict: Outcome): Fields {
  return {
    session: session.session,
    client: session.client,
    verdict: verdict,
    step: STEP_NAMES[step],
  };
}

const shown = (text: string): string =>
  printable(text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH)}...`);

const changeText = ([action, count]: [string, number]): string =>
  count === 1 ? action : `${action}:${count}`;

function replyText({ code, extended, lines }: ReplyRecord): string {
  return shown([code, ...(extended === null ? [] : [extended]), ...lines].join(' '));
}

/** Milliseconds with three digits after the point at most. */
const rounded = (milliseconds: number): number => Math.round(milliseconds * 1000) / 1000;
