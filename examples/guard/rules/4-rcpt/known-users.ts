import { addresses } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

/** Postmaster (RFC 5321 4.5.1), and recipients that we have signed: the rule signed_bounce judges these. */
const ALWAYS_KNOWN = /^(?:postmaster@|srs[01][=+-]|prvs=)/i;

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
    if (!domains.has(address) || users.has(address) || ALWAYS_KNOWN.test(address)) return null;
    return {
      reason: `no user ${shown(address)}`,
      reply: `${shown(address)} is not known here.`,
      detail: '1.1',
      demerits: 1,
    };
  },
});
