import { isIP } from 'node:net';
import { defineRule } from '../../rule';
import { shown } from '../../shown';

export const heloNumeric = defineRule({
  name: 'helo_numeric',
  step: 'hello',
  doc: 'The client calls itself by an address without brackets, which is no name (RFC 5321 4.1.3).',
  check({ helo }) {
    if (helo === null || (isIP(helo) === 0 && !/^[\d.]+$/.test(helo))) return null;
    return {
      reason: `HELO ${shown(helo)} is a number`,
      reply: `HELO ${shown(helo)} is not a name. A mail server says its name, or its address in brackets.`,
      demerits: 1,
    };
  },
});
