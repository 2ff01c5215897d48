/** The production filter (examples/guard.ts), with a DNS server of its own and a message for each of six decisions. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DnsServer, type Zone } from '../../tools/dns-server';
import type { Demonstration } from './demonstration';
import { headersOf, INVOICE, type Outcome, type Sample } from './messages';

/** Alice's server, and one that has no name in DNS. */
const SERVER = '127.0.2.1';
const NAMELESS = '127.0.3.1';

const zone: Zone = {
  '1.2.0.127.in-addr.arpa': { PTR: ['mail.client.example'] },
  'client.example': { TXT: [`v=spf1 ip4:${SERVER} -all`] },
  'bank.example': { TXT: ['v=spf1 -all'] },
  '_dmarc.bank.example': { TXT: ['v=DMARC1; p=reject'] },
};

const configurationOf = (socket: string, dns: string) => `[milter]
socketname = ${socket}
umask = 0111
state = sqlite:state
directory = files

[clients]
internal_domains = example.com

[dns]
nameservers = ${dns}

[spf]
mode = reject

[banned_senders]
mode = reject
senders = @spam.example

[signed_bounce]
mode = reject
secrets_file = srs-secret
domain = example.com
signed = @example.com

[greylist]
mode = defer
clients = dynamic
delay = 0

[dmarc]
mode = reject

[dangerous_content]
mode = tag
`;

/** Throws unless the message was refused with this reply. */
function expectRefused({ accepted, delivered, dialogue }: Outcome, reply: RegExp): void {
  if (accepted || delivered !== null) throw new Error('the message was accepted');
  if (!dialogue.some((line) => reply.test(line))) throw new Error(`no reply like ${reply}`);
}

const samples: readonly Sample[] = [
  {
    title: 'A clean message',
    at: SERVER,
    headers: headersOf('Lunch'),
    body: ['Hello Bob,', '', 'at noon?', '', 'Alice'],
    judge({ accepted, delivered }) {
      if (!accepted || !delivered?.includes('at noon?') || delivered.includes('X-Guard'))
        throw new Error('the clean message was not delivered as it was');
      return 'delivered as it was sent';
    },
  },
  {
    title: 'A forged author',
    at: SERVER,
    headers: headersOf('Your account').map(([name, value]) =>
      name === 'From' ? [name, 'Your bank <service@bank.example>'] : [name, value],
    ),
    body: ['Please tell us your password.'],
    judge(outcome) {
      expectRefused(outcome, /^S: 550 5\.7\.1 "bank\.example" asks/);
      return 'SPF passes for the sender, but the author is another one: refused as bank.example asks for (DMARC)';
    },
  },
  {
    title: 'A spoofed bounce',
    at: SERVER,
    from: '',
    headers: headersOf('Undelivered mail'),
    body: ['Your message could not be delivered. Open the attachment.'],
    judge(outcome) {
      expectRefused(outcome, /^S: 550 5\.7\.1 .*has not sent the mail that you return/);
      return 'our mail leaves with a signed sender, to which a bounce would have come back: refused';
    },
  },
  { ...INVOICE, at: SERVER },
  {
    title: 'A banned domain',
    at: SERVER,
    from: 'offers@spam.example',
    headers: headersOf('Offers'),
    body: ['Buy now.'],
    judge(outcome) {
      expectRefused(outcome, /^S: 550 5\.7\.1 .*is not accepted here/);
      return 'refused before its first byte';
    },
  },
  {
    title: 'A server without a name: greylisted, then retried',
    at: NAMELESS,
    helo: 'small.example',
    from: 'joe@small.example',
    attempts: 2,
    headers: headersOf('Hello'),
    body: ['I have moved to a server of my own.'],
    judge({ accepted, delivered, dialogue }) {
      if (!dialogue.some((line) => /^S: 451 4\.7\.1 .*Greylisted/.test(line)))
        throw new Error('the first attempt was not deferred');
      if (!accepted || delivered === null) throw new Error('the second attempt was not accepted');
      return 'deferred at first, and delivered at the second attempt';
    },
  },
];

let dns: DnsServer | undefined;

export const guard: Demonstration = {
  samples,
  program: 'guard.js',
  needsMta: true,
  sessionEnd: /\] (?:ACCEPT|TAG|QUARANTINE) message|\] (?:REJECT|DEFER) \w+:/,
  async prepare(socket, dir) {
    dns = await DnsServer.start(zone);
    writeFileSync(join(dir, 'srs-secret'), 'a secret of this demonstration\n', { mode: 0o600 });
    const file = join(dir, 'guard.cfg');
    writeFileSync(file, configurationOf(socket, dns.address));
    return [file];
  },
  async close() {
    await dns?.close();
  },
};
