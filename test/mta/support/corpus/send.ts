/** Sends messages of the corpus as their clients would. */
import type { Reply, SmtpClient } from '../../../../tools/mta';
import type { GuardFixture } from '../guard-fixture';
import { logIn } from '../login';
import type { Kind } from '../mta-fixture';
import { type CorpusMail, textOf } from './mail';
import { refusalOf } from './verdict';

/** What a client was told in one session. */
export interface Attempt {
  /** The refusal of each recipient that was refused, then that of the message. */
  readonly refusals: readonly string[];
  /** The recipients for whom the MTA has taken the message. */
  readonly accepted: readonly string[];
}

export async function attempt(guard: GuardFixture, kind: Kind, mail: CorpusMail): Promise<Attempt> {
  const client = await guard.open(kind, mail.client.address);
  try {
    const { user, helo } = mail.client;
    if (user !== undefined) await logIn(client, kind, user);
    else if (helo !== null) await client.command(`EHLO ${helo}`);
    const told = await transaction(client, mail);
    // After 421 the server has closed the connection.
    if (!told.refusals.some((each) => each.startsWith('421'))) await client.quit();
    return told;
  } finally {
    client.destroy();
  }
}

async function transaction(client: SmtpClient, mail: CorpusMail): Promise<Attempt> {
  const sender = await client.command(`MAIL FROM:<${mail.from}>`);
  if (!isGood(sender)) return { refusals: [refusalOf(sender)], accepted: [] };
  const refusals: string[] = [];
  const accepted: string[] = [];
  for (const recipient of mail.to) {
    const reply = await client.command(`RCPT TO:<${recipient}>`);
    if (isGood(reply)) accepted.push(recipient);
    else refusals.push(refusalOf(reply));
  }
  if (accepted.length === 0) return { refusals, accepted };
  const end = await client.data(textOf(mail));
  return isGood(end) ? { refusals, accepted } : { refusals: [...refusals, refusalOf(end)], accepted: [] };
}

const isGood = ({ code }: Reply): boolean => code === 250;
