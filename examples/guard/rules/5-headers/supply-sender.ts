import { parseaddr } from 'tsmilter/utils';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

export const supplySender = defineRule({
  name: 'supply_sender',
  step: 'headers',
  doc: 'The author of mail from inside is not its sender, and no Sender field says who is (RFC 5322 3.6.2). Mode `tag` adds it.',
  clients: ['internal', 'authenticated'],
  check({ message: { headers, sender } }) {
    // As it was sent: what is decoded may look like an address, and is none.
    const from = headers.fields('From')[0]?.unfolded;
    if (from === undefined || sender.address === '' || headers.has('Sender')) return null;
    const [, author] = parseaddr(from);
    if (author.toLowerCase() === sender.address.toLowerCase()) return null;
    return {
      reason: `From ${shown(author)} is sent by ${shown(sender.address)}`,
      edit: (message) => message.headers.add('Sender', `<${message.sender.address}>`, { encode: false }),
    };
  },
});
