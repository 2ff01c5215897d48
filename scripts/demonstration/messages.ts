/** What the demonstration sends, and what has to become of it. */

/** A message, and what the filter is expected to do with it. */
export interface Sample {
  readonly title: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Lines of the body. */
  readonly body: readonly string[];
  /** Says what became of it; throws where that is not what the filter is for. */
  judge(outcome: Outcome): string;
}

/** What became of a message. */
export interface Outcome {
  /** What client and server said, or MTA and filter. */
  readonly dialogue: readonly string[];
  /** Whether the sender was told that the message is taken. */
  readonly accepted: boolean;
  /** The message as it was delivered, or nothing. */
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
      if (accepted || delivered !== null) throw new Error('the spam was not refused');
      if (!dialogue.some((line) => line.includes('typical of spam')))
        throw new Error("the refusal does not have the filter's own text");
      return "refused with the filter's own text; nothing was delivered";
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
      return 'delivered with a warning in the place of the attachment';
    },
  },
];

/** The message as it goes over the wire. */
export function textOf({ headers, body }: Sample): string {
  return [...headers.map(([name, value]) => `${name}: ${value}`), '', ...body, ''].join('\r\n');
}
