/**
 * The gate for text on its way to the MTA: what each field of a reply or an action may contain. Everything that sends such a
 * text checks it here, with a real MTA as in tests without one. docs/actions.md has this table for readers, and a test
 * compares the two.
 *
 * The patterns take time linear in the text, because the text may come from an untrusted client.
 */
import { badArgument, MilterError } from './errors.js';
import { checkText } from './validate.js';

/** What may stand in one field. */
export interface WireRule {
  /** The field as docs/actions.md calls it. */
  readonly field: string;
  /** What the whole text must match. */
  readonly pattern: RegExp;
  /** The same in words. */
  readonly allowed: string;
  /** Where the rule comes from. */
  readonly source: string;
}

/** In a class: what `\p{Cc}` is. Naming the characters makes the patterns ten times as fast to build, which each start pays for. */
const CONTROL = String.raw`\0-\x1f\x7f-\x9f`;
/** Characters of a local part without quotes (RFC 5321 atext and dot), with UTF-8 (RFC 6531). */
const LOCAL = String.raw`[^\s${CONTROL}()<>[\]:;@\\,"]+`;
const QUOTED = String.raw`"(?:[^${CONTROL}"\\]|\\[^${CONTROL}])*"`;
const LABEL = String.raw`[^\s${CONTROL}()<>[\]:;@\\,".]+`;
/** Of the literals of RFC 5321 4.1.3 those in use: in others, Sendmail finds the ends and separators of addresses. */
const LITERAL = String.raw`\[(?:[0-9.]+|[Ii][Pp][Vv]6:[0-9A-Fa-f:.]+)\]`;
const DOMAIN = String.raw`(?:${LABEL}(?:\.${LABEL})*\.?|${LITERAL})`;
const MAILBOX = `(?:${LOCAL}|${QUOTED})@${DOMAIN}`;
/** An address without a domain must not look like a file, a program or a list, to which Sendmail would deliver; quotes do not help. */
const USER = String.raw`(?!"?[/|:\\])(?:${LOCAL}|${QUOTED})`;
/** A source route, which RFC 5321 has servers accept. */
const ROUTE = `(?:@${DOMAIN}(?:,@${DOMAIN})*:)?`;
const PATH = `(?:<${ROUTE}(?:${MAILBOX})>|<(?:${USER})>|${MAILBOX}|${USER})`;

/** Values of ESMTP parameters that both MTAs know: Sendmail crashes, or writes into the SMTP dialogue, where they break their rules. */
const XTEXT = String.raw`(?:[!-*,-<>-~]|\+[0-9A-F]{2})+`;
const EVENT = '(?:SUCCESS|FAILURE|DELAY)';
const KNOWN_PARAMETERS: Readonly<Record<string, string>> = {
  NOTIFY: `=(?:NEVER|${EVENT}(?:,${EVENT})*)`, // RFC 3461 4.1
  ORCPT: `=[A-Z0-9-]+;${XTEXT}`, // 4.2
  RET: '=(?:FULL|HDRS)', // 4.3
  ENVID: `=${XTEXT}`, // 4.4
  SIZE: '=[0-9]{1,20}', // RFC 1870 3
  BODY: '=(?:7BIT|8BITMIME|BINARYMIME)', // RFC 6152 2, RFC 3030 3
  AUTH: `=${XTEXT}`, // RFC 4954 5
  SMTPUTF8: '', // RFC 6531 3.4
};
const KNOWN = Object.keys(KNOWN_PARAMETERS);
const PARAMETER = [
  ...Object.entries(KNOWN_PARAMETERS).map(([keyword, value]) => keyword + value),
  `(?!(?:${KNOWN.join('|')})(?![A-Z0-9-]))[A-Z0-9][A-Z0-9-]*(?:=[!-<>-~]+)?`,
].join('|');
/** Finds a known parameter that stands twice. */
const TWICE = `(?:.* )?(?:${KNOWN.map((keyword) => `${keyword}[= ](?:.* )?${keyword}(?![A-Z0-9-])`).join('|')})`;

