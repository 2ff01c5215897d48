import { MilterError } from 'tsmilter';
import type { Transaction } from 'tsmilter/message';
import { checkExt, defang, type MimeMessage } from 'tsmilter/mime';
import { flag, list } from '../../options';
import { defineRule } from '../../rule';
import { shownAll } from '../../shown';

/** Null if it exceeds the limits of tsmilter/mime: nobody knows then what it has. */
async function readContent(message: Transaction): Promise<MimeMessage | null> {
  try {
    return await message.mime();
  } catch (error) {
    if (error instanceof MilterError && error.code === 'ERR_MILTER_MIME_LIMIT') return null;
    throw error;
  }
}

function removeContent(message: Transaction): void {
  message.headers.delete('Content-Transfer-Encoding');
  message.headers.set('Content-Type', 'text/plain');
  message.body = 'The content of this message was removed: it had more parts than can be checked.\r\n';
}

export const dangerousContent = defineRule({
  name: 'dangerous_content',
  step: 'body',
  doc: 'An attachment has a name that harms the computer it is opened on, or HTML has a script. Mode `tag` puts a warning in place of the attachment, and removes the script.',
  clients: ['internal', 'authenticated', 'relay', 'external', 'dynamic'],
  options: {
    extensions: list('extensions that are dangerous as well, without the dot'),
    scan_zip: flag('look at the names in ZIP files', true),
    scan_containers: flag('refuse archives that cannot be opened: RAR, 7z, ISO and others', false),
    scan_html: flag('look for scripts', true),
  },
  prepare: ({ extensions, scan_zip, scan_containers, scan_html }) => ({
    own: new Set(extensions.map((extension) => extension.replace(/^\./, '').toLowerCase())),
    options: { scanZip: scan_zip, scanContainers: scan_containers, scanHtml: scan_html },
  }),
  async check({ message }, { own, options }) {
    const content = await readContent(message);
    if (content === null)
      return {
        reason: 'more parts than can be checked',
        reply: 'Your message has more parts than can be checked.',
        edit: removeContent,
      };
    const names = new Set<string>();
    const check = (name: string) => {
      const isOwn = own.has(name.slice(name.lastIndexOf('.') + 1).toLowerCase());
      const dangerous = isOwn ? name : checkExt(name);
      if (dangerous) names.add(name);
      return dangerous;
    };
    if (!(await defang(content, { ...options, check }))) return null;
    const reason =
      names.size > 0 ? `attachments ${shownAll(names)}` : 'a script, or a file that cannot be opened';
    return {
      reason,
      reply: 'Your message has content that is not accepted here.',
      edit: (edited) => edited.use(content),
    };
  },
});
