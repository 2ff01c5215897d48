/**
 * The parameters of Content-Type and Content-Disposition, in every way that a mail program may read them: RFC 2231 forms
 * beside plain ones, all values of a repeated parameter, boundaries with nested quotes. libmime does the decoding.
 */
import { Libmime } from 'libmime';

const libmime = new Libmime();

/** A parameter's name in lower case, and its decoded value. */
export type Parameter = readonly [name: string, value: string];

/** Splits a field's value at semicolons outside quoted strings. The first piece is the main value. */
function split(value: string): string[] {
  const pieces: string[] = [];
  let begin = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const character = value[at];
    if (character === '\\') at++;
    else if (character === '"') quoted = !quoted;
    else if (character === ';' && !quoted) {
      pieces.push(value.slice(begin, at));
      begin = at + 1;
    }
  }
  pieces.push(value.slice(begin));
  return pieces;
}

function parse(value: string): Parameter[] {
  const { params, decodedParams } = libmime.parseHeaderValue(value, { stripComments: true });
  const decoded = new Set(decodedParams);
  return Object.entries(params).map(([name, raw]) => {
    const text = String(raw);
    // A value in RFC 2231 encoding is decoded already; what looks like an encoded word in it is literal text.
    return [name, decoded.has(name) || !text.includes('=?') ? text : libmime.decodeWords(text)];
  });
}

/** Decodes `name*=evil%2Eexe`, where the character set is missing. */
function percentDecoded(piece: string): Parameter | null {
  const equals = piece.indexOf('=');
  const name = piece.slice(0, equals).trim().toLowerCase();
  if (equals < 0 || !name.endsWith('*') || !piece.includes('%') || piece.includes("'")) return null;
  const bytes = piece
    .slice(equals + 1)
    .trim()
    .replace(/^"|"$/g, '')
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return [name.slice(0, name.indexOf('*')), Buffer.from(bytes, 'latin1').toString()];
}

/** All parameters of a field's value. A parameter that can be read in several ways is included several times. */
export function parseParameters(value: string): Parameter[] {
  if (!value.includes(';')) return [];
  const pieces = split(value).slice(1);
  const found = parse(value);
  if (found.length === pieces.length && !value.includes('*')) return found; // each can be read in one way only
  for (const piece of pieces) {
    const equals = piece.indexOf('=');
    // A plain parameter beside an extended one, or a repeated parameter: libmime returns only one of them.
    if (equals > 0 && !piece.slice(0, equals).includes('*')) found.push(...parse(`x;${piece}`));
    const decoded = percentDecoded(piece);
    if (decoded) found.push(decoded);
  }
  const seen = new Set<string>();
  return found.filter(([name, text]) => {
    const key = `${name}=${text}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** The value before the parameters, in lower case, such as `text/plain` or `attachment`. */
export function mainValue(value: string): string {
  const semicolon = value.indexOf(';');
  const simple = !value.slice(0, semicolon).includes('"');
  const main = semicolon < 0 ? value : simple ? value.slice(0, semicolon) : (split(value)[0] as string);
  return (main.includes('(') ? libmime.parseHeaderValue(main, { stripComments: true }).value : main)
    .trim()
    .toLowerCase();
}

const unquoted = (text: string): string => {
  let begin = 0;
  let end = text.length;
  while (end - begin >= 2 && text[begin] === '"' && text[end - 1] === '"') {
    begin++;
    end--;
  }
  return text.slice(begin, end);
};

/** All boundaries that mail programs may read from a Content-Type: `b` for `"b"`, `""b""` and `"\"b\""`. */
export function boundariesOf(value: string): string[] {
  const found = new Set<string>();
  for (const [name, text] of parseParameters(value))
    if (name === 'boundary') found.add(text).add(unquoted(text));
  for (const piece of split(value).slice(1)) {
    const equals = piece.indexOf('=');
    if (piece.slice(0, equals).trim().toLowerCase() === 'boundary')
      found.add(unquoted(piece.slice(equals + 1).trim()));
  }
  return [...found].map((text) => text.trimEnd()).filter((text) => text !== '');
}
