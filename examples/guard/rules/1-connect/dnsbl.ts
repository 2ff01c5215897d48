import { checkIp, type DnsblList, type DnsblResolver, knownCodes } from 'tsmilter/dnsbl';
import { ConfigError } from '../../../shared/config-error';
import { list, type Option } from '../../options';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

const CODES = new Map(Object.entries(knownCodes));

/** `bl.example`, or `zen.spamhaus.org zen` for a list with the codes of Spamhaus. */
function listOf(entry: string): DnsblList {
  const [zone = '', code, ...more] = entry.split(/\s+/);
  if (code === undefined) return { zone };
  const codes = CODES.get(code);
  if (codes === undefined || more.length > 0)
    throw new ConfigError(`${entry} is not a zone, or a zone and one of ${[...CODES.keys()].join(', ')}`);
  return { zone, codes };
}

/** Has no records. */
const NOTHING: DnsblResolver = { resolve4: async () => [], resolveTxt: async () => [] };

const zones = list(
  'zones of lists; behind a zone, `zen` says that its answers mean what those of Spamhaus mean',
);

const lists: Option<readonly DnsblList[]> = {
  ...zones,
  async read(value, context) {
    const found = (await zones.read(value, context)).map(listOf);
    await checkIp('127.0.0.2', found, { dns: NOTHING }); // checks them
    return found;
  },
};

export const dnsbl = defineRule({
  name: 'dnsbl',
  step: 'connect',
  doc: 'The address of the client is on a list in DNS.',
  suspicion: true,
  options: { lists },
  prepare: ({ lists }, { report }) => ({ lists, report }),
  async check({ client, dns }, { lists, report }) {
    if (client.address === null || lists.length === 0) return null;
    const { listings, failures } = await checkIp(client.address, lists, { dns });
    for (const { zone, error } of failures) report(`DNSBL ${zone} cannot be used: ${error.message}`);
    const [found] = listings;
    if (found === undefined) return null;
    return {
      reason: `${client.address} is on ${listings.map(({ zone, meanings }) => `${zone} (${meanings.join(', ')})`).join(', ')}`,
      reply: `${client.address} is listed by ${found.zone}: ${shown(found.meanings.join(', '))}.`,
      demerits: 1,
    };
  },
});
