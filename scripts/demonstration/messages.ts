/** What the messages of a demonstration are made of, and one that all of them send. */

/** A message, and what the filter should do with it. */
export interface Sample {
  readonly title: string;
  /** The address from which it comes, with a real MTA. Default: 127.0.0.1. */
  readonly at?: string;
  /** Its name, with a real MTA. Default: client.example. */
  readonly helo?: string;
  /** The envelope sender. Default: {@link SENDER}. */
  readonly from?: string;
  /** How often it is sent, with a real MTA. Default: once. */
  readonly attempts?: number;
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
  /** Whether the message was accepted at the last attempt, as far as the sender was told. */
  readonly accepted: boolean;
  /** The message as it was delivered, or null if it was not. */
  readonly delivered: string | null;
}

export const SENDER = 'alice@client.example';
export const RECIPIENT = 'bob@example.com';

export function headersOf(subject: string, ...more: [name: string, value: string][]): [string, string][] {
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

/** A message that every filter of these has to mend. */
export const INVOICE: Sample = {
  title: 'A dangerous attachment',
  headers: headersOf(
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
};

/** The message as it is sent over SMTP. */
export function textOf({ headers, body }: Sample): string {
  return [...headers.map(([name, value]) => `${name}: ${value}`), '', ...body, ''].join('\r\n');
}
