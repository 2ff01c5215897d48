import { defineRule } from '../../rule';

/** Mail that has come further is forwarded, or runs in a circle, which MTAs find out by these fields (RFC 5321 6.3). */
const MAX_OWN_HOPS = 5;

export const hidePath = defineRule({
  name: 'hide_path',
  step: 'headers',
  doc: 'Mail of our own domains tells the world by its Received fields which hosts it has passed inside. Mode `tag` removes them, up to five.',
  clients: ['internal', 'authenticated'],
  prepare: (_options, { internalDomains }) => ({ internalDomains }),
  check({ message: { headers, sender } }, { internalDomains }) {
    const count = headers.fields('Received').length;
    if (count === 0 || count > MAX_OWN_HOPS || !internalDomains.has(sender.address)) return null;
    return {
      reason: `${count} Received fields of our own`,
      edit: (message) => {
        message.headers.delete('Received');
      },
    };
  },
});
