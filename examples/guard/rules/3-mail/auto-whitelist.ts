import type { Headers } from 'tsmilter/message';
import { number } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

/** A name that anybody may use says nothing; `policy` is the best guess, for domains without a record. */
const AUTHENTICATED: ReadonlySet<string> = new Set(['pass', 'policy']);
const OURS: ReadonlySet<string> = new Set(['internal', 'authenticated']);

/** Whether a program has sent it: an automatic answer to spam must not make the spammer a correspondent (RFC 3834 5). */
function isAutomatic(headers: Headers): boolean {
  const submitted = headers.get('Auto-Submitted')?.trim().toLowerCase() ?? 'no';
  return submitted !== 'no' || /^\s*(?:bulk|junk|list|auto_reply)\b/i.test(headers.get('Precedence') ?? '');
}

export const autoWhitelist = defineRule({
  name: 'auto_whitelist',
  step: 'mail',
  doc: 'Our own users have written to the sender: it is trusted, if SPF passes (or the best guess does). Bounces and automatic answers make nobody known.',
  clients: ['internal', 'authenticated', 'external', 'dynamic'],
  options: {
    days: number('how long a recipient of our own users is remembered', 60, 1, 3650),
  },
  prepare: ({ days }, { state, internalDomains, report }) => ({
    days,
    known: state.addresses(),
    internalDomains,
    report,
  }),
  async check({ client, message: { sender }, level }, { known, report }) {
    if (OURS.has(client.class) || sender.address === '') return null;
    try {
      if (!(await known.has(sender.address)) || !AUTHENTICATED.has(await level())) return null;
    } catch (error) {
      // Then it is a sender like any other.
      report(`AUTO_WHITELIST does not work: ${(error as Error).message}`);
      return null;
    }
    return { trust: `our users have written to ${shown(sender.address)}` };
  },
  async after({ client, message }, { action }, { known, days, internalDomains }) {
    const isAccepted = action === 'accept' || action === 'tag';
    if (!isAccepted || !OURS.has(client.class) || message.sender.address === '') return;
    if (isAutomatic(message.headers)) return;
    const addresses = [...message.recipients].map(({ address }) => address);
    await known.add(
      addresses.filter((address) => address.includes('@') && !internalDomains.has(address)),
      days,
    );
  },
});
