/** Clients that are judged by their address, their name, and the recipients that they try. */
import { type Kind, kindOf } from './day';
import { clientOf } from './mail';
import { HONEYPOT, PRIVATE } from './world';

const unknown = (word: string) => `no.${word}@dest.test`;

/** Each attacker has an address of its own, because it is banned afterwards. */
const dictionaryAttack: Kind = (() => {
  const kind = 'dictionary attack, and what comes from there later';
  const attackers = new WeakMap<object, number>();
  return {
    kind,
    share: 10,
    make(day) {
      const host = (attackers.get(day) ?? 0) + 1;
      attackers.set(day, host);
      const to = [...[1, 2, 3].map(() => unknown(day.unique())), day.user()];
      return day.mail(kind, {
        client: clientOf('dictionary', host),
        to,
        from: `${day.unique()}@plain.example`,
        expected: [
          'reject known_users, reject known_users, reject known_users, reject max_demerits',
          'defer banned_ips, defer banned_ips, defer banned_ips, defer banned_ips',
        ],
      });
    },
  };
})();

export const clientKinds: readonly Kind[] = [
  kindOf('banned network', 20, (day) => ({
    client: day.client('banned'),
    expected: 'reject banned_ips',
    from: `${day.unique()}@plain.example`,
  })),
  kindOf('PTR localhost', 10, (day) => ({
    client: day.client('localhost'),
    from: `${day.unique()}@plain.example`,
    expected: 'reject ptr_localhost',
  })),
  kindOf('client on a list in DNS', 30, (day) => ({
    client: day.client('listed'),
    from: `${day.unique()}@plain.example`,
    expected: 'reject dnsbl',
  })),
  kindOf('dynamic client that tries again', 40, (day) => ({
    client: day.client('dynamic'),
    from: `${day.unique()}@dynamic.example`,
    expected: ['defer greylist', 'tag dynamic_ptr'],
  })),
  kindOf('dynamic client that does not try again', 40, (day) => ({
    client: day.client('dynamic'),
    from: `${day.unique()}@dynamic.example`,
    expected: 'defer greylist',
  })),
  kindOf('dynamic client of a sender that we trust', 5, (day) => ({
    client: day.client('dynamic'),
    from: `${day.unique()}@trusted.example`,
    expected: 'accept',
  })),
  kindOf('numeric HELO', 30, (day) => ({
    client: {
      ...day.client('friend'),
      helo: day.random.pick(['192.0.2.7', '2001:db8::1', '12345', '127.0.3.1']),
    },
    expected: 'reject helo_numeric',
  })),
  kindOf('address literal as HELO', 10, (day) => ({
    client: { ...day.client('friend'), helo: '[192.0.2.7]' },
    expected: 'accept',
  })),
  kindOf('own name as HELO', 20, (day) => ({
    client: { ...day.client('friend'), helo: day.random.pick(['ours.test', 'mx.ours.test', 'MX.Ours.TEST']) },
    expected: 'reject helo_own_name',
  })),
  kindOf('no HELO', 10, (day) => ({
    client: { ...day.client('friend'), helo: null },
    expected: 'reject helo_missing',
  })),
  kindOf('unknown recipient', 40, (day) => ({
    to: [unknown(day.unique())],
    expected: 'reject known_users',
  })),
  kindOf('unknown recipient and a known one', 15, (day) => ({
    to: [unknown(day.unique()), day.user()],
    expected: 'reject known_users, accept',
  })),
  kindOf('honeypot', 15, () => ({ to: [HONEYPOT], expected: 'reject honeypot' })),
  kindOf('private recipient', 10, () => ({ to: [PRIVATE], expected: 'reject private_relay' })),
  dictionaryAttack,
];
