import { addresses } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

export const honeypot = defineRule({
  name: 'honeypot',
  step: 'rcpt',
  doc: 'The recipient exists for spam alone: nobody has ever given the address to anybody.',
  options: {
    recipients: addresses('recipients and domains that are traps'),
  },
  check({ recipient: { address } }, { recipients }) {
    if (!recipients.has(address)) return null;
    return {
      reason: `honeypot ${shown(address)}`,
      reply: `${shown(address)} is not known here.`,
      detail: '1.1',
      demerits: 1,
    };
  },
});
