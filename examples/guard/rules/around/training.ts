import { readPrivateFile } from 'tsmilter/config';
import { Rspamd, ScanError, Spamd } from 'tsmilter/scan';
import type { MessageFacts } from '../../facts';
import { number, type Option, text } from '../../options';
import { withReceived } from '../../received';
import { defineRule } from '../../rule';
import { address } from '../../scanner';
import { shown } from '../../shown';

/** A password that nobody else may read; null if there is none. */
const password: Option<string | null> = {
  doc: "file with the password of rspamd's controller; readable for the filter only",
  fallback: '',
  read: async (name, context) =>
    name === '' ? null : (await readPrivateFile(context.watch(name))).toString('utf8').trim(),
};

export const training = defineRule({
  name: 'training',
  step: 'around',
  doc: 'Teaches scanners what is spam for certain, whatever becomes of it: mail to a `honeypot`, if it arrives as a whole (`read_message`).',
  options: {
    spamd: address('127.0.0.1:783'),
    spamd_user: text('the user whose database learns; empty: that of spamd, which needs `--allow-tell`'),
    rspamd: address('127.0.0.1:11334'),
    rspamd_password_file: password,
    max_time: number('seconds for one message and scanner; the client waits so long', 10, 1, 300),
  },
  prepare({ spamd, spamd_user, rspamd, rspamd_password_file, max_time }, { resources, report, mode }) {
    const timeout = max_time * 1000;
    const clients: [name: string, learn: (facts: MessageFacts) => Promise<boolean>][] = [];
    if (spamd !== null) {
      const client = new Spamd({ ...spamd, timeout, ...(spamd_user !== null && { user: spamd_user }) });
      clients.push(['spamd', (facts) => client.learn(withReceived(facts), 'spam', { signal: facts.signal })]);
    }
    if (rspamd !== null) {
      const client = new Rspamd({
        ...rspamd,
        timeout,
        ...(rspamd_password_file !== null && { password: rspamd_password_file }),
      });
      resources.add(() => client.close());
      clients.push(['rspamd', ({ message, signal }) => client.learn(message.source(), 'spam', { signal })]);
    }
    return { clients, report, isDryRun: mode === 'dry-run' };
  },
  async after(facts, { whole, findings }, { clients, report, isDryRun }) {
    if (!whole || !findings.some(({ spam, mode }) => spam && mode !== 'dry-run')) return;
    const what = `a message of ${shown(facts.message.sender.address)}`;
    for (const [name, learn] of clients) {
      if (isDryRun) {
        report(`TRAINING dry-run: ${name} would learn ${what}`);
        continue;
      }
      try {
        const isNew = await learn(facts);
        report(`TRAINING ${name} ${isNew ? 'has learned' : 'knew'} ${what}`);
      } catch (error) {
        // What is not learned is no reason to treat the message in another way.
        if (!(error instanceof ScanError)) throw error;
        report(`TRAINING ${name} has not learned ${what}: ${shown(error.message)}`);
      }
    }
  },
});
