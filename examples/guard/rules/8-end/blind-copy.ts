import { mailboxes } from '../../mailboxes';
import { addresses } from '../../options';
import { defineRule } from '../../rule';
import { shown, shownAll } from '../../shown';

export const blindCopy = defineRule({
  name: 'blind_copy',
  step: 'end',
  doc: 'Mail of these senders or to these recipients. Mode `tag` sends a copy, which nobody sees in the message.',
  clients: ['internal', 'authenticated', 'relay', 'external', 'dynamic'],
  options: {
    senders: addresses('senders whose mail is copied'),
    recipients: addresses('recipients whose mail is copied'),
    copy_to: mailboxes('who gets the copy'),
  },
  check({ message: { sender, recipients } }, { senders, recipients: watched, copy_to }) {
    if (copy_to.length === 0) return null;
    const found = senders.has(sender.address)
      ? sender
      : [...recipients].find(({ address }) => watched.has(address));
    if (!found) return null;
    return {
      reason: `mail of ${shown(found.address)} for ${shownAll(copy_to)}`,
      reply: 'Your message is not accepted.',
      edit: (message) => {
        // A notice of its delivery, or of its failure, would tell the sender of it.
        for (const address of copy_to) message.recipients.add(address, { NOTIFY: 'NEVER' });
      },
    };
  },
});
