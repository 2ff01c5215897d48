/** A session of an MTA that sends one message. */

import { withoutSpace } from '../../testing/simulator/arguments.js';
import { type FeedResult, type FeedSteps, feed, greet } from '../../testing/simulator/feed.js';
import type { MessageContent } from '../../testing/simulator/message-source.js';
import { restrictToSymlist } from '../../testing/wire/macros.js';
import { MtaSession } from '../../testing/wire/mta-session.js';
import { Protocol } from '../../testing/wire/protocol.js';
import type { Modification } from '../../testing/wire/replies.js';
import type { StoredEnvelope } from '../messages/envelope.js';
import { messageBefore } from '../messages/report.js';
import { recipientMacros, type SessionFacts } from '../messages/session-facts.js';

export interface Sent {
  readonly socket: string;
  readonly facts: SessionFacts;
  readonly envelope: StoredEnvelope;
  readonly message: MessageContent;
  /** Milliseconds for each reply. */
  readonly timeout: number;
  readonly retry?: boolean;
}

/**
 * Sends a message, and makes the filter's changes to it.
 * @throws as MtaSession
 */
export async function sendOne({
  socket,
  facts,
  envelope,
  message,
  timeout,
  retry = false,
}: Sent): Promise<FeedResult> {
  const { version, macros } = facts;
  await using session = await MtaSession.open(socket, { version, macros, timeout, retry });
  const leadingSpace = (session.negotiated.protocol & Protocol.HDR_LEADSPC) !== 0;
  const steps = stepsOf(session, facts);
  const result = (await greet(steps, {})) ?? (await feed(steps, envelope, message, leadingSpace));
  const after = messageBefore(facts.mta, message, envelope);
  after.recipients = after.recipients.filter((_, at) => {
    const verdict = result.recipients[at]?.verdict;
    return verdict !== 'reject' && verdict !== 'tempfail';
  });
  for (const modification of result.modifications)
    after.apply(leadingSpace ? spaceless(modification) : modification);
  return { ...result, message: after };
}

function stepsOf(session: MtaSession, { clientName, client, helo }: SessionFacts): FeedSteps {
  return {
    connect: () => session.connect(clientName, client),
    helo: () => session.helo(helo),
    envfrom: (...args) => session.mail(...args),
    envrcpt: (address, ...params) => {
      const macros = recipientMacros(address.toString());
      session.macros('rcpt', restrictToSymlist(macros, 'rcpt', session.negotiated.symlists));
      return session.rcpt(address, ...params);
    },
    data: () => session.data(),
    header: (...args) => session.header(...args),
    eoh: () => session.eoh(),
    body: (data) => session.body(data),
    eom: () => session.eom(),
    abort: () => session.abort(),
  };
}

/** The message has its values without the space after the colon, with which the filter sends them here. */
function spaceless(modification: Modification): Modification {
  return 'value' in modification
    ? { ...modification, value: withoutSpace(modification.value) }
    : modification;
}
