/** Mail with the null sender: real bounces, spoofed ones, and programs that answer by themselves. */
import { Srs } from 'tsmilter/srs';
import { type Changes, type Day, type Kind, kindOf } from './day';
import { SIGNED, SRS } from './world';

const signed = (secret: string) => (day: Day) => {
  const srs = new Srs({ secrets: [secret], domain: SRS.domain });
  return srs.forward(`<${day.unique()}@other.example>`).slice(1, -1);
};
const ours = signed(SRS.secret);
const guessed = signed('a guess');

const bounce = (day: Day, to: string, expected: string): Changes => ({
  from: '',
  author: `mailer-daemon-${day.unique()}@friend.example`,
  to: [to],
  subject: 'Undelivered Mail Returned to Sender',
  fields: [['Auto-Submitted', 'auto-replied']],
  expected,
});

export const bounces: readonly Kind[] = [
  kindOf('bounce of mail that we have sent', 20, (day) => bounce(day, ours(day), 'accept')),
  kindOf('bounce to a forged signature', 15, (day) => bounce(day, guessed(day), 'reject signed_bounce')),
  kindOf('mail of a sender to a forged signature', 5, (day) => ({
    to: [guessed(day)],
    expected: 'reject signed_bounce',
  })),
  kindOf('spoofed bounce', 40, (day) => bounce(day, SIGNED, 'reject signed_bounce')),
  kindOf('ordinary mail to a user whose mail is signed', 10, () => ({ to: [SIGNED], expected: 'accept' })),
  kindOf('vacation notice', 20, (day) => ({
    ...bounce(day, day.user(), 'accept'),
    subject: `Auto: ${day.words(3)}`,
  })),
];
