/** Messages of the kinds that signatures get wrong, as they travel: bytes, with CRLF. */

const HEADER = [
  'From: Ann <ann@example.com>',
  'To: bob@example.net',
  'Subject: Lunch?',
  'Date: Sat, 28 Nov 2026 12:00:00 +0000',
  'Message-ID: <1@example.com>',
];
const LONG = Array.from({ length: 30 }, (_, at) => `<${at}.reference@a-long-name.example.com>`);

function mail(fields: readonly string[], body: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from([...fields, '', ''].join('\r\n')), Buffer.from(body)]);
}

export interface OddMessage {
  readonly message: Buffer;
  /** Fields and body are ASCII, end with CRLF, and no line is longer than 998 octets: any MTA can relay it unchanged. */
  readonly plain: boolean;
}

/** By title. */
export const ODD_MESSAGES: Readonly<Record<string, OddMessage>> = {
  '7-bit': { message: mail(HEADER, 'Hello Bob,\r\n\r\n  at noon? \r\n.\r\n..\r\nAnn\r\n'), plain: true },
  '8-bit': {
    message: mail(
      [
        ...HEADER,
        'MIME-Version: 1.0',
        'Content-Type: text/plain; charset=iso-8859-1',
        'Content-Transfer-Encoding: 8bit',
      ],
      Buffer.from('Gr\xfc\xdfe\r\n\xa0\xff\r\n', 'latin1'),
    ),
    plain: false,
  },
  SMTPUTF8: {
    message: mail(
      [
        'From: J\u00f6rg <j\u00f6rg@example.com>',
        ...HEADER.slice(1, 2),
        'Subject: Mittag \u2013 \u65e5\u672c',
        ...HEADER.slice(3),
      ],
      'Gr\u00fc\u00dfe\r\n',
    ),
    plain: false,
  },
  empty: { message: mail(HEADER, ''), plain: true },
  'one empty line': { message: mail(HEADER, '\r\n'), plain: true },
  'empty lines at the end': { message: mail(HEADER, 'text\r\n\r\n \r\n\t\r\n\r\n'), plain: true },
  'white space of all kinds': {
    message: mail(HEADER, ' a  b\t\tc \t\r\n\t\r\n   \r\nend\t \r\n'),
    plain: true,
  },
  'long-folded': {
    message: mail(
      [
        ...HEADER,
        `References: ${LONG.join('\r\n\t')}`,
        `X-Note: a\r\n b\r\n\t c \r\n  \td`,
        'Subject-Two:no space behind the colon',
        'X-Empty:',
      ],
      'text\r\n',
    ),
    plain: true,
  },
  attachment: {
    message: mail(
      [...HEADER, 'MIME-Version: 1.0', 'Content-Type: multipart/mixed;\r\n boundary="cut"'],
      [
        'preamble',
        '--cut',
        'Content-Type: text/plain',
        '',
        'See below.',
        '--cut',
        'Content-Type: application/octet-stream; name=a.bin',
        'Content-Transfer-Encoding: base64',
        '',
        ...Array<string>(2000).fill(
          'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0',
        ),
        '--cut--',
        '',
      ].join('\r\n'),
    ),
    plain: true,
  },
};

/** Header fields as a filter is given them with `headerLeadingSpace`, and the body. */
export function splitForFilter(message: Buffer): { headers: [name: string, value: Buffer][]; body: Buffer } {
  const end = message.indexOf('\r\n\r\n');
  const fields = message.toString('latin1', 0, end).split(/\r\n(?![ \t])/);
  const headers = fields.map((field): [string, Buffer] => {
    const colon = field.indexOf(':');
    return [field.slice(0, colon), Buffer.from(field.slice(colon + 1).replaceAll('\r\n', '\n'), 'latin1')];
  });
  return { headers, body: message.subarray(end + 4) };
}
