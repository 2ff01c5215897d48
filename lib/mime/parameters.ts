/**
 * The parameters of Content-Type and Content-Disposition, in every reading that a mail program may take: RFC 2231
 * forms beside plain ones, each of those that are given twice, boundaries with quotes in quotes. libmime decodes.
 */
import { Libmime } from 'libmime';

const libmime = new Libmime();

/** A parameter's name in lower case, and its value decoded. */
export type Parameter = readonly [name: string, value: string];

/** The parts of a field's value between semicolons, those in quoted strings aside. The first is the main value. */
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
    // What RFC 2231 encoded is decoded by now; encoded words in it are part of the name.
    return [name, decoded.has(name) || !text.includes('=?') ? text : libmime.decodeWords(text)];
  });
}

/** `name*=evil%2Eexe`, which lacks its character set. */
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

/** All parameters of a field's value; one that can be read in several ways is there several times. */
export function parseParameters(value: string): Parameter[] {
  if (!value.includes(';')) return [];
  const pieces = split(value).slice(1);
  const found = parse(value);
  if (found.length === pieces.length && !value.includes('*')) return found; // one reading for each
  for (const piece of pieces) {
    const equals = piece.indexOf('=');
    // A plain parameter beside an extended one, or the second of a name: libmime gives one of them.
    if (equals > 0 && !piece.slice(0, equals).includes('*')) found.push(...parse(`x;${piece}`));
    const mended = percentDecoded(piece);
    if (mended) found.push(mended);
  }
  const seen = new Set<string>();
  return found.filter(([name, text]) => {
    const key = `${name}=${text}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** The value ahead of the parameters, in lower case: `text/plain`, `attachment`. */
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

/** The boundaries that a Content-Type may mean: `b` for `"b"`, for `""b""` and for `"\"b\""`. */
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
