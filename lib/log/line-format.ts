/** The lines that entries become on stderr. No text in them can end a line, or steer a terminal. */
import { inspect } from 'node:util';
import { errorText } from '../internal/error-text.js';
import { LOG_LEVELS, type LogLevel } from '../internal/logger.js';
import { printable, printableJson, printableLines } from '../internal/printable.js';
import type { LogEntry } from './entry-logger.js';

/** Makes the lines of an entry; the last one has its line break too. */
export type LineFormat = (entry: LogEntry) => string;

/** Characters of a text, or of one field, that are written. */
const MAX_TEXT = 8192;
const MAX_VALUE = 1024;
/** Characters of a line in JSON with all its fields, and the fields of one that would have more. */
const MAX_LINE = 65_536;
const MAX_FIELDS = 32;
const MAX_NAME = 128;
/** Characters that one becomes at most in JSON, as \u0001, and of what stands around a text that was cut. */
const MAX_ESCAPE = 6;
const AROUND_TEXT = 64;

/** The priorities of syslog that journald reads in `<3>` at the start of a line (sd-daemon(3)). */
const PRIORITIES: Readonly<Record<LogLevel, number>> = {
  trace: 7,
  debug: 7,
  info: 6,
  warn: 4,
  error: 3,
  fatal: 2,
};

/** How lines are written. */
export interface LineOptions {
  /** The filter's name. */
  readonly name: string;
  readonly format: 'text' | 'json';
  /** Whether journald reads the lines: it has the time itself, and gets the priority. */
  readonly journal: boolean;
}

export function lineFormat({ name, format, journal }: LineOptions): LineFormat {
  const lines = format === 'json' ? jsonLines(name) : textLines(name, journal);
  if (!journal) return lines;
  return (entry) => lines(entry).replace(/^(?=.)/gm, `<${PRIORITIES[entry.level]}>`);
}

// --- text

function textLines(name: string, journal: boolean): LineFormat {
  const title = printable(name);
  let [time, timeText] = [Number.NaN, ''];
  return (entry) => {
    const { level, text, fields } = entry;
    if (!journal && entry.time !== time) [time, timeText] = [entry.time, new Date(entry.time).toISOString()];
    const begin = journal ? '' : `${timeText} ${level.padEnd(5)} `;
    let line = `${begin}${title}${text === '' ? '' : `: ${shownText(text)}`}`;
    const { err } = fields;
    const [summary, stack] = err === undefined ? ['', ''] : errorLines(err);
    if (summary !== '') line += ` err=${quoted(summary)}`;
    for (const key in fields) {
      const value = fields[key];
      if (value === null || value === undefined || key === 'err') continue;
      line += ` ${key === '' ? '""' : word(key)}=${word(valueText(value))}`;
    }
    return `${line}\n${stack}`;
  };
}

/** An error's first line, and the others, each of which is indented. */
function errorLines(error: unknown): [first: string, others: string] {
  const [first = '', ...others] = printableLines(cut(errorText(error), MAX_TEXT)).split('\n');
  return [first, others.map((line) => `    ${line.trimStart()}\n`).join('')];
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return `${value}`;
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value.join(',');
  try {
    return inspect(value, { breakLength: Number.POSITIVE_INFINITY, depth: 3 });
  } catch {
    return 'a value that cannot be printed';
  }
}

/** ASCII without blanks, quotes and equals signs. */
const PLAIN_WORD = /^[!#-<>-~]+$/;

/** A text as one word: in quotes if it has blanks, quotes, or an equals sign. */
function word(text: string): string {
  if (text.length <= MAX_VALUE && PLAIN_WORD.test(text)) return text;
  const shown = printable(cut(text, MAX_VALUE));
  if (PLAIN_WORD.test(shown)) return shown;
  return quoted(shown);
}

const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** An entry's own text: in quotes if it has an equals sign, so that it cannot be taken for fields. */
function shownText(text: string): string {
  const shown = printable(cut(text, MAX_TEXT));
  return /[="]/.test(shown) ? quoted(shown) : shown;
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}... (${text.length - max} more characters)`;
}

// --- JSON

function jsonLines(name: string): LineFormat {
  return ({ level, time, fields, text }) => {
    const begin = { level: 10 * (LOG_LEVELS.indexOf(level) + 1), time, pid: process.pid, name };
    // As pino has it, an error without a text has its own.
    const msg = text === '' && fields.err instanceof Error ? valueText(fields.err.message) : text;
    // Fields may come from an untrusted header; none of that name takes the place of these.
    const line = (shown: object, said: string) => stringify({ ...begin, ...shown, ...begin, msg: said });
    const short = shortText(msg, MAX_TEXT);
    return `${line(fields, msg) ?? line(eachAlone(fields), short) ?? toJson({ ...begin, msg: short })}\n`;
  };
}

const toJson = (value: unknown): string => printableJson(JSON.stringify(value, jsonValue));

/** Undefined for what JSON does not have, such as circles, and for what is too long. */
function stringify(value: object): string | undefined {
  try {
    const line = toJson(value);
    return line.length <= MAX_LINE ? line : undefined;
  } catch {
    return undefined;
  }
}

/** A text that has about `max` characters in JSON at most. */
function shortText(text: string, max: number): string {
  const shown = cut(text, max);
  return toJson({ msg: shown }).length <= max + AROUND_TEXT ? shown : cut(text, Math.floor(max / MAX_ESCAPE));
}

/** The first fields, each by itself: one that cannot be written as it is, or is long, becomes a short text. */
function eachAlone(fields: object): object {
  const written = Object.entries(fields)
    .slice(0, MAX_FIELDS)
    .map(([name, value]) => {
      const json = stringify({ value });
      const isShort = json !== undefined && json.length <= MAX_VALUE;
      return [shortText(name, MAX_NAME), isShort ? value : shortText(valueText(value), MAX_VALUE)];
    });
  return Object.fromEntries(written);
}

/** Texts of the entry's own and of errors may be longer than those of fields. */
const LONG = new Set(['msg', 'message', 'stack']);

function jsonValue(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === 'string') return cut(value, LONG.has(key) ? MAX_TEXT : MAX_VALUE);
  if (typeof value === 'bigint') return String(value);
  // Buffers have become arrays of numbers by now.
  const given = (this as Record<string, unknown>)[key];
  if (ArrayBuffer.isView(given)) return cut(valueText(given), MAX_VALUE);
  if (!(value instanceof Error)) return value;
  const { name, message, stack, cause } = value;
  return { type: name, message, stack, code: (value as { code?: unknown }).code, cause };
}
