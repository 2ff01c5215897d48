import { Rspamd, type RspamdAction } from 'tsmilter/scan';
import { defineRule, type Mode } from '../../rule';
import { scanned, scannerAt, scannerOptions } from '../../scanner';
import { shown } from '../../shown';

/** The most severe effect of what rspamd advises; of other advice, which administrators may invent, it is a field. */
const AT_MOST: Readonly<Record<RspamdAction, Mode>> = {
  'no action': 'off',
  // Only says that greylisting would be worth while; rspamd asks for a delay by a soft reject.
  greylist: 'off',
  'add header': 'tag',
  'rewrite subject': 'tag',
  quarantine: 'quarantine',
  'soft reject': 'defer',
  reject: 'reject',
  // A sender who is wrongly suspected must learn of it.
  discard: 'reject',
};

const atMostOf = (action: RspamdAction): Mode =>
  Object.hasOwn(AT_MOST, action) ? (AT_MOST[action] as Mode) : 'tag';

export const rspamd = defineRule({
  name: 'rspamd',
  step: 'content',
  doc: 'rspamd advises against the message. Its action is the most severe effect: a field for `add header`, a delay for `soft reject`, a rejection for `reject`.',
  suspicion: true,
  options: scannerOptions('127.0.0.1:11333'),
  prepare(options, { resources, report }) {
    const at = scannerAt(options);
    const scanner = at && new Rspamd(at);
    resources.add(() => scanner?.close());
    return { scanner, failure: options.failure, report };
  },
  async check({ client, helo, message, signal }, { scanner, failure, report }) {
    if (scanner === null) return null;
    const envelope = {
      ip: client.address,
      hostname: client.name,
      helo,
      from: message.sender.address,
      rcpt: [...message.recipients].map(({ address }) => address),
      user: message.auth?.user ?? null,
      queueId: message.queueId,
      signal,
    };
    const scan = async () => {
      const { action, score, required, symbols, reply } = await scanner.check(message.source(), envelope);
      const atMost = atMostOf(action);
      if (atMost === 'off') return null;
      const names = symbols.map(({ name }) => name).join(', ');
      return {
        reason: `${shown(action)}, score ${score} of ${required}: ${shown(names)}`,
        reply: reply === null ? 'Your message looks like spam.' : shown(reply),
        atMost,
      };
    };
    return scanned(scan, failure, report);
  },
});