const whole = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`, 'u');

/** The rules, by field. */
export const WIRE_RULES = {
  replyCode: {
    field: 'code of a reply',
    pattern: /^[45][0-9]{2}$/,
    allowed: 'three digits, the first 4 or 5',
    source: 'RFC 5321 4.2.1',
  },
  extendedCode: {
    field: 'extended code of a reply',
    pattern: /^[45](?:\.(?:0|[1-9][0-9]{0,2})){2}$/,
    allowed: 'X.Y.Z without leading zeros, of the class of the code; or null',
    source: 'RFC 3463 2',
  },
  replyLine: {
    field: 'line of a reply',
    pattern: /^[\t -~]*$/,
    allowed:
      'TAB and the printable ASCII characters, 980 of them at most, each `%` doubled; 16,000 octets in the whole reply',
    source: 'RFC 5321 4.2',
  },
  headerName: {
    field: 'name of a header',
    pattern: /^[!-9;-~]+$/,
    allowed: 'printable ASCII characters without blank and colon, at least one',
    source: 'RFC 5322 2.2',
  },
  headerValue: {
    field: 'value of a header',
    pattern: /^[^\0\r\n]*(?:\r?\n[ \t]+(?=[^ \t\r\n])[^\0\r\n]*)*$/,
    allowed:
      'any text without NUL; each line end followed by a space or TAB, and no line of blanks only after the first',
    source: 'RFC 5322 2.2.3, 3.2.2',
  },
  recipient: {
    field: 'recipient',
    pattern: whole(PATH),
    allowed: 'one address, with or without `<>`, UTF-8 included',
    source: 'RFC 5321 4.1.2, RFC 6531 3.3',
  },
  sender: {
    field: 'sender',
    pattern: whole(`<>|${PATH}`),
    allowed: 'one address, with or without `<>`, UTF-8 included; or `<>`',
    source: 'RFC 5321 4.1.2, RFC 6531 3.3',
  },
  parameters: {
    field: 'ESMTP parameters',
    pattern: new RegExp(`^(?!${TWICE})(?:(?:${PARAMETER})(?: (?:${PARAMETER}))*)?$`, 'i'),
    allowed:
      '`KEYWORD` or `KEYWORD=value`, with single spaces between; NOTIFY, ORCPT, RET, ENVID, SIZE, BODY, AUTH and SMTPUTF8 once, and with the values of their RFCs',
    source: 'RFC 5321 4.1.2 (esmtp-param), RFC 3461 4',
  },
  reason: {
    field: 'reason of a quarantine',
    pattern: /^\P{Cc}+$/u,
    allowed: 'text without control characters',
    source: 'one line of the queue and of the log',
  },
  macro: {
    field: 'name of a macro',
    pattern: /^[\s!-~]*$/,
    allowed: 'printable ASCII characters',
    source: 'the MTA compares it',
  },
} as const satisfies Record<string, WireRule>;

export type WireField = keyof typeof WIRE_RULES;

/** Bytes that a frame of the milter protocol can carry unless more were agreed on: MILTER_MDS_64K in mfdef.h. */
export const DEFAULT_MAX_DATA_SIZE = 64 * 1024 - 1;
/** The most that can be agreed on: MILTER_MDS_1M. */
const MAX_DATA_SIZE = 1024 * 1024 - 1;

/** How much of a refused text an error's message shows. */
const SHOWN = 60;

function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);
}

/** Whether a text may stand in a field. */
export function fits(field: WireField, text: string): boolean {
  return WIRE_RULES[field].pattern.test(text);
}

/** What a field must be, for the message of an error. */
export function requirement(field: WireField): string {
  const { allowed, source } = WIRE_RULES[field];
  return `${allowed} (${source})`;
}

/**
 * Refuses a text that may not stand in a field of an action.
 * @param action the method that it was passed to
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT
 */
export function checkField(action: string, field: WireField, text: unknown): asserts text is string {
  const where = `${action}: the ${WIRE_RULES[field].field}`;
  checkText(where, text);
  if (text.length > MAX_DATA_SIZE)
    throw badArgument(`${where} has ${text.length} characters: no MTA takes that`);
  if (!fits(field, text)) throw badArgument(`${where} must be ${requirement(field)}, not ${shown(text)}`);
}

/**
 * Refuses a modification that does not fit into one frame: libmilter could not send it, and the MTA would defer the message
 * time and again.
 * @param texts the frame's texts, each of which a NUL ends
 * @param numbers how many bytes of numbers it has besides
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT
 */
export function checkFrame(action: string, limit: number, texts: readonly string[], numbers = 0): void {
  // Most texts are far below the limit: a character has at most three bytes.
  if (texts.reduce((sum, text) => sum + 3 * text.length + 1, numbers) <= limit) return;
  const bytes = texts.reduce((sum, text) => sum + byteLength(text) + 1, numbers);
  if (bytes > limit)
    throw badArgument(`${action}: ${bytes} bytes are too many for the MTA, which takes at most ${limit}`);
}

/** The bytes that {@link encodeBytes} makes of a text. */
function byteLength(text: string): number {
  // A byte that is not UTF-8 is one code unit, U+DC80 to U+DCFF, of which Buffer.byteLength makes three bytes.
  const escaped = text.match(/[\uDC80-\uDCFF]/gu)?.length ?? 0;
  return Buffer.byteLength(text) - 2 * escaped;
}

/** The error for a reply that may not be sent. */
export function badReply(action: string, message: string): MilterError {
  return new MilterError('ERR_MILTER_BAD_REPLY', `${action}: ${message}`);
}
