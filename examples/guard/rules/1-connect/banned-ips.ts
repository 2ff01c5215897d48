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
    if (address === null || !(list.has(address) || bans.has(address))) return null;
    return { reason: `${address} is banned`, reply: `Mail from ${address} is not accepted here.` };
  },
});
