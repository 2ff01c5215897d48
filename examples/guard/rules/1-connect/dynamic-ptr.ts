import { defineRule } from '../../rule';
import { shownAll } from '../../shown';

export const dynamicPtr = defineRule({
  name: 'dynamic_ptr',
  step: 'connect',
  doc: 'The client has no name in DNS, or one that looks generated from its address.',
  clients: ['dynamic'],
  suspicion: true,
  check({ client }) {
    const names = client.ptr ?? [];
    const reason =
      names.length === 0
        ? `${client.address} has no name in DNS`
        : `the name of ${client.address} looks dynamic: ${shownAll(names)}`;
    return {
      reason,
      reply: `Mail servers have a name of their own: ${reason}.`,
      detail: '7.25',
      demerits: 1,
    };
  },
});
