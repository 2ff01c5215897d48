import { defineRule, UNANSWERED } from '../../rule';
import { shown } from '../../shown';

export const spoofedSender = defineRule({
  name: 'spoofed_sender',
  step: 'mail',
  doc: 'A client from outside, which has not logged in, sends mail for a domain of ours, and SPF does not allow it.',
  prepare: (_options, { internalDomains }) => ({ internalDomains }),
  async check({ message: { sender }, level }, { internalDomains }) {
    if (sender.address === '' || !internalDomains.has(sender.address)) return null;
    const authenticated = await level();
    if (authenticated === 'pass') return null;
    return {
      reason: `external mail from ${shown(sender.address)}`,
      reply: `Mail from ${shown(sender.domain)} comes from our own servers only. Log in to send it.`,
      ...(authenticated === 'temperror' ? UNANSWERED : { demerits: 1 }),
    };
  },
});
