import { asciiDomain, parseaddr } from 'tsmilter/utils';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

/** Whether one is the other, or a subdomain of it. */
const related = (one: string, other: string): boolean =>
  one === other || one.endsWith(`.${other}`) || other.endsWith(`.${one}`);

const domainOf = (address: string): string => asciiDomain(address.slice(address.lastIndexOf('@') + 1));

export const fromMismatch = defineRule({
  name: 'from_mismatch',
  step: 'headers',
  doc: 'The domain of the From field is another one than that of the sender in the envelope. Mailing lists and forwarders do so as well.',
  suspicion: true,
  check({ message: { headers, sender } }) {
    if (sender.address === '') return null;
    // As it was sent: what is decoded may look like an address, and is none. Of several fields a reader may be shown any.
    const authors = headers.fields('From').map(({ unfolded }) => parseaddr(unfolded)[1]);
    const domain = domainOf(sender.address);
    const author = authors.find((each) => each === '' || !related(domainOf(each), domain));
    if (author === undefined) return null;
    return {
      reason: `From ${shown(author)}, sender ${shown(sender.address)}`,
      reply: `The From field does not agree with the sender ${shown(sender.address)}.`,
    };
  },
});
