/**
 * What the two MTAs say for a verdict where the filter has not called setreply. The tests hold it against them,
 * and the docs may cite it.
 */
import type { Kind } from './mta-fixture';

export const messageStages = ['envfrom', 'envrcpt', 'data', 'header', 'eoh', 'body', 'eom'] as const;
export const stages = ['connect', 'hello', ...messageStages] as const;
/** A handler whose answer is a verdict that the SMTP client hears of. */
export type Stage = (typeof stages)[number];

type Table = Readonly<Record<Stage, string>>;

const everywhere = (reply: string): Table =>
  Object.fromEntries(stages.map((stage) => [stage, reply])) as unknown as Table;

export const defaultReplies = {
  REJECT: {
    sendmail: {
      ...everywhere('554 5.7.1 Command rejected'),
      connect: '550 5.0.0 Command rejected',
      hello: '550 5.0.0 Command rejected',
      envfrom: '550 5.7.1 <from@src.test>... Command rejected',
      envrcpt: '550 5.7.1 <rcpt@dest.test>... Command rejected',
      data: '550 5.7.1 Command rejected',
    },
    postfix: everywhere('550 5.7.1 Command rejected'),
  },
  TEMPFAIL: {
    sendmail: everywhere('451 4.3.2 Please try again later'),
    postfix: everywhere('451 4.7.1 Service unavailable - try again later'),
  },
} as const satisfies Record<string, Record<Kind, Table>>;

/** The SMTP command in whose reply the client hears of the verdict. `.` is the end of the message. */
export const heardAt = {
  connect: 'MAIL',
  hello: 'MAIL',
  envfrom: 'MAIL',
  envrcpt: 'RCPT',
  data: 'DATA',
  header: '.',
  eoh: '.',
  body: '.',
  eom: '.',
} as const satisfies Record<Stage, string>;
