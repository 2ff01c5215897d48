/** The line that begins each message of a mailbox: `From `, the envelope sender, and the time in UTC (RFC 4155). */
import { decodeBytes, encodeBytes } from '../internal/bytes.js';

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** What stands for the null sender of bounces. */
const NULL_SENDER = 'MAILER-DAEMON';
/** Characters of a sender that are written. RFC 5321 4.5.3.1.3 has 254 for a whole address. */
const MAX_SENDER = 1000;

/** Blanks end the sender, control characters the line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be written
const UNSAFE = /[\x00-\x20\x7f]/g;

/** The line for a message, with its LF. `sender`: with or without angle brackets, empty for a bounce. */
export function separatorLine(sender: string, date: Date): Buffer {
  const address = sender
    .replace(/^<(.*)>$/s, '$1')
    .slice(0, MAX_SENDER)
    .replace(UNSAFE, '-');
  return encodeBytes(`From ${address || NULL_SENDER} ${asctime(date)}\n`);
}

/** As C's asctime writes it, which mail programs expect. */
function asctime(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':');
  const day = String(date.getUTCDate()).padStart(2);
  return `${DAYS[date.getUTCDay()]} ${MONTHS[date.getUTCMonth()]} ${day} ${time} ${date.getUTCFullYear()}`;
}

const LINE = /^From (.*?) +(?:[A-Z][a-z]{2}) ([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})\r?$/s;

/** Reads the line, without its LF. The date is null if it is not written as asctime does. The null sender is ''. */
export function parseSeparator(line: Buffer): { sender: string; date: Date | null } {
  const text = decodeBytes(line);
  const found = LINE.exec(text);
  const sender = found?.[1] ?? text.slice('From '.length).split(' ', 1)[0] ?? '';
  return { sender: sender === NULL_SENDER ? '' : sender, date: found ? dateOf(found) : null };
}

function dateOf([, , name, day, hour, minute, second, year]: readonly string[]): Date | null {
  const month = MONTHS.indexOf(name as (typeof MONTHS)[number]);
  if (month < 0) return null;
  return new Date(Date.UTC(Number(year), month, Number(day), Number(hour), Number(minute), Number(second)));
}
