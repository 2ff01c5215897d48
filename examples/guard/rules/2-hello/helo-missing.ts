import { defineRule } from '../../rule';

export const heloMissing = defineRule({
  name: 'helo_missing',
  step: 'hello',
  doc: 'The client has not said HELO before MAIL.',
  check({ helo }) {
    if (helo !== null) return null;
    return { reason: 'no HELO', reply: 'Please say HELO first.', demerits: 1 };
  },
});
