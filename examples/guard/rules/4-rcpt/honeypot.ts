import { untagged } from '../../mailboxes';
import { addresses, flag } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

export const honeypot = defineRule({
  name: 'honeypot',
  step: 'rcpt',
  doc: 'The recipient exists for spam alone: nobody has ever given the address to anybody.',
  options: {
    recipients: addresses('recipients and domains that are traps'),
    read_message: flag(
      'whether a refusal waits for the whole message, so that the rule `training` can teach it to scanners; then all recipients of the message get the refusal',
      false,
    ),
  },
  check({ recipient: { address } }, { recipients, read_message }) {
    if (!recipients.has(untagged(address))) return null;
    return {
      reason: `honeypot ${shown(address)}`,
      reply: `${shown(address)} is not known here.`,
      detail: '1.1',
      demerits: 1,
      spam: true,
      late: read_message,
    };
  },
});
