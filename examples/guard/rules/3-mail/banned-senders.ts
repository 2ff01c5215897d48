import { untagged } from '../../mailboxes';
import { addresses } from '../../options';
import { defineRule, UNANSWERED } from '../../rule';
import { shown } from '../../shown';

export const bannedSenders = defineRule({
  name: 'banned_senders',
  step: 'mail',
  doc: 'The sender, or its domain, is banned at the level at which it is authenticated.',
  options: {
    senders: addresses(
      'addresses, domains and patterns, with the levels of SPF at which they are banned: `example.org:!pass`, `*.example`; and files of them',
    ),
  },
  async check({ message: { sender }, level }, { senders }) {
    const address = untagged(sender.address);
    if (!senders.has(address) && senders.size === 0) return null;
    const authenticated = await level();
    const found = senders.find(address, authenticated);
    if (found === undefined) return null;
    return {
      reason: `${shown(sender.address)} (${authenticated}) is banned: ${found.entry}`,
      reply: `Mail from ${shown(sender.address)} is not accepted here.`,
      // A ban at all levels does not depend on DNS.
      ...(authenticated === 'temperror' && !senders.has(address) && UNANSWERED),
    };
  },
});
