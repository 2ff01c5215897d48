import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { MboxArchive } from 'tsmilter/archive';
import { number, path } from '../../options';
import { defineRule } from '../../rule';

export const archive = defineRule({
  name: 'archive',
  step: 'end',
  doc: 'All mail that is accepted. Mode `tag` appends it, as it has arrived, to a mailbox file, before the client is told that it is accepted.',
  clients: ['internal', 'authenticated', 'relay', 'external', 'dynamic'],
  options: {
    file: path('the file, in mbox format; a new one is begun each day; empty: no archive'),
    max_size: number('megabytes after which a new file is begun', 1024, 1, 1_048_576),
  },
  async prepare({ file, max_size }) {
    if (file === null) return null;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const mailbox = new MboxArchive(file, { maxBytes: max_size * 2 ** 20 });
    await mailbox.check();
    return mailbox;
  },
  check(_, mailbox) {
    if (mailbox === null) return null;
    return {
      reason: 'goes to the archive',
      reply: 'Your message is not accepted.',
      edit: (message) => mailbox.append(message.source(), { sender: message.sender.address }),
    };
  },
});
