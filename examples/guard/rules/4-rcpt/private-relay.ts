import { untagged } from '../../mailboxes';
import { addresses } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

export const privateRelay = defineRule({
  name: 'private_relay',
  step: 'rcpt',
  doc: 'The recipient gets mail from our own clients and relays only.',
  options: {
    recipients: addresses('recipients and domains: `@intern.example.com`'),
  },
  check({ recipient: { address } }, { recipients }) {
    if (!recipients.has(untagged(address))) return null;
    return {
      reason: `private recipient ${shown(address)}`,
      reply: `${shown(address)} does not get mail from outside.`,
      detail: '7.2',
      demerits: 1,
    };
  },
});
