/** The messages that the demonstration sends, and what must happen to each. */

/** A message, and what the filter should do with it. */
export interface Sample {
  readonly title: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Lines of the body. */
  readonly body: readonly string[];
  /** Describes what happened to the message; throws if it is not what the filter should have done. */
  judge(outcome: Outcome): string;
}

/** What happened to a message. */
export interface Outcome {
  /** The dialogue between client and server, or between MTA and filter. */
  readonly dialogue: readonly string[];
  /** Whether the message was accepted, as far as the sender was told. */
  readonly accepted: boolean;
  /** The message as it was delivered, or null if it was not. */
  readonly delivered: string | null;
}

export const SENDER = 'alice@client.example';
export const RECIPIENT = 'bob@example.com';

function headers(subject: string, ...more: [name: string, value: string][]): [string, string][] {
  return [
    ['From', `Alice <${SENDER}>`],
    ['To', `Bob <${RECIPIENT}>`],
    ['Subject', subject],
    ['Date', 'Mon, 05 Jan 2026 12:00:00 +0000'],
    ['Message-ID', `<${subject.replace(/\W+/g, '-')}@client.example>`],
    ...more,
  ];
}

const ATTACHMENT = 'TVqQAAMAAAAEAAAA';

export const SAMPLES: readonly Sample[] = [
  {
    title: 'A clean message',
    headers: headers('Lunch'),
    body: ['Hello Bob,', '', 'at noon?', '', 'Alice'],
    judge({ accepted, delivered }) {
      if (!accepted || !delivered?.includes('at noon?'))
        throw new Error('the clean message was not delivered');
      return 'delivered as it was sent';
    },
  },
  {
    title: 'A subject that looks like spam',
    headers: headers('FREE money'),
    body: ['Click here.'],
    judge({ accepted, delivered, dialogue }) {
      if (accepted || delivered !== null) throw new Error('the spam was not rejected');
      if (!dialogue.some((line) => line.includes('typical of spam')))
        throw new Error("the reply does not have the filter's text");
      return "rejected with the filter's text; nothing was delivered";
    },
  },
  {
    title: 'A dangerous attachment',
    headers: headers(
      'The invoice',
      ['MIME-Version', '1.0'],
      ['Content-Type', 'multipart/mixed; boundary="part"'],
    ),
    body: [
      '--part',
      'Content-Type: text/plain',
      '',
      'Please pay.',
      '--part',
      'Content-Type: application/octet-stream; name="invoice.pdf.exe"',
      'Content-Disposition: attachment; filename="invoice.pdf.exe"',
      'Content-Transfer-Encoding: base64',
      '',
      ATTACHMENT,
      '--part--',
    ],
    judge({ accepted, delivered }) {
      if (!accepted || !delivered?.includes('WARNING.TXT') || delivered.includes(ATTACHMENT))
        throw new Error('the attachment was not replaced');
      return 'delivered with a warning in place of the attachment';
    },
  },
];

/** The message as it is sent over SMTP. */
export function textOf({ headers, body }: Sample): string {
  return [...headers.map(([name, value]) => `${name}: ${value}`), '', ...body, ''].join('\r\n');
}
