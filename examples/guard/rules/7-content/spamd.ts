import { Spamd } from 'tsmilter/scan';
import { text } from '../../options';
import { withReceived } from '../../received';
import { defineRule } from '../../rule';
import { scanned, scannerAt, scannerOptions } from '../../scanner';
import { shown } from '../../shown';

export const spamd = defineRule({
  name: 'spamd',
  step: 'content',
  doc: 'SpamAssassin calls the message spam.',
  suspicion: true,
  options: {
    ...scannerOptions('127.0.0.1:783'),
    user: text('the user whose preferences and database apply; empty: that of spamd'),
  },
  prepare(options, { report }) {
    const { failure, user } = options;
    const at = scannerAt(options);
    return { scanner: at && new Spamd({ ...at, ...(user !== null && { user }) }), failure, report };
  },
  async check(facts, { scanner, failure, report }) {
    if (scanner === null) return null;
    const scan = async () => {
      const { spam, score, required, rules } = await scanner.check(withReceived(facts), {
        signal: facts.signal,
      });
      if (!spam) return null;
      return {
        reason: `spam, score ${score} of ${required}: ${shown(rules.join(', '))}`,
        reply: 'Your message looks like spam.',
      };
    };
    return scanned(scan, failure, report);
  },
});
