import { networks } from '../../options';
import { defineRule } from '../../rule';

export const internalNullSender = defineRule({
  name: 'internal_null_sender',
  step: 'mail',
  doc: 'A client of ours that is no mail server sends a bounce: with the null sender.',
  clients: ['internal', 'authenticated'],
  options: {
    internal_mta: networks('our mail servers, which may send bounces'),
  },
  check({ client, message: { sender } }, { internal_mta }) {
    if (sender.address !== '' || client.address === null || internal_mta.has(client.address)) return null;
    return {
      reason: `null sender from ${client.address}`,
      reply: 'Only mail servers send bounces. Please give a sender.',
    };
  },
});
