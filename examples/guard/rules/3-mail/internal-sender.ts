import { defineRule } from '../../rule';
import { shown } from '../../shown';

export const internalSender = defineRule({
  name: 'internal_sender',
  step: 'mail',
  doc: 'A client of ours sends mail for a domain that is not one of `internal_domains`.',
  clients: ['internal'],
  prepare: (_options, { internalDomains }) => ({ internalDomains }),
  check({ message: { sender } }, { internalDomains }) {
    if (sender.address === '' || internalDomains.has(sender.address)) return null;
    return {
      reason: `internal mail from ${shown(sender.address)}`,
      reply: `${shown(sender.domain)} is not a domain of ours.`,
    };
  },
});
