import { number } from '../../options';
import { defineRule, type Outcome } from '../../rule';
import { shown } from '../../shown';

/** Whether a finding says that the message is spam: a honeypot's and a scanner's do, and what a rule about the content holds or refuses. */
function meansSpam({ step, mode, atMost, spam = false }: Outcome['findings'][number]): boolean {
  // What is deferred at most, such as a scanner that does not answer, says nothing about the message.
  if (mode === 'dry-run' || mode === 'defer' || atMost === 'defer') return false;
  return spam || step === 'content' || (step === 'body' && mode !== 'tag');
}

export const reputation = defineRule({
  name: 'reputation',
  step: 'mail',
  doc: 'Most of the last messages of the domain, at the same level of authentication, were spam.',
  suspicion: true,
  options: {
    min_score: number('a score below this is bad: from 0, all was spam, to 100, nothing was', 25, 0, 100),
    min_confidence: number('a score with less confidence than this says nothing, from 0 to 100', 70, 0, 100),
    half_life: number('days after which a message counts half', 30, 1, 3650),
  },
  prepare: ({ min_score, min_confidence, half_life }, { state }) => ({
    min_score,
    min_confidence,
    store: state.reputation({ halfLife: half_life * 86_400_000 }),
  }),
  async check({ client, message: { sender }, level }, { store, min_score, min_confidence }) {
    const name = sender.domain || client.address;
    if (name === null) return null;
    const authenticated = await level();
    const { score, confidence } = await store.score(name, authenticated);
    // The store counts from -100 to 100.
    const share = Math.round((score + 100) / 2);
    if (share >= min_score || confidence < min_confidence) return null;
    return {
      reason: `reputation of ${shown(name)} (${authenticated}) is ${share}, confidence ${Math.round(confidence)}`,
      reply: `Most of the recent mail from ${shown(name)} was spam.`,
    };
  },
  async after({ client, message: { sender }, level }, { action, findings }, { store }) {
    const name = sender.domain || client.address;
    if (name === null || action === 'failed' || action === 'abandoned') return;
    const isSpam = findings.some(meansSpam);
    // A copy or an alias is no suspicion; what a rule finds in dry run is.
    const isHam = (action === 'accept' || action === 'tag') && findings.every(({ step }) => step === 'end');
    if (!isSpam && !isHam) return;
    await store.record(name, await level(), isSpam ? 'spam' : 'ham');
  },
});
