/** Senders that are forged, banned or misconfigured: what SPF and lists say about MAIL. */
import { type Kind, kindOf } from './day';

const of = (domain: string, share: number, expected: string, kind: string): Kind =>
  kindOf(kind, share, (day) => ({ from: `${day.unique()}@${domain}`, expected }));

export const senders: readonly Kind[] = [
  kindOf('our domain from outside', 30, (day) => ({
    from: `${day.random.pick(['ann', 'boss', 'it-support'])}@${day.random.pick(['ours.test', 'sub.ours.test', 'OURS.test'])}`,
    expected: 'reject spoofed_sender',
  })),
  kindOf('banned sender', 20, (day) => ({
    from: day.random.pick(['eve@spam.example', 'Eve@SPAM.example']),
    expected: 'reject banned_senders',
  })),
  of('spam.example', 5, 'accept', 'neighbour of a banned sender'),
  kindOf('banned pattern', 15, (day) => ({
    from: `${day.unique()}@${day.unique()}.bulk.example`,
    expected: 'reject banned_senders',
  })),
  of('known.example', 10, 'accept', 'domain that is banned unless it passes, and passes'),
  kindOf('domain that is banned unless it passes, and fails', 10, (day) => ({
    client: day.client('plain'),
    from: `${day.unique()}@known.example`,
    expected: 'reject banned_senders',
  })),
  of('fail.example', 40, 'reject spf', 'SPF fail'),
  of('partner.fail.example', 5, 'accept', 'SPF fail of a partner'),
  of('soft.example', 30, 'tag spf', 'SPF softfail'),
  of('refused.soft.example', 5, 'reject spf', 'SPF softfail that the map refuses'),
  of('neutral.example', 10, 'accept', 'SPF neutral'),
  of('wrong.example', 5, 'accept', 'SPF permerror'),
  of('down.example', 5, 'defer spf', 'SPF temperror'),
  kindOf('SPF fail of the HELO name', 5, (day) => ({
    client: { ...day.client('plain'), helo: 'fail-helo.example' },
    from: `${day.unique()}@plain.example`,
    expected: 'reject spf',
  })),
  of('bad.example', 10, 'tag reputation', 'domain with a bad reputation'),
];
