import { defineRule } from '../../rule';
import { shown } from '../../shown';

/** No host but this one is localhost, and a name that is only a dot is none. */
const IMPOSSIBLE = /^(?:localhost(?:\.localdomain)?\.?|\.?)$/i;

export const ptrLocalhost = defineRule({
  name: 'ptr_localhost',
  step: 'connect',
  doc: 'The PTR record of the client says `localhost`, or nothing but a dot.',
  check({ client }) {
    const name = client.ptr?.find((each) => IMPOSSIBLE.test(each));
    if (name === undefined) return null;
    return {
      reason: `PTR record of ${client.address} is ${shown(name)}`,
      reply: `The PTR record of ${client.address} cannot be right: ${shown(name)}.`,
      detail: '7.25',
    };
  },
});
