/** Creates notices from templates. */
import { hostname } from 'node:os';
import MimeNode from 'nodemailer/lib/mime-node';
import { MilterError } from '../internal/errors.js';
import { checkOptions, type OptionNames } from '../internal/validate.js';

/** The contents of a notice besides its template. */
export interface NoticeOptions {
  /** The recipient: the sender of the message that the notice is about. */
  readonly to: string;
  /** The name of this host. Default: the system's host name. */
  readonly receiver?: string;
  /** The address of the sender. Default: postmaster at the receiver. */
  readonly from?: string;
  /** Values for `%(name)s` in the template. */
  readonly values?: Readonly<Record<string, string | number>>;
  /** The date of the notice. Default: now. */
  readonly date?: Date;
}

const OPTIONS: OptionNames<NoticeOptions> = {
  to: true,
  receiver: true,
  from: true,
  values: true,
  date: true,
};

/** Headers that a template must not set, because a notice is always text/plain. */
const RESERVED_HEADERS = /^(?:content-.*|mime-version)$/i;
const HEADER = /^([\x21-\x39\x3b-\x7e]+):[ \t]*(.*)$/;

/**
 * Creates a notice from a template (pymilter's `dsn.create_msg`). The template consists of headers, an empty line and a text.
 * `%(name)s` is replaced by a value, `%%` by a percent sign. `%(to)s`, `%(from)s` and `%(receiver)s` are always available.
 *
 * Headers that the template does not set are added: `To`, `From`, `Subject`, `Date`, `Message-ID`, and `Auto-Submitted:
 * auto-replied` (RFC 3834 5), which keeps vacation programs from answering. Text that is not ASCII is encoded.
 *
 * @returns the message with CRLF line breaks, for {@link sendDsn}
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an unknown option; ERR_MILTER_DSN for a missing value, a line that is not a
 *   header, or a line break in the value of a header, which would begin another header
 */
export async function createMsg(template: string, options: NoticeOptions): Promise<Buffer> {
  checkOptions('createMsg', options, OPTIONS);
  const { to, receiver = hostname(), date = new Date() } = options;
  const from = options.from ?? `postmaster@${receiver}`;
  const values = { to, from, receiver, ...options.values };
  const [head, text] = split(template.replace(/\r\n?/g, '\n'));
  const headers = head.map((line) => headerOf(line, values));
  const given = new Set(headers.map(({ name }) => name.toLowerCase()));
  const node = new MimeNode('text/plain; charset=utf-8');
  for (const [name, value] of Object.entries({
    To: to,
    From: from,
    Subject: 'About your message',
    'Auto-Submitted': 'auto-replied',
    Date: date.toUTCString().replace('GMT', '+0000'),
  })) {
    if (!given.has(name.toLowerCase())) headers.push({ name, value: oneLine(name, value) });
  }
  for (const { name, value } of headers) node.addHeader(name, value);
  node.setContent(fill(text, values).replace(/\r\n?|\n/g, '\r\n'));
  return node.build();
}

/** Splits a template into unfolded headers and text. */
function split(template: string): [head: string[], text: string] {
  const end = template.startsWith('\n') ? 0 : template.indexOf('\n\n');
  if (end < 0) throw templateError('the template has no empty line between its headers and its text');
  const head = template.slice(0, end).replace(/\n[ \t]+/g, ' ');
  return [head === '' ? [] : head.split('\n'), template.slice(end).replace(/^\n+/, '')];
}

function headerOf(
  line: string,
  values: NonNullable<NoticeOptions['values']>,
): { name: string; value: string } {
  const [, name, value] = HEADER.exec(line) ?? [];
  if (name === undefined || value === undefined) {
    throw templateError(
      `the template must begin with headers, and ${JSON.stringify(line.slice(0, 80))} is not a header`,
    );
  }
  if (RESERVED_HEADERS.test(name))
    throw templateError(
      `the template must not have the header ${name}, because a notice is always text/plain`,
    );
  return { name, value: oneLine(name, fill(value, values)) };
}

function oneLine(name: string, value: string): string {
  if (/[\r\n\0]/.test(value))
    throw templateError(`the value of ${name} contains a line break, which would begin another header`);
  return value;
}

function fill(text: string, values: NonNullable<NoticeOptions['values']>): string {
  return text.replace(/%(?:%|\(([^)\n]{1,100})\)s)?/g, (whole, name?: string) => {
    if (whole === '%%') return '%';
    if (name === undefined) throw templateError('a % in the template is neither %(name)s nor %%');
    if (!Object.hasOwn(values, name))
      throw templateError(`the template uses %(${name})s, but values has no ${name}`);
    return String(values[name]);
  });
}

function templateError(message: string): MilterError {
  return new MilterError('ERR_MILTER_DSN', `createMsg: ${message}`);
}
