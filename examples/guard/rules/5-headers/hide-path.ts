import type { HeaderField } from 'tsmilter/message';
import { defineRule } from '../../rule';

/** Mail that has come further is forwarded, or runs in a circle. */
const MAX_OWN_HOPS = 5;

const DATE = /(?:[a-z]{3}, )?\d{1,2} [a-z]{3} \d{4} \d\d:\d\d(?::\d\d)? [+-]\d{4}/i;

/** What is left of a Received field: MTAs find out by their number that a message runs in a circle (RFC 5321 6.3). */
function anonymous({ unfolded }: HeaderField, host: string): string {
  const date = DATE.exec(unfolded.slice(unfolded.lastIndexOf(';') + 1))?.[0];
  return `by ${host}; ${date ?? new Date().toUTCString().replace('GMT', '+0000')}`;
}

export const hidePath = defineRule({
  name: 'hide_path',
  step: 'headers',
  doc: 'Mail of our own domains tells the world by its Received fields which hosts it has passed inside. Mode `tag` leaves of each, up to five, only its date and the name of this host: MTAs find loops by the number of these fields.',
  clients: ['internal', 'authenticated'],
  prepare: (_options, { internalDomains }) => ({ internalDomains }),
  check({ message: { headers, sender }, host }, { internalDomains }) {
    const count = headers.fields('Received').length;
    if (count === 0 || count > MAX_OWN_HOPS || !internalDomains.has(sender.address)) return null;
    return {
      reason: `${count} Received fields of our own`,
      edit: (message) => {
        for (const field of message.headers.fields('Received'))
          message.headers.replace(field, anonymous(field, host));
      },
    };
  },
});
