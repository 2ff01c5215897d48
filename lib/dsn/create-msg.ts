/** Notices made from templates. */
import { hostname } from 'node:os';
import MimeNode from 'nodemailer/lib/mime-node';
import { MilterError } from '../internal/errors.js';
import { checkOptions, type OptionNames } from '../internal/validate.js';

/** What goes into a notice besides its template. */
export interface NoticeOptions {
  /** Whom it is for: the sender of the message that it is about. */
  readonly to: string;
  /** This host's name. Default: the system's host name. */
  readonly receiver?: string;
  /** Default: `postmaster@` and the receiver. */
  readonly from?: string;
  /** For `%(name)s` in the template. */
  readonly values?: Readonly<Record<string, string | number>>;
  /** Default: now. */
  readonly date?: Date;
}

const OPTIONS: OptionNames<NoticeOptions> = {
  to: true,
  receiver: true,
  from: true,
  values: true,
  date: true,
};

/** Headers that a template must not set, since a notice is a text. */
const OURS = /^(?:content-.*|mime-version)$/i;
const HEADER = /^([\x21-\x39\x3b-\x7e]+):[ \t]*(.*)$/;

/**
 * Makes a notice of a template (pymilter's `dsn.create_msg`): its headers, an empty line, and its text, with `%(name)s` for
 * values, `%%` for a percent sign. `%(to)s`, `%(from)s` and `%(receiver)s` are there without being given.
 *
 * What the template does not say is filled in: `To`, `From`, `Subject`, `Date`, `Message-ID`, and `Auto-Submitted:
 * auto-replied` (RFC 3834 5), so that no vacation program answers. Text that is not ASCII is encoded.
 *
 * @returns the message, its line ends CRLF, for {@link sendDsn}
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an option that there is not; ERR_MILTER_DSN: a value that is not given, a line
 *   that is not a header, or a value with a line break in a header, which would begin another one
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

/** The lines of the headers, folds undone, and the text. */
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
    throw templateError(`the template begins with headers, and ${JSON.stringify(line.slice(0, 80))} is none`);
  }
  if (OURS.test(name))
    throw templateError(`the template must not have the header ${name}: a notice is a text`);
  return { name, value: oneLine(name, fill(value, values)) };
}

function oneLine(name: string, value: string): string {
  if (/[\r\n\0]/.test(value))
    throw templateError(`the value of ${name} has a line break, which would begin another header`);
  return value;
}

function fill(text: string, values: NonNullable<NoticeOptions['values']>): string {
  return text.replace(/%(?:%|\(([^)\n]{1,100})\)s)?/g, (whole, name?: string) => {
    if (whole === '%%') return '%';
    if (name === undefined) throw templateError('a % in the template is neither %(name)s nor %%');
    if (!Object.hasOwn(values, name))
      throw templateError(`the template wants %(${name})s, and values has no ${name}`);
    return String(values[name]);
  });
}

function templateError(message: string): MilterError {
  return new MilterError('ERR_MILTER_DSN', `createMsg: ${message}`);
}
