import { ArcVerifier, mayBeTrusted } from 'tsmilter/arc';
import { DkimVerifier } from 'tsmilter/dkim';
import { checkDmarc, type DmarcResult } from 'tsmilter/dmarc';
import type { MessageFacts } from '../../facts';
import { addresses, choice, list } from '../../options';
import { defineRule, type Mode } from '../../rule';
import { shown } from '../../shown';

/** Asks for the author's domain: its signatures, SPF, and whether a forwarder we trust has vouched for them. */
async function evaluate(
  { message, dns, freshDns, authentication }: MessageFacts,
  trustedSealers: readonly string[],
  isExempt: (domain: string) => boolean,
): Promise<DmarcResult> {
  const verifier = new DkimVerifier({ resolver: dns, leadingSpace: true });
  const arc = new ArcVerifier(verifier);
  for (const field of message.headers) verifier.header(field.name, field.wire);
  verifier.eoh();
  for await (const chunk of message.body.stream()) verifier.body(chunk);
  const [dkim, chain, { sender: spf }] = await Promise.all([verifier.eom(), arc.eom(), authentication()]);
  const from = message.headers.fields('From').map(({ unfolded }) => unfolded);
  const found = await checkDmarc(
    { from, dkim, arc: chain, ...(spf && { spf }) },
    {
      resolver: freshDns(),
      trustedSealers,
      // Here, not of the result: that one of several authors is exempt says nothing of the others.
      localPolicy: ({ domain = '' }) =>
        isExempt(domain) ? { disposition: 'none', type: 'local_policy', comment: 'exempt' } : undefined,
    },
  );
  if (found.result !== 'fail' || found.disposition === 'none') return found;
  // Were the chain known, it might be a reason to let the message through.
  const isInDoubt = chain.result === 'temperror' && mayBeTrusted(chain, trustedSealers);
  return isInDoubt ? { ...found, result: 'temperror', reason: `ARC: ${chain.reason}` } : found;
}

const AT_MOST = { quarantine: 'quarantine', reject: 'reject' } as const satisfies Record<string, Mode>;

const NO_AUTHOR = ['continue', 'tag', 'quarantine', 'defer', 'reject'] as const;

export const dmarc = defineRule({
  name: 'dmarc',
  step: 'body',
  doc: 'The domain of the From field asks that this message be held or refused (DMARC): neither SPF nor DKIM shows that it is the author. Its policy is the most severe effect.',
  options: {
    trusted_sealers: list('domains whose ARC seals count: forwarders and mailing lists that we trust'),
    exempt: addresses('author domains whose policy is not followed'),
    no_author: choice(
      'what a message does, at most, if its From has not exactly one domain that can be asked: none, one that no program can read, or several, none of whose policies it fails; authors of several domains are legal, but most such messages are abusive, and RFC 9989 11.5 allows refusing them',
      NO_AUTHOR,
      'reject',
    ),
  },
  async check(facts, { trusted_sealers, exempt, no_author }) {
    const evaluated = await evaluate(facts, trusted_sealers, (domain) => exempt.has(`postmaster@${domain}`));
    const { result, disposition, reason = result, domain = '', policyDomain = domain } = evaluated;
    if (result === 'temperror')
      return {
        reason: `DMARC temperror of ${shown(domain)}: ${reason}`,
        reply: `DNS does not tell at present whether your message is from ${shown(domain)} (DMARC).`,
        detail: '4.3',
        atMost: 'defer',
      };
    if (result === 'permerror') {
      // Its reader may be shown whoever is in it. That a well-formed message has an author, RFC 5322 3.6.2 demands; several of them it
      // allows, but most of such messages are abusive (RFC 9989 11.5). Where one of their domains has a policy that the message fails,
      // the result is not permerror but fail.
      if (no_author === 'continue') return null;
      return {
        reason: `DMARC permerror: ${reason}`,
        reply: 'The From field of your message must name one author, by an address with a domain.',
        atMost: no_author,
      };
    }
    if (result !== 'fail' || disposition === 'none') return null;
    return {
      reason: `DMARC fail of ${shown(domain)}, p=${disposition}`,
      reply: `${shown(policyDomain)} asks that mail which it has not authenticated be refused (DMARC).`,
      atMost: AT_MOST[disposition],
    };
  },
});
