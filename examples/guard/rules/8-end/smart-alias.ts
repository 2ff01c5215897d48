import { AddressList } from 'tsmilter/lists';
import { ConfigError } from '../../../shared/config-error';
import { readMailboxes } from '../../mailboxes';
import type { Option, ReadContext } from '../../options';
import { defineRule } from '../../rule';
import { shown, shownAll } from '../../shown';

/** Mail of a sender to a recipient goes to others. */
interface Alias {
  readonly senders: AddressList;
  readonly recipients: AddressList;
  readonly to: readonly string[];
}

async function aliasOf(line: string, { resources }: ReadContext): Promise<Alias> {
  // A name with a slash or a colon would be a file or a level to the list.
  const [, sender, recipient, to = ''] = /^([^\s:/]+)\s+([^\s:/]+)\s*:(.*)$/.exec(line) ?? [];
  const targets = readMailboxes(to);
  if (sender === undefined || recipient === undefined || targets.length === 0)
    throw new ConfigError(`${line} is not of the form: sender recipient: new-recipient`);
  const open = async (entry: string) => {
    const list = await AddressList.open([entry]);
    resources.add(() => list.close());
    return list;
  };
  return { senders: await open(sender), recipients: await open(recipient), to: targets };
}

const aliases: Option<readonly Alias[]> = {
  doc: 'a line for each pair: sender, recipient, a colon, and who gets the mail in place of the recipient: `@partner.example bob@example.com: ann@example.com`',
  fallback: '',
  async read(value, context) {
    const lines = value.split('\n').map((line) => line.trim());
    const found: Alias[] = [];
    for (const line of lines) if (line !== '') found.push(await aliasOf(line, context));
    return found;
  },
};

export const smartAlias = defineRule({
  name: 'smart_alias',
  step: 'end',
  doc: 'Mail of this sender to this recipient is meant for others. Mode `tag` sends it to them; the first pair that fits a recipient counts.',
  clients: ['internal', 'authenticated', 'relay', 'external', 'dynamic'],
  options: { aliases },
  check({ message: { sender, recipients } }, { aliases: pairs }) {
    const ofSender = pairs.filter(({ senders }) => senders.has(sender.address));
    const found = [...recipients].flatMap((recipient) => {
      const pair = ofSender.find(({ recipients: meant }) => meant.has(recipient.address));
      return pair ? [{ recipient, to: pair.to }] : [];
    });
    const [first] = found;
    if (first === undefined) return null;
    const more = found.length > 1 ? ` and ${found.length - 1} more recipients` : '';
    return {
      reason: `${shown(first.recipient.address)} to ${shownAll(first.to)}${more}`,
      reply: 'Your message is not accepted.',
      edit: (message) => {
        // All at once: who gets the mail of another recipient may have given up mail of his own.
        const targets = new Set(found.flatMap(({ to }) => to));
        for (const { recipient } of found)
          if (!targets.has(recipient.address)) message.recipients.delete(recipient);
        for (const address of targets) message.recipients.add(address);
      },
    };
  },
});
