import { number } from '../../options';
import { defineRule } from '../../rule';

export const maxDemerits = defineRule({
  name: 'max_demerits',
  step: 'rcpt',
  always: true,
  doc: 'The client has earned too many demerits in this session, by unknown recipients or a numeric HELO name for instance; what is only tagged earns none. Its address is banned if the mode is `defer` or `reject`.',
  options: {
    max: number('demerits', 3, 1, 1000),
    days: number('how long the address is banned', 1, 1, 3650),
  },
  prepare: ({ max, days }, { bans }) => ({ max, days, bans }),
  check({ client, demerits }, { max }) {
    if (demerits < max) return null;
    return {
      reason: `${demerits} demerits of ${client.address}`,
      reply: 'Too many errors. Mail from your address is not accepted here for some time.',
    };
  },
  async after({ client }, { findings }, { bans, days }) {
    const isBad = findings.some(
      ({ rule, mode }) => rule === 'max_demerits' && (mode === 'defer' || mode === 'reject'),
    );
    if (isBad && client.address !== null) (await bans()).ban(client.address, days);
  },
});
