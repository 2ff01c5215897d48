/** The sample filter (examples/sample.ts), with a message for each of its decisions. */
import type { Demonstration } from './demonstration';
import { headersOf, INVOICE, type Sample } from './messages';

const samples: readonly Sample[] = [
  {
    title: 'A clean message',
    headers: headersOf('Lunch'),
    body: ['Hello Bob,', '', 'at noon?', '', 'Alice'],
    judge({ accepted, delivered }) {
      if (!accepted || !delivered?.includes('at noon?'))
        throw new Error('the clean message was not delivered');
      return 'delivered as it was sent';
    },
  },
  {
    title: 'A subject that looks like spam',
    headers: headersOf('FREE money'),
    body: ['Click here.'],
    judge({ accepted, delivered, dialogue }) {
      if (accepted || delivered !== null) throw new Error('the spam was not rejected');
      if (!dialogue.some((line) => line.includes('typical of spam')))
        throw new Error("the reply does not have the filter's text");
      return "rejected with the filter's text; nothing was delivered";
    },
  },
  INVOICE,
];

export const sample: Demonstration = {
  samples,
  program: 'sample.js',
  needsMta: false,
  sessionEnd: /close/,
  prepare: async (socket) => [socket],
  close: async () => {},
};
