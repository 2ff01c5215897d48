import { number } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

const MINUTE_MS = 60_000;

export const greylist = defineRule({
  name: 'greylist',
  step: 'rcpt',
  doc: 'The client, sender and recipient have not been seen together before: deferred until the client tries again.',
  suspicion: true,
  options: {
    delay: number('seconds before which a retry does not count', 600, 0, 86_400),
    window: number('minutes within which the client must try again', 240, 1, 10_080),
    lifetime: number('days after which a sender is forgotten', 36, 1, 3650),
    ipv4_prefix: number('clients of an IPv4 network with this prefix length are one client', 24, 8, 32),
    ipv6_prefix: number('the same for IPv6', 64, 16, 128),
    auto_whitelist: number(
      'accepted retries after which all mail of a client is accepted; 0: never',
      5,
      0,
      1000,
    ),
  },
  prepare: (options, { state, report }) => ({
    report,
    greylist: state.greylist({
      delay: options.delay * 1000,
      grace: 0,
      window: options.window * MINUTE_MS,
      lifetime: options.lifetime * 1440 * MINUTE_MS,
      ipv4Prefix: options.ipv4_prefix,
      ipv6Prefix: options.ipv6_prefix,
      foldSenders: true,
      autoWhitelist: options.auto_whitelist,
    }),
  }),
  async check({ client, message: { sender }, recipient }, { greylist: known, report }) {
    if (client.address === null) return null;
    try {
      if ((await known.check(client.address, sender.address, recipient.address.toLowerCase())) > 0)
        return null;
    } catch (error) {
      // Accepting mail matters more.
      report(`GREYLIST does not work: ${(error as Error).message}`);
      return null;
    }
    return {
      reason: `first mail from ${shown(sender.address)} to ${shown(recipient.address)}`,
      reply: 'Greylisted: you are not known here yet. Please try again in some minutes.',
      atMost: 'defer',
    };
  },
});
