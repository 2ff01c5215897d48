/** What became of a message, in the words in which the corpus expects it: from what the client was told, and what was delivered. */
import type { Reply, SinkMessage } from '../../../../tools/mta';
import { headersOf } from '../view';
import type { CorpusMail } from './mail';
import { ALIAS, COPY } from './world';

/** What each rule says to a client; of two that fit, the first. */
const SAYS: readonly (readonly [rule: string, says: RegExp])[] = [
  ['banned_ips', /7\.1 Mail from 127\.0\.\d+\.\d+ is not accepted here/],
  ['ptr_localhost', /7\.25 The PTR record of/],
  ['dnsbl', /7\.1 127\.0\.7\.\d is listed by bl\.test/],
  ['helo_missing', /7\.1 Please say HELO first/],
  ['helo_numeric', /7\.1 HELO "[^"]*" is not a name/],
  ['helo_own_name', /7\.1 You are not "/],
  ['internal_sender', /7\.1 "[^"]*" is not a domain of ours/],
  ['internal_null_sender', /7\.1 Only mail servers send bounces/],
  ['auth_sender', /7\.1 "[^"]*" may not send mail as "/],
  ['spoofed_sender', /7\.1 Mail from "[^"]*" comes from our own servers only/],
  ['banned_senders', /7\.1 Mail from "[^"]*" is not accepted here/],
  ['spf', /(?:7\.23|7\.1|4\.3) SPF \w+ of /],
  ['max_demerits', /7\.1 Too many errors/],
  ['private_relay', /7\.2 "[^"]*" does not get mail from outside/],
  ['signed_bounce', /1\.1 The signature of |7\.1 "[^"]*" has not sent the mail that you return/],
  ['honeypot', /1\.1 "trap@dest\.test" is not known here/],
  ['known_users', /1\.1 "[^"]*" is not known here/],
  ['greylist', /7\.1 Greylisted/],
  ['dmarc', /7\.1 "[^"]*" asks that mail which it has not authenticated be refused/],
];

/** The refusal of a recipient or of a message. */
export function refusalOf({ code, text }: Reply): string {
  // Sendmail puts the recipient before what the filter says.
  const said = text.replaceAll(/<[^>]*>\.\.\. /g, '');
  const rule = SAYS.find(([, says]) => says.test(said))?.[0] ?? `by nobody we know: ${code} ${text}`;
  return `${code === 550 ? 'reject' : code === 451 ? 'defer' : code} ${rule}`;
}

/** Where messages of the corpus have arrived. */
export interface Arrived {
  /** By the id of the message. */
  readonly delivered: ReadonlyMap<string, readonly SinkMessage[]>;
  /** What quarantines hold, as text. */
  readonly held: readonly string[];
  /** The log of the filter. */
  readonly log: string;
}

/** The fate of a message that the MTA has accepted, for these recipients. */
export function fateOf(mail: CorpusMail, accepted: readonly string[], arrived: Arrived): string {
  const found = arrived.delivered.get(mail.id) ?? [];
  const holds = arrived.held.filter((text) => text.includes(`<${mail.id}@`)).length;
  if (holds === 1 && found.length === 0) return `quarantine ${heldFor(mail, arrived)}`;
  const [message] = found;
  if (message === undefined || found.length > 1 || holds > 0)
    return `delivered ${found.length} times, held ${holds} times`;
  const marks = [
    ...fieldMarks(mail, message),
    ...recipientMarks(message, accepted),
    ...bodyMarks(mail, message),
  ];
  return marks.length === 0 ? 'accept' : `tag ${marks.toSorted().join('+')}`;
}

/** The rule, of which Postfix keeps no record; senders of such mail send no other. */
function heldFor({ from }: CorpusMail, { log }: Arrived): string {
  const session = log.match(new RegExp(`\\[(\\d+)\\] MAIL from "${from}"`))?.[1];
  const rules = [...log.matchAll(new RegExp(`\\[${session}\\] (\\w+) quarantine:`, 'g'))].map(
    ([, rule]) => rule,
  );
  return rules.join('+').toLowerCase();
}

function fieldMarks({ fields }: CorpusMail, message: SinkMessage): string[] {
  const delivered = headersOf(message);
  const marks = delivered.flatMap((field) => /^X-Guard: (\w+)/.exec(field)?.[1] ?? []);
  if (delivered.some((field) => field.startsWith('Sender:'))) marks.push('supply_sender');
  // No other field of the message is lost or changed.
  const text = delivered.map((field) => field.replaceAll(/\s+/g, ' '));
  for (const [name, value] of fields) {
    if (name !== 'X-Guard' && !text.includes(`${name}: ${value}`.replaceAll(/\s+/g, ' ')))
      marks.push(`lost ${name}`);
  }
  return marks;
}

function recipientMarks({ rcptTo }: SinkMessage, accepted: readonly string[]): string[] {
  const got = rcptTo.map(({ address }) => address.toLowerCase());
  const sent = accepted.map((address) => address.toLowerCase());
  const added = got.filter((address) => !sent.includes(address));
  const lost = sent.filter((address) => !got.includes(address));
  const changes = `${lost.join()}>${added.join()}`;
  if (changes === '>') return [];
  if (changes === `${ALIAS.to}>${ALIAS.instead}`) return ['smart_alias'];
  return [changes === `>${COPY.copy}` ? 'blind_copy' : `recipients ${changes}`];
}

function bodyMarks({ body, danger }: CorpusMail, { text }: SinkMessage): string[] {
  const delivered = text.slice(text.indexOf('\r\n\r\n') + 4);
  if (delivered === body) return [];
  const isHarmless = danger !== undefined && !`${delivered}${readable(delivered)}`.includes(danger);
  return [isHarmless ? 'dangerous_content' : 'another body'];
}

/** The body with the base64 in it decoded. */
const readable = (body: string): string =>
  body.replaceAll(/(?:^[A-Za-z\d+/]{4,76}={0,2}\r?\n)+/gm, (text) =>
    Buffer.from(text, 'base64').toString('latin1'),
  );
