/** Authors whose domain has a DMARC policy: forged, signed, signed and then changed, and passed on by lists. */
import { ArcSealer } from 'tsmilter/arc';
import { DkimSigner } from 'tsmilter/dkim';
import type { Changes, Day, Kind } from './day';
import { kindOf } from './day';
import { type CorpusMail, type Field, messageId } from './mail';
import { keys, SEAL_KEY } from './world';

type Domain = 'bank.example' | 'shop.example' | 'club.example';

/** A message that somebody sends who has no business with the author's domain. */
const forged = (day: Day, author: string, expected: string): Changes => ({
  client: day.client('plain'),
  from: `${day.unique()}@${day.unique()}.forger.example`,
  author,
  expected,
});

async function signed(
  mail: CorpusMail,
  domain: string,
  selector: keyof typeof keys,
  options: { expiresIn?: number; now?: () => number } = {},
): Promise<CorpusMail> {
  const signer = new DkimSigner({ keys: [{ domain, selector, key: keys[selector] }], ...options });
  feed(signer, mail);
  return { ...mail, fields: [...(await signer.eom()), ...mail.fields] };
}

async function sealed(mail: CorpusMail, domain: string): Promise<CorpusMail> {
  const sealer = new ArcSealer({ key: { domain, selector: 's', key: SEAL_KEY } });
  feed(sealer, mail);
  const properties = [{ ptype: 'header', property: 'from', value: 'bank.example' }] as const;
  const { fields } = await sealer.eom({
    arc: { result: 'none', sets: [] },
    authRes: { id: domain, results: [{ method: 'dmarc', result: 'pass', properties }] },
  });
  return { ...mail, fields: [...fields, ...mail.fields] };
}

function feed(
  to: { header(name: string, value: string): void; eoh(): void; body(chunk: Buffer): void },
  { fields, id, body }: CorpusMail,
): void {
  for (const [name, value] of [...fields, messageId(id)]) to.header(name, value);
  to.eoh();
  to.body(Buffer.from(body));
}

const changed = (mail: CorpusMail): CorpusMail => ({ ...mail, body: `${mail.body}-- \r\na footer\r\n` });

/** A newsletter: the sender is a service that the author's domain has given a key. */
const newsletter = (domain: Domain, share: number): Kind => {
  const kind = `newsletter of ${domain}`;
  return {
    kind,
    share,
    make(day) {
      const mail = day.mail(kind, {
        client: day.client('esp'),
        from: `bounce+${day.random.below(1e6)}=${day.unique()}@esp.example`,
        author: `News <news@${day.random.pick(['', 'mail.'])}${domain}>`,
        fields: [['List-Unsubscribe', '<https://esp.example/bye>']],
        expected: 'accept',
      });
      return signed(mail, domain, day.random.pick(['r', 'e'] as const));
    },
  };
};

/** How a signature may be worth nothing. */
const BREAKING: Readonly<Record<string, (mail: CorpusMail, domain: Domain) => Promise<CorpusMail>>> = {
  'a changed body': async (mail, domain) => changed(await signed(mail, domain, 'r')),
  'a changed Subject': async (mail, domain) => {
    const { fields, ...rest } = await signed(mail, domain, 'e');
    const change = ([name, value]: Field): Field => [name, name === 'Subject' ? `${value} now` : value];
    return { ...rest, fields: fields.map(change) };
  },
  'another key': (mail, domain) => signed(mail, domain, 'stolen'),
  'a key that is not in DNS': (mail, domain) => signed(mail, domain, 'gone'),
  'a revoked key': (mail, domain) => signed(mail, domain, 'revoked'),
  'an expired signature': (mail, domain) =>
    signed(mail, domain, 'r', { expiresIn: 60, now: () => Date.now() - 86_400_000 }),
  'the signature of another domain': (mail) => signed(mail, 'club.example', 'r'),
};

const broken = (domain: Domain, share: number, expected: string): Kind => {
  const kind = `broken signature of ${domain}`;
  return {
    kind,
    share,
    make(day) {
      const how = day.random.pick(Object.keys(BREAKING));
      const mail = day.mail(`${kind}: ${how}`, forged(day, `service@${domain}`, expected));
      return (BREAKING[how] as (typeof BREAKING)[string])(mail, domain);
    },
  };
};

/** A list that has changed a signed message, and says that it was right when it came. */
const passedOn = (sealer: string, share: number, expected: string): Kind => {
  const kind = `list that changes mail, sealed by ${sealer}`;
  return {
    kind,
    share,
    async make(day) {
      const mail = day.mail(kind, {
        client: day.client('lists'),
        from: `talk-bounces+${day.unique()}@lists.example`,
        author: 'member@bank.example',
        expected,
      });
      return sealed(changed(await signed(mail, 'bank.example', 'r')), sealer);
    },
  };
};

export const authors: readonly Kind[] = [
  newsletter('shop.example', 60),
  newsletter('bank.example', 40),
  newsletter('club.example', 20),
  kindOf('mail of a bank from its own servers', 15, (day) => ({
    client: day.client('bank'),
    from: `${day.unique()}@bank.example`,
    expected: 'accept',
  })),
  kindOf('forged author, p=reject', 30, (day) => forged(day, 'service@bank.example', 'reject dmarc')),
  kindOf('forged author below a domain with p=reject', 10, (day) =>
    forged(day, `service@${day.unique()}.bank.example`, 'reject dmarc'),
  ),
  kindOf('forged author, p=quarantine', 20, (day) => forged(day, 'orders@shop.example', 'quarantine dmarc')),
  kindOf('forged author, p=none', 15, (day) => forged(day, 'member@club.example', 'accept')),
  kindOf('forged display name', 10, (day) => ({
    author: `"service@bank.example" <${day.unique()}@friend.example>`,
    expected: 'accept',
  })),
  broken('bank.example', 30, 'reject dmarc'),
  broken('shop.example', 15, 'quarantine dmarc'),
  passedOn('lists.example', 15, 'accept'),
  passedOn('otherlists.example', 10, 'reject dmarc'),
];
