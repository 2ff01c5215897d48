/** Writing Authentication-Results fields: whatever a value holds, it stays one value (RFC 8601 2.2). */
import { badArgument } from '../internal/errors.js';
import type { AuthRes, AuthResProperty, AuthResResult } from './types.js';

const KEYWORD = /^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$/;
/** A token of RFC 2045 5.1: printable ASCII but tspecials. */
const TOKEN = /^[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+$/;
/** An address that needs no quotes: [[local-part] "@"] domain-name, without what many readers take for the end of a value. */
const ADDRESS = /^[!#$%&'*+^_`{|}~0-9A-Za-z.-]*@[0-9A-Za-z](?:[0-9A-Za-z._-]*[0-9A-Za-z])?$/;
/** Longest value that is written, in characters; a longer one is cut. */
const MAX_VALUE = 998;
const FOLD = ';\n\t';
/** A result that is longer is folded between its properties: a line may have 998 characters (RFC 5322 2.1.1), and Sendmail cuts at 2,300. */
const MAX_LINE = 900;

/** How fields are written. */
export interface FormatAuthResOptions {
  /** Leave characters beyond ASCII as they are: for messages with SMTPUTF8 only (RFC 6532). Default false: `?`. */
  readonly utf8?: boolean;
}

/**
 * The value of an Authentication-Results field, folded with LF and a tab before each result.
 *
 * Values may come from an untrusted client: one that is not a token is quoted, control characters become `?`, and what is longer than 998
 * characters is cut.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an id that is empty, and for a method, result, ptype or property that
 *   is not a keyword: these are the program's own
 */
export function formatAuthRes(authres: AuthRes, options: FormatAuthResOptions = {}): string {
  const { utf8 = false } = options;
  if (authres.id === '') throw bad('the authserv-id must not be empty');
  const version = authres.version === undefined ? '' : ` ${String(Math.trunc(authres.version))}`;
  const head = quotedWhereNeeded(authres.id, utf8) + version;
  if (authres.results.length === 0) return `${head}; none`;
  return [head, ...authres.results.map((result) => formatResult(result, utf8))].join(FOLD);
}

function formatResult(result: AuthResResult, utf8: boolean): string {
  const { method, methodVersion, reason, properties = [] } = result;
  const version = methodVersion === undefined ? '' : `/${Math.trunc(methodVersion)}`;
  const parts = [`${checked('method', method)}${version}=${checked('result', result.result)}`];
  if (reason !== undefined) parts.push(`reason=${quoted(reason, utf8)}`);
  for (const property of properties) parts.push(formatProperty(property, utf8));
  const line = parts.join(' ');
  return line.length <= MAX_LINE ? line : parts.join('\n\t');
}

function formatProperty({ ptype, property, value }: AuthResProperty, utf8: boolean): string {
  return `${checked('ptype', ptype)}.${checked('property', property)}=${quotedWhereNeeded(value, utf8)}`;
}

function checked(what: string, text: string): string {
  if (!KEYWORD.test(text)) throw bad(`${what} ${JSON.stringify(text)} is not a keyword (RFC 8601 2.2)`);
  return text;
}

function quotedWhereNeeded(value: string, utf8: boolean): string {
  const fits = value.length <= MAX_VALUE && (TOKEN.test(value) || ADDRESS.test(value));
  return fits ? value : quoted(value, utf8);
}

function quoted(value: string, utf8: boolean): string {
  let text = '';
  for (const character of value.slice(0, MAX_VALUE)) {
    if (character === '"' || character === '\\') text += `\\${character}`;
    else text += isAllowed(character, utf8) ? character : '?';
  }
  return `"${text}"`;
}

/** Printable ASCII; with `utf8` all that is not a control or format character, a line separator or half a character. */
function isAllowed(character: string, utf8: boolean): boolean {
  if (character <= '~') return character >= ' ';
  return utf8 && !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(character);
}

const bad = (message: string) => badArgument(`formatAuthRes: ${message}`);
