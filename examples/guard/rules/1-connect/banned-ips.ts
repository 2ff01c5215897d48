import { networks } from '../../options';
import { defineRule } from '../../rule';

export const bannedIps = defineRule({
  name: 'banned_ips',
  step: 'connect',
  doc: 'The address of the client is banned.',
  options: {
    networks: networks('addresses and networks, and files of them (`file:banned-ips`)'),
  },
  check({ client }, { networks: banned }) {
    if (client.address === null || !banned.has(client.address)) return null;
    return {
      reason: `${client.address} is banned`,
      reply: `Mail from ${client.address} is not accepted here.`,
    };
  },
});
