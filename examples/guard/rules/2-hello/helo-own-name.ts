import { addresses, flag } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

const plain = (name: string) => name.toLowerCase().replace(/\.$/, '');

export const heloOwnName = defineRule({
  name: 'helo_own_name',
  step: 'hello',
  doc: 'The client calls itself by a name of ours.',
  options: {
    names: addresses('names that no client from outside may use, besides the name of this host'),
    internal_domains: flag('whether our domains, `internal_domains`, are such names too', true),
  },
  prepare: (options, { internalDomains }) => ({ ...options, internalDomains }),
  check({ helo, host }, { names, internal_domains, internalDomains }) {
    if (helo === null || helo === '') return null;
    const isOwn =
      plain(helo) === plain(host) || names.has(helo) || (internal_domains && internalDomains.has(helo));
    if (!isOwn) return null;
    return { reason: `HELO ${shown(helo)} is ours`, reply: `You are not ${shown(helo)}.`, demerits: 1 };
  },
});
