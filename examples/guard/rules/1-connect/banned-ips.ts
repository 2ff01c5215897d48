import { networks } from '../../options';
import { defineRule } from '../../rule';

export const bannedIps = defineRule({
  name: 'banned_ips',
  step: 'connect',
  doc: 'The address of the client is banned, by the list or by the rule `max_demerits`.',
  options: {
    networks: networks('addresses and networks, and files of them (`file:banned-ips`)'),
  },
  prepare: async ({ networks: list }, { bans }) => ({ list, bans: await bans() }),
  check({ client: { address } }, { list, bans }) {
    if (address === null) return null;
    const reply = `Mail from ${address} is not accepted here.`;
    if (list.has(address)) return { reason: `${address} is banned`, reply };
    // Others may send from there as well, and the ban ends.
    return bans.has(address) ? { reason: `${address} is banned for a while`, reply, atMost: 'defer' } : null;
  },
});
