import { parseaddr } from 'tsmilter/utils';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

/** Whether one is the other, or a subdomain of it. */
const related = (one: string, other: string): boolean =>
  one === other || one.endsWith(`.${other}`) || other.endsWith(`.${one}`);

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1).toLowerCase();

export const fromMismatch = defineRule({
  name: 'from_mismatch',
  step: 'headers',
  doc: 'The domain of the From field is another one than that of the sender in the envelope. Mailing lists and forwarders do so as well.',
  suspicion: true,
  check({ message: { headers, sender } }) {
    // As it was sent: what is decoded may look like an address, and is none.
    const from = headers.fields('From')[0]?.unfolded;
    if (from === undefined || sender.address === '') return null;
    const [, author] = parseaddr(from);
    if (author !== '' && related(domainOf(author), sender.domain.toLowerCase())) return null;
    return {
      reason: `From ${shown(author)}, sender ${shown(sender.address)}`,
      reply: `The From field does not agree with the sender ${shown(sender.address)}.`,
    };
  },
});
