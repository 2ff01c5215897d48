import { addresses } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

export const knownUsers = defineRule({
  name: 'known_users',
  step: 'rcpt',
  doc: 'The recipient is no user of a domain whose users are known.',
  clients: ['external', 'dynamic', 'relay'],
  options: {
    domains: addresses('domains whose users are known: `@example.com`'),
    users: addresses('all their users, and files of them: `ann@example.com`, `file:users`'),
  },
  check({ recipient: { address } }, { domains, users }) {
    if (!domains.has(address) || users.has(address)) return null;
    return {
      reason: `no user ${shown(address)}`,
      reply: `${shown(address)} is not known here.`,
      detail: '1.1',
      demerits: 1,
    };
  },
});
