import { untagged } from '../../mailboxes';
import { addresses } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

/** RFC 5321 4.5.1 */
const POSTMASTER = /^postmaster@/i;

export const knownUsers = defineRule({
  name: 'known_users',
  step: 'rcpt',
  doc: 'The recipient is no user of a domain whose users are known. Signed addresses (SRS) are known if the rule `signed_bounce` is on, in any mode.',
  clients: ['external', 'dynamic', 'relay'],
  options: {
    domains: addresses('domains whose users are known: `@example.com`'),
    users: addresses('all their users, and files of them: `ann@example.com`, `file:users`'),
  },
  prepare: ({ domains, users }, { signatures }) => ({ domains, users, signatures }),
  check({ recipient: { address } }, { domains, users, signatures }) {
    const user = untagged(address);
    if (!domains.has(address) || users.has(user) || POSTMASTER.test(user)) return null;
    if (signatures.some((isOurs) => isOurs(address))) return null;
    return {
      reason: `no user ${shown(address)}`,
      reply: `${shown(address)} is not known here.`,
      detail: '1.1',
      demerits: 1,
    };
  },
});
