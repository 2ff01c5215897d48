/**
 * The lines of a cache file, in the format of pymilter: `address 2026Nov24 09:30:00 UTC`, or only an address if the entry
 * never expires.
 *
 * Appended lines begin with a space and always have a date. Thus a line that a crash has cut off, such as ` joe@example.co`, is
 * not taken for an address without a date that was entered by hand.
 */
import { encodeBytes } from '../internal/bytes.js';

/** An address in lower case, and when it was added, in milliseconds since 1970; null if it never expires. */
export interface Entry {
  readonly address: string;
  readonly stamp: number | null;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAY = /^(\d{4})([A-Z][a-z]{2})(\d\d)$/;
const TIME = /^(\d\d):(\d\d):(\d\d)$/;
/** The date of an appended entry that never expires. */
const NEVER = Date.UTC(9999, 11, 31, 23, 59, 59);

/** Whether the address can be written to a line: it must be one word of printable characters, and not a comment. */
export function fitsLine(address: string): boolean {
  return address !== '' && !address.startsWith('#') && !/[\s\p{Cc}]/u.test(address);
}

function dateText(stamp: number): string {
  const [day = '', time = ''] = new Date(stamp).toISOString().split('T');
  const [year, month, date] = day.split('-');
  return `${year}${MONTHS[Number(month) - 1]}${date} ${time.slice(0, 8)} UTC`;
}

/** The line that is appended for an entry, with its line break. */
export function appendedLine({ address, stamp }: Entry): Buffer {
  return encodeBytes(` ${address} ${dateText(stamp ?? NEVER)}\n`);
}

/** The line of an entry in a file that is rewritten, with its line break. */
export function wholeLine({ address, stamp }: Entry): string {
  return stamp === null ? `${address}\n` : `${address} ${dateText(stamp)}\n`;
}

function readDate(day: string, time: string): number | undefined {
  const [, year, month = '', date] = DAY.exec(day) ?? [];
  const [, hours, minutes, seconds] = TIME.exec(time) ?? [];
  if (year === undefined || hours === undefined) return undefined;
  const stamp = Date.UTC(
    Number(year),
    MONTHS.indexOf(month),
    Number(date),
    Number(hours),
    Number(minutes),
    Number(seconds),
  );
  return MONTHS.includes(month) && dateText(stamp) === `${day} ${time} UTC` ? stamp : undefined;
}

/** Parses a line. @returns undefined if it is malformed */
export function readLine(line: string, maxAddressLength: number): Entry | undefined {
  const [address = '', day, time, zone, ...more] = line.split(/[ \t\r]+/).filter((word) => word !== '');
  if (!fitsLine(address) || address.length > maxAddressLength) return undefined;
  const entry = { address: address.toLowerCase(), stamp: null };
  if (day === undefined) return line.startsWith(' ') ? undefined : entry;
  const stamp = zone === 'UTC' && more.length === 0 ? readDate(day, time as string) : undefined;
  if (stamp === undefined) return undefined;
  return stamp === NEVER ? entry : { ...entry, stamp };
}
