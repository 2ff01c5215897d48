/** Mail that has every right to arrive, from outside and inside. */
import { type Kind, kindOf } from './day';
import { clientOf } from './mail';
import { ALIAS, COPY, OUR_SERVER, USER_CLIENT } from './world';

const inside = () => ({ client: clientOf('inside', 2), from: 'ann@ours.test' });
const login = (user: string) => ({ client: { address: USER_CLIENT, helo: 'phone.example', user } });

export const ordinary: readonly Kind[] = [
  kindOf('personal mail', 150, () => ({ expected: 'accept' })),
  kindOf('mail with a mark that is not ours', 10, () => ({
    fields: [['X-Guard', 'clean; looked at by ourselves']],
    expected: 'accept',
  })),
  kindOf('mail of a domain without SPF', 50, (day) => ({
    client: clientOf('plain', 1 + day.random.below(8)),
    from: `${day.unique()}@plain.example`,
    expected: 'accept',
  })),
  kindOf('mail to several users', 20, (day) => ({
    to: ['user1@dest.test', 'user2@dest.test', `user${3 + day.random.below(40)}@dest.test`],
    expected: 'accept',
  })),
  kindOf('mail to postmaster', 5, () => ({ to: ['Postmaster@dest.test'], expected: 'accept' })),
  kindOf('mailing list', 40, (day) => ({
    client: day.client('lists'),
    from: `talk-bounces+${day.unique()}@lists.example`,
    author: `${day.unique()}@club.example`,
    subject: `[talk] ${day.words(4)}`,
    fields: [
      ['List-Id', '<talk.lists.example>'],
      ['Precedence', 'list'],
    ],
    expected: 'accept',
  })),
  kindOf('mail through our relay, which has checked it', 20, (day) => ({
    client: day.client('relay'),
    from: `${day.unique()}@fail.example`,
    expected: 'accept',
  })),
  kindOf('mail from inside', 60, () => ({ ...inside(), to: ['friend@friend.example'], expected: 'accept' })),
  kindOf('mail from inside, written for somebody else', 15, () => ({
    ...inside(),
    author: 'boss@ours.test',
    expected: 'tag supply_sender',
  })),
  kindOf('mail from inside for a domain of others', 15, (day) => ({
    client: clientOf('inside', 2),
    from: `${day.unique()}@friend.example`,
    expected: 'reject internal_sender',
  })),
  kindOf('a bounce from our mail server', 10, () => ({
    client: { ...clientOf('inside'), address: OUR_SERVER },
    from: '',
    author: 'mailer-daemon@ours.test',
    expected: 'accept',
  })),
  kindOf('a bounce from a desk', 10, () => ({
    client: clientOf('inside', 2),
    from: '',
    author: 'mailer-daemon@ours.test',
    expected: 'reject internal_null_sender',
  })),
  kindOf('mail of a user who has logged in', 25, () => ({
    ...login('ann'),
    from: 'ann@ours.test',
    expected: 'accept',
  })),
  kindOf('mail of a user as somebody else', 15, (day) => ({
    ...login('ann'),
    from: `${day.unique()}@friend.example`,
    expected: 'reject auth_sender',
  })),
  kindOf('mail whose recipient has moved', 10, (day) => ({
    from: `${day.unique()}@watched.example`,
    to: [ALIAS.to],
    expected: 'tag smart_alias',
  })),
  kindOf('mail for the journal', 10, () => ({ to: [COPY.to], expected: 'tag blind_copy' })),
];
