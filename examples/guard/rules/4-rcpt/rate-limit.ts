import type { LimitedBy, NamedLimits } from 'tsmilter/ratelimit';
import type { MessageFacts } from '../../facts';
import { number } from '../../options';
import { type CheckResult, defineRule } from '../../rule';
import { shown } from '../../shown';

const HOUR_MS = 3_600_000;

const perHour = (who: string, fallback: number) =>
  number(`recipients of ${who} in an hour; 0: no limit`, fallback, 0, 1_000_000);
const perDay = (who: string, fallback: number) =>
  number(`recipients of ${who} in a day; 0: no limit`, fallback, 0, 10_000_000);

const limits = (hour: number, day: number): NamedLimits => ({
  ...(hour > 0 && { hour: { points: hour, duration: HOUR_MS } }),
  ...(day > 0 && { day: { points: day, duration: 24 * HOUR_MS } }),
});

/**
 * Whose recipients are counted. A client from outside that SPF does not know could use up the limit of somebody else, whose address
 * it gives as the sender.
 */
async function countedNames({ client, message: { auth, sender }, level }: MessageFacts) {
  const names: [by: LimitedBy, name: string][] = [];
  if (auth !== null) names.push(['account', auth.user]);
  else if (client.address !== null) names.push(['client', client.address]);
  const isOurs = client.class === 'authenticated' || client.class === 'internal';
  if (sender.address !== '' && (isOurs || (await level()) === 'pass')) names.push(['sender', sender.address]);
  return names;
}

export const rateLimit = defineRule({
  name: 'rate_limit',
  step: 'rcpt',
  doc: 'The account, or the client if it has not logged in, or the sender has had too many recipients: a stolen password, a program that runs wild, a flood. A sender from outside counts if SPF passes.',
  clients: ['authenticated', 'external', 'dynamic'],
  options: {
    account_hour: perHour('an account', 100),
    account_day: perDay('an account', 500),
    client_hour: perHour('a client that has not logged in', 1000),
    client_day: perDay('a client that has not logged in', 0),
    sender_hour: perHour('a sender', 500),
    sender_day: perDay('a sender', 0),
    message: number('recipients of one message; 0: no limit', 100, 0, 100_000),
  },
  prepare: (options, { state }) => ({
    perMessage: options.message,
    limiter: state.rateLimiter({
      limits: {
        account: limits(options.account_hour, options.account_day),
        client: limits(options.client_hour, options.client_day),
        sender: limits(options.sender_hour, options.sender_day),
      },
    }),
  }),
  async check(facts, { perMessage, limiter }): Promise<CheckResult> {
    if (perMessage > 0 && facts.message.recipients.length >= perMessage)
      return {
        reason: `more than ${perMessage} recipients`,
        reply: `A message may have ${perMessage} recipients. Please send the others in another one.`,
        // RFC 3463: too many recipients
        detail: '5.3',
        atMost: 'defer',
      };
    for (const [by, name] of await countedNames(facts)) {
      const { allowed, limit, msBeforeNext } = await limiter.consume(by, name);
      if (allowed) continue;
      return {
        reason: `${by} ${shown(name)} has had too many recipients in one ${limit}`,
        reply: `Too many recipients in one ${limit}. Please try again in ${Math.ceil(msBeforeNext / 60_000)} minutes.`,
        atMost: 'defer',
      };
    }
    return null;
  },
});
