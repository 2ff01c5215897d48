/** Logs to stdout in the format of syslog. */
import { hostname } from 'node:os';
import { printable } from 'tsmilter/utils';

/** Characters of a line, the rest of which is left out: it holds text of a message, whose senders choose how long it is. */
const MAX_LENGTH = 2000;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `Jan  7 09:05:01`, local time (RFC 3164 4.1.2). */
function timestamp(time: Date): string {
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) =>
    String(part).padStart(2, '0'),
  );
  return `${MONTHS[time.getMonth()]} ${String(time.getDate()).padStart(2)} ${clock.join(':')}`;
}

export class Log {
  readonly #sign: string;

  /** @param name the program's name in each line */
  constructor(name: string) {
    process.stdout.on('error', () => {}); // if the reader of the log is gone, the filter keeps running
    this.#sign = `${hostname().split('.')[0]} ${name}[${process.pid}]:`;
  }

  /** Logs one line. What is not printable is escaped, so that text from a message cannot forge another line. */
  write(...words: readonly unknown[]): void {
    const text = printable(words.join(' ').slice(0, MAX_LENGTH));
    // Not console.log, which takes as long to format and forward a line as the kernel takes to write it.
    process.stdout.write(`${timestamp(new Date())} ${this.#sign} ${text}\n`);
  }
}
