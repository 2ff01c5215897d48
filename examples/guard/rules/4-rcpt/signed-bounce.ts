import { Srs } from 'tsmilter/srs';
import { ConfigError } from '../../../shared/config-error';
import { readSecrets } from '../../../shared/secrets';
import { untagged } from '../../mailboxes';
import { addresses, number, type Option, text } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

/** The secrets of SRS, the newest first, which nobody else may read. */
const secrets: Option<readonly string[]> = {
  doc: 'file with the secrets of SRS, one in each line, the newest first; `#` begins a comment; readable for the filter only',
  fallback: '',
  read: (name, context) => (name === '' ? [] : readSecrets(context.watch(name))),
};

export const signedBounce = defineRule({
  name: 'signed_bounce',
  step: 'rcpt',
  doc: 'A bounce to somebody whose mail has always left with a signed sender (SRS), but without a signature; or any mail to a forged or expired signature.',
  clients: ['external', 'dynamic', 'relay'],
  options: {
    secrets_file: secrets,
    domain: text('the domain of signed senders'),
    max_age: number('days for which a signature is valid', 21, 1, 512),
    signed: addresses('domains and users whose mail leaves signed: bounces to them need a signature'),
  },
  prepare({ secrets_file, domain, max_age, signed }, { signatures }) {
    const hasSecrets = secrets_file.length > 0;
    if (hasSecrets !== (domain !== null)) throw new ConfigError('secrets_file and domain need each other');
    const srs = domain === null ? null : new Srs({ secrets: secrets_file, domain, maxAge: max_age });
    if (srs !== null)
      signatures.push((address) => ['ok', 'expired'].includes(srs.reverse(`<${address}>`).result));
    return { srs, signed };
  },
  check({ message: { sender }, recipient: { address } }, { srs, signed }) {
    if (srs === null) return null;
    const { result } = srs.reverse(`<${address}>`);
    if (result === 'forged' || result === 'expired')
      return {
        reason: `${result} signature ${shown(address)}`,
        reply: `The signature of ${shown(address)} is ${result}.`,
        detail: '1.1',
        demerits: 1,
      };
    if (result === 'ok' || sender.address !== '' || !signed.has(untagged(address))) return null;
    return {
      reason: `bounce to ${shown(address)} without a signature`,
      reply: `${shown(address)} has not sent the mail that you return: its sender would have been signed.`,
      demerits: 1,
    };
  },
});
