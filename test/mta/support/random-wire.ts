/** Random texts for replies and actions: ordinary ones, and such as an attacker or a careless filter would pass. */

/** A whole number from 0 to below `below`. */
export type Random = (below: number) => number;

const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
const WORDS = [
  'spam',
  'listed in dnsbl.example',
  '192.0.2.1',
  '4.7.1',
  '5.0.0 ',
  '250 2.0.0 ok',
  '100%',
  '%s',
  '-',
  '=?utf-8?q?x?=',
];
/** U+010D and U+010A lose their eighth bit to become CR and LF in Sendmail. */
const HOSTILE = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  '\x07',
  '\x1b[2J',
  '\t',
  '\x7f',
  '\x85',
  '\u010d\u010a',
  'отказ',
  '拒絶',
  'grüße',
  '😀',
  '\udc8d\udc8a',
  '\ud800',
  '\u2028',
];

export function pick<T>(random: Random, list: readonly T[]): T {
  return list[random(list.length)] as T;
}

/** Text of up to `most` pieces; `hostile` times in a hundred with a piece that no reply may have. */
export function text(random: Random, most: number, hostile = 30): string {
  const pieces = Array.from({ length: random(most + 1) }, () =>
    random(4) === 0 ? pick(random, WORDS) : pick(random, PRINTABLE),
  );
  if (random(100) < hostile) pieces.splice(random(pieces.length + 1), 0, pick(random, HOSTILE));
  return pieces.join('');
}

const digits = (random: Random, most: number): string =>
  Array.from({ length: 1 + random(most) }, () => random(10)).join('');

/** A code, mostly of this class. 421 and 521 are left out, after which an MTA hangs up. */
export function replyCode(random: Random, ofClass: string): string {
  if (random(20) === 0)
    return pick(random, ['250', '354', '55', '5500', '', '\u0665\u0665\u0660', `${ofClass}x0`]);
  const first = random(15) === 0 ? pick(random, ['4', '5']) : ofClass;
  const rest = String(random(60)).padStart(2, '0');
  return `${first}${rest === '21' ? '20' : rest}`;
}

/** An extended code, mostly of this class; or null. */
export function extendedCode(random: Random, ofClass: string): string | null {
  if (random(3) === 0) return null;
  const first = random(8) === 0 ? pick(random, ['2', '4', '5']) : ofClass;
  return `${first}.${digits(random, 3)}.${digits(random, 3)}`;
}

/** Lines for setreply, most of them with their percent signs doubled. */
export function replyLines(random: Random): (string | null)[] {
  if (random(20) === 0) return [null];
  const count = random(3) > 0 ? 1 : 1 + random(random(10) === 0 ? 34 : 4);
  const allLong = random(30) === 0;
  return Array.from({ length: count }, () => {
    const line = text(random, allLong || random(20) === 0 ? 1100 : 40, Math.ceil(20 / count));
    return random(20) === 0 ? line : line.replaceAll('%', '%%');
  });
}

/** The name of a header, `unique` and mostly valid. */
export function headerName(random: Random, unique: string): string {
  const name = `X-R${unique}`;
  return random(10) === 0
    ? `${name}${pick(random, [...HOSTILE, ':', ' ', '', '\u00e9', "!#$%&'*+.^_`|~"])}`
    : name;
}

/** A header's value, perhaps folded, in lines that no MTA needs to break. */
export function headerValue(random: Random): string {
  const line = (): string => text(random, 60, 12);
  const folds = random(4) === 0 ? 1 + random(3) : 0;
  return Array.from({ length: folds }).reduce(
    (value: string) => `${value}${pick(random, ['\n ', '\r\n\t', '\n   ', '\n', '\n \n '])}${line()}`,
    line(),
  );
}

const LOCALS = [
  'bob',
  'a.b',
  'x+y',
  'user%host',
  "o'neil",
  '"a b"',
  '"a\\"b"',
  '"@"',
  '/dev/null',
  '|cat',
  'a..b',
  'a b',
  'a,c',
  'a>',
  '<a',
  ':include:',
  'grün',
  '',
  '-x',
  'a\nRCPT',
  'a\0b',
  '\\a',
  '(c)a',
  'a;b',
  '"a',
  'x'.repeat(60),
  '"|cat"',
];
const DOMAINS = [
  'dest.test',
  'dest.test',
  'dest.test',
  'DEST.test',
  'a.dest.test',
  '[127.0.0.1]',
  'dest.test>',
  'dest test',
  'dest.test,x@dest.test',
  'dest.test\r\nNOOP',
  '',
  'b@dest.test',
  'm\u00fcnchen.test',
  'dest.test (c)',
  'dest.test> NOTIFY=NEVER',
  '[x>,b@dest.test]',
  '[x(c)]',
  '.dest.test',
  'dest..test',
];

/** An address, half of the time one that nobody should take. */
export function address(random: Random, unique: string): string {
  const plain = random(2) === 0;
  const local = plain ? `r${unique}` : pick(random, LOCALS);
  const domain = plain && random(3) > 0 ? 'dest.test' : pick(random, DOMAINS);
  const bare = `${local}@${domain}`;
  return random(3) > 0 ? `<${bare}>` : bare;
}

const PARAMETERS = [
  'NOTIFY=NEVER',
  'NOTIFY=SUCCESS,FAILURE',
  'ORCPT=rfc822;x@dest.test',
  'NOTIFY=NEVER\nX',
  'NOTIFY=',
  'NOTIFY=NEVER\r\nRSET',
  '=x',
  'NOTIFY=NE VER=',
  'NOTIFY=\u010d',
  '-A=b',
  'NOTIFY=NEVER  ORCPT=rfc822;x',
  ' NOTIFY=NEVER',
  'NOTIFY',
  'NOTIFY=FOO',
  'NOTIFY=NEVER,FAILURE',
  'ORCPT=x',
  'ORCPT=rfc822;a+ZZ',
  'ORCPT=rfc822;x ORCPT=rfc822;y',
];

/** ESMTP parameters of RCPT, mostly none. */
export function parameters(random: Random): string | null {
  return random(4) === 0 ? pick(random, PARAMETERS) : null;
}
