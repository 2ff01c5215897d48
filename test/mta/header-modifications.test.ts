// addheader, insheader and chgheader as they show in the message that is delivered. Where the two MTAs understand the
// same request differently, the table says what each makes of it.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectThat } from '../support/expect';
import { type Call, kinds, MtaFixture } from './support/mta-fixture';
import { forMta, headerLine, type PerMta } from './support/view';

/** What eom calls, and which headers are delivered. */
type Case = readonly [title: string, calls: readonly Call[], delivered: PerMta<string>];

const threeHeaders = ['X-One: a', 'X-Two: b', 'X-One: c'];
const head = 'Received | From | To | Date';

const cases: Case[] = [
  ['nothing', [], `${head} | X-One: a | X-Two: b | X-One: c | Message-Id`],

  // addheader
  [
    'addheader appends',
    [['addheader', 'X-New', 'value']],
    `${head} | X-One: a | X-Two: b | X-One: c | Message-Id | X-New: value`,
  ],
  [
    'addheader of one name twice: Sendmail puts the second before the first',
    [
      ['addheader', 'X-New', '1'],
      ['addheader', 'X-New', '2'],
    ],
    {
      sendmail: `${head} | X-One: a | X-Two: b | X-One: c | Message-Id | X-New: 2 | X-New: 1`,
      postfix: `${head} | X-One: a | X-Two: b | X-One: c | Message-Id | X-New: 1 | X-New: 2`,
    },
  ],
  [
    'addheader of a name that is there: Sendmail puts it before the first of them',
    [['addheader', 'X-One', 'new']],
    {
      sendmail: `${head} | X-One: new | X-One: a | X-Two: b | X-One: c | Message-Id`,
      postfix: `${head} | X-One: a | X-Two: b | X-One: c | Message-Id | X-One: new`,
    },
  ],
  [
    'addheader with a fold',
    [['addheader', 'X-New', 'one\n\ttwo\n  three']],
    `${head} | X-One: a | X-Two: b | X-One: c | Message-Id | X-New: one\n\ttwo\n  three`,
  ],
  [
    'addheader with a fold that is written as CRLF: the same fold',
    [['addheader', 'X-New', 'one\r\n two']],
    `${head} | X-One: a | X-Two: b | X-One: c | Message-Id | X-New: one\n two`,
  ],
  [
    'addheader without a value',
    [['addheader', 'X-Empty', '']],
    `${head} | X-One: a | X-Two: b | X-One: c | Message-Id | X-Empty: `,
  ],

  // insheader
  [
    'insert at 0: above the MTA\u2019s own Received',
    [['addheader', 'X-New', 'v', 0]],
    `X-New: v | ${head} | X-One: a | X-Two: b | X-One: c | Message-Id`,
  ],
  [
    'insert at 0 twice: the second is above the first',
    [
      ['addheader', 'X-New', '1', 0],
      ['addheader', 'X-New', '2', 0],
    ],
    `X-New: 2 | X-New: 1 | ${head} | X-One: a | X-Two: b | X-One: c | Message-Id`,
  ],
  [
    'insert at 1: below it',
    [['addheader', 'X-New', 'v', 1]],
    'Received | X-New: v | From | To | Date | X-One: a | X-Two: b | X-One: c | Message-Id',
  ],
  [
    'insert at 2: Sendmail counts headers that are not shown',
    [['addheader', 'X-New', 'v', 2]],
    {
      sendmail: 'Received | X-New: v | From | To | Date | X-One: a | X-Two: b | X-One: c | Message-Id',
      postfix: 'Received | From | X-New: v | To | Date | X-One: a | X-Two: b | X-One: c | Message-Id',
    },
  ],
  [
    'insert at 9: seven of those stand between Received and the message\u2019s first',
    [['addheader', 'X-New', 'v', 9]],
    {
      sendmail: 'Received | From | X-New: v | To | Date | X-One: a | X-Two: b | X-One: c | Message-Id',
      postfix: `${head} | X-One: a | X-Two: b | X-One: c | Message-Id | X-New: v`,
    },
  ],
  [
    'insert at 99: at the end',
    [['addheader', 'X-New', 'v', 99]],
    `${head} | X-One: a | X-Two: b | X-One: c | Message-Id | X-New: v`,
  ],

  // chgheader
  [
    'change the 1st',
    [['chgheader', 'X-One', 1, 'new']],
    `${head} | X-One: new | X-Two: b | X-One: c | Message-Id`,
  ],
  [
    'change the 2nd',
    [['chgheader', 'X-One', 2, 'new']],
    `${head} | X-One: a | X-Two: b | X-One: new | Message-Id`,
  ],
  [
    'change the 0th: as the 1st',
    [['chgheader', 'X-One', 0, 'new']],
    `${head} | X-One: new | X-Two: b | X-One: c | Message-Id`,
  ],
  [
    'change one too many: it is added, as addheader does',
    [['chgheader', 'X-One', 3, 'new']],
    {
      sendmail: `${head} | X-One: new | X-One: a | X-Two: b | X-One: c | Message-Id`,
      postfix: `${head} | X-One: a | X-Two: b | X-One: c | Message-Id | X-One: new`,
    },
  ],
  [
    'change one that is not there: it is added',
    [['chgheader', 'X-New', 1, 'v']],
    `${head} | X-One: a | X-Two: b | X-One: c | Message-Id | X-New: v`,
  ],
  [
    'change by a name in other letters: Sendmail keeps the name as it was',
    [['chgheader', 'x-one', 1, 'new']],
    {
      sendmail: `${head} | X-One: new | X-Two: b | X-One: c | Message-Id`,
      postfix: `${head} | x-one: new | X-Two: b | X-One: c | Message-Id`,
    },
  ],
  [
    'delete the 1st, by null',
    [['chgheader', 'X-One', 1, null]],
    `${head} | X-Two: b | X-One: c | Message-Id`,
  ],
  [
    'delete the 2nd, by an empty value',
    [['chgheader', 'X-One', 2, '']],
    `${head} | X-One: a | X-Two: b | Message-Id`,
  ],
  [
    'delete both, the last one first',
    [
      ['chgheader', 'X-One', 2, null],
      ['chgheader', 'X-One', 1, null],
    ],
    `${head} | X-Two: b | Message-Id`,
  ],
  [
    'delete both, the first one first: in Postfix the 2nd is the 1st by then',
    [
      ['chgheader', 'X-One', 1, null],
      ['chgheader', 'X-One', 2, null],
    ],
    {
      sendmail: `${head} | X-Two: b | Message-Id`,
      postfix: `${head} | X-Two: b | X-One: c | Message-Id`,
    },
  ],
  [
    'delete the 1st, then change the 1st: in Sendmail it comes back',
    [
      ['chgheader', 'X-One', 1, null],
      ['chgheader', 'X-One', 1, 'new'],
    ],
    {
      sendmail: `${head} | X-One: new | X-Two: b | X-One: c | Message-Id`,
      postfix: `${head} | X-Two: b | X-One: new | Message-Id`,
    },
  ],
  [
    'delete the MTA\u2019s own Received: it is not among them',
    [['chgheader', 'Received', 1, null]],
    `${head} | X-One: a | X-Two: b | X-One: c | Message-Id`,
  ],
];

describe('modifications of headers', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start();
  });
  afterAll(() => mtas?.stop());

  for (const kind of kinds) {
    describe(kind, () => {
      for (const [title, calls, expected] of cases) {
        test(title, async () => {
          const { id, last } = await mtas.modify(kind, calls, { headers: threeHeaders });
          expectThat(last.code, last.text).toBe(250);
          expect(headerLine(await mtas.delivered(id))).toBe(forMta(expected, kind));
        });
      }
    });
  }
});
