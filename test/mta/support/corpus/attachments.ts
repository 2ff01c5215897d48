/** Attachments and HTML: harmless ones, and tricks by which a dangerous one looks harmless. */
import { zip } from '../../../fixtures/mime/zip';
import type { Changes, Day, Kind } from './day';

interface Part {
  readonly type: string;
  readonly fields?: readonly string[];
  readonly content: Buffer | string;
  /** Default: the content. */
  readonly danger?: string;
}

const BOUNDARY = 'corpus-boundary';
const base64 = (content: Buffer | string) =>
  Buffer.from(content)
    .toString('base64')
    .replaceAll(/.{76}(?=.)/g, '$&\r\n');

function multipart(text: string, { type, fields = [], content }: Part): Pick<Changes, 'body' | 'fields'> {
  const encoding = type.startsWith('message/') ? [] : ['Content-Transfer-Encoding: base64'];
  const lines = [
    `--${BOUNDARY}`,
    'Content-Type: text/plain',
    '',
    text,
    `--${BOUNDARY}`,
    `Content-Type: ${type}`,
    ...fields,
    ...encoding,
    '',
    type.startsWith('message/') ? String(content) : base64(content),
    `--${BOUNDARY}--`,
    '',
  ];
  return {
    body: lines.join('\r\n'),
    fields: [
      ['MIME-Version', '1.0'],
      ['Content-Type', `multipart/mixed; boundary="${BOUNDARY}"`],
    ],
  };
}

const attached = (parameters: string, content: Buffer | string = 'MZ a program'): Part => ({
  type: 'application/octet-stream',
  fields: [`Content-Disposition: attachment; ${parameters}`],
  content,
});

/** Names are in several places, encodings and containers; the most harmless one is shown to the reader. */
const DANGEROUS: Readonly<Record<string, () => Part | Promise<Part>>> = {
  'a program': () => attached('filename="setup.exe"'),
  'two extensions': () => attached('filename="invoice.pdf.exe"'),
  'capital letters': () => attached('filename="HOLIDAY.SCR"'),
  'a final dot': () => attached('filename="run.bat."'),
  'blanks before the end': () => attached('filename="run.com   "'),
  'a name of RFC 2231': () => attached("filename*=utf-8''%72un%2Eexe"),
  'a name in pieces': () => attached('filename*0="invoice.p"; filename*1="df.exe"'),
  'an encoded word': () => attached('filename="=?utf-8?B?cnVuLmV4ZQ==?="'),
  'two names': () => attached('filename="photo.jpg"; filename="photo.exe"'),
  'a name in the type alone': () => ({ type: 'image/png; name="photo.vbs"', content: 'a script' }),
  'two names in two fields': () => ({
    ...attached('filename="photo.jpg"'),
    type: 'application/octet-stream; name="photo.js"',
  }),
  'a name without quotes': () => attached('filename=setup.msi'),
  'a comment': () => attached('filename=(harmless)setup.exe'),
  'a ZIP file': async () =>
    attached('filename="papers.zip"', await zip({ 'read.txt': 'x', 'dir/run.exe': 'MZ' })),
  'a ZIP file in a ZIP file': async () =>
    attached('filename="papers.zip"', await zip({ 'in.zip': await zip({ 'run.lnk': 'x' }) })),
  'a ZIP file by its type': async () => ({
    type: 'application/zip',
    content: await zip({ 'run.exe': 'MZ' }),
  }),
  'a broken ZIP file': () => attached('filename="papers.zip"', 'PK\x03\x04 and nothing else'),
  'an attached message': () => ({
    type: 'message/rfc822',
    content: [
      'Subject: forwarded',
      'MIME-Version: 1.0',
      'Content-Type: application/octet-stream; name="run.pif"',
      'Content-Transfer-Encoding: base64',
      '',
      base64('MZ a program'),
    ].join('\r\n'),
    danger: 'MZ a program',
  }),
  'HTML with a script': () => ({
    type: 'text/html',
    content: '<p>Hello</p><script>alert(1)</script>',
    danger: 'alert(1)',
  }),
};

const HARMLESS: Readonly<Record<string, () => Part | Promise<Part>>> = {
  'a document': () => attached('filename="report.pdf"', '%PDF-1.7'),
  'a picture': () => ({ type: 'image/jpeg; name="photo.jpg"', content: '\xff\xd8\xff' }),
  'a name that has an extension inside': () => attached('filename="setup.exe.txt"'),
  'a ZIP file of texts': async () =>
    attached('filename="papers.zip"', await zip({ 'read.txt': 'x', 'dir/more.txt': 'y' })),
  'an attached message of text': () => ({
    type: 'message/rfc822',
    content: 'Subject: news from friend.example\r\n\r\nHello.\r\n',
  }),
  // What reads mail does not run these; see docs/mime.md.
  'HTML with an event': () => ({ type: 'text/html', content: '<img src="x" onerror="alert(1)">' }),
  'HTML without scripts': () => ({
    type: 'text/html',
    content: '<p class="a">Hello <b>you</b>, <a href="https://friend.example/">here</a></p>',
  }),
};

const kindOfParts = (
  kind: string,
  share: number,
  parts: Readonly<Record<string, () => Part | Promise<Part>>>,
  verdict: 'accept' | 'tag dangerous_content',
): Kind => ({
  kind,
  share,
  async make(day: Day) {
    const what = day.random.pick(Object.keys(parts));
    const part = await (parts[what] as () => Part | Promise<Part>)();
    const mail = day.mail(`${kind}: ${what}`, { ...multipart(day.words(5), part), expected: verdict });
    const { danger = Buffer.from(part.content).toString('latin1') } = part;
    return verdict === 'accept' ? mail : { ...mail, danger };
  },
});

export const attachments: readonly Kind[] = [
  kindOfParts('dangerous attachment', 60, DANGEROUS, 'tag dangerous_content'),
  kindOfParts('attachment', 50, HARMLESS, 'accept'),
];
