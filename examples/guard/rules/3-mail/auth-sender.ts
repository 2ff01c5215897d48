import { MTAPolicy } from 'tsmilter/policy';
import { accessMap } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

export const authSender = defineRule({
  name: 'auth_sender',
  step: 'mail',
  doc: 'A user who has logged in sends mail for a domain that the access map does not allow.',
  clients: ['authenticated'],
  options: {
    access_file: accessMap(
      "Sendmail's access map, or a file of its form: `SMTP-Auth:user@example.com` for the domains of a user, `SMTP-Auth:user@` for the other ones, `SMTP-Auth:example.com` and `SMTP-Auth:` for all users. `OK` allows, anything else does not; without an entry all is allowed",
    ),
  },
  prepare: ({ access_file }) => ({ map: access_file }),
  check({ message: { sender, auth } }, { map }) {
    if (map === null || auth === null) return null;
    const own = `${auth.user}@${sender.domain}`;
    // A user name may have a domain of its own, so its keys are looked up as they are.
    const get = (name: string) => map.get(`SMTP-Auth${map.separator}${name}`);
    const value = get(own) ?? get(`${auth.user}@`) ?? new MTAPolicy(own, map).getPolicy('SMTP-Auth');
    if (value === null || /^(?:ok|continue)$/i.test(value.trim())) return null;
    return {
      reason: `user ${shown(auth.user)} sends as ${shown(sender.address)}`,
      reply: `${shown(auth.user)} may not send mail as ${shown(sender.address)}.`,
    };
  },
});
