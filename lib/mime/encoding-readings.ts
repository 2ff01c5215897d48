/**
 * The readings of an encoding: what a Content-Transfer-Encoding may mean, and what encoded content may decode to.
 *
 * Programs agree on content that follows RFC 2045. They differ in what they do with an unknown encoding, with padding in the
 * middle of base64, with the alphabet for URLs, and with an `=` that begins no escape sequence.
 */
import { joinChunks } from './chunks.js';
import { decodeContent, isDecodable } from './transfer-encoding.js';

const IDENTITY: ReadonlySet<string> = new Set(['', '7bit', '8bit', 'binary']);

/** Whether an encoding leaves the content as it is (RFC 2045 6.2). */
export const isIdentity = (encoding: string): boolean => IDENTITY.has(encoding);

const KINDS: readonly (readonly [pattern: RegExp, encoding: string])[] = [
  [/base-?64/, 'base64'],
  [/quoted|printable/, 'quoted-printable'],
  [/uu/, 'x-uuencode'],
];

/**
 * The encodings that a program may decode from; the usual one comes first. Without a reading that decodes, the content is
 * taken as it is.
 *
 * @param values of all Content-Transfer-Encoding fields, in lower case
 * @param isAmbiguous whether some programs may not see the fields
 */
export function encodingsOf(values: readonly string[], isAmbiguous: boolean): string[] {
  const found = new Set<string>();
  for (const value of values.length > 0 ? values : ['']) {
    if (isDecodable(value)) {
      found.add(isIdentity(value) ? '' : value);
      continue;
    }
    for (const [pattern, encoding] of KINDS) if (pattern.test(value)) found.add(encoding);
    found.add('');
  }
  if (isAmbiguous) found.add('');
  return [...found];
}

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

/** Other readings of base64: with the alphabet for URLs, and with padding in the middle skipped. */
function* otherBase64(body: Buffer): Generator<Buffer> {
  const padding = body.indexOf('=');
  const hasPadding = padding >= 0 && /[A-Za-z0-9+/]/.test(body.toString('latin1', padding));
  const hasUrlAlphabet = body.includes('-') || body.includes('_');
  if (!hasPadding && !hasUrlAlphabet) return;
  const text = body.toString('latin1');
  const skipped = text.replace(/[^A-Za-z0-9+/]/g, '');
  if (hasPadding) yield Buffer.from(skipped, 'base64');
  if (!hasUrlAlphabet) return;
  yield Buffer.from(text.replace(/[^\w+/-]/g, ''), 'base64');
  if (hasPadding)
    yield decodeContent('base64', [Buffer.from(text.replaceAll('-', '+').replaceAll('_', '/'))]) as Buffer;
}

/** Another reading of quoted-printable: without each `=` that begins no escape sequence. */
function* otherQuotedPrintable(body: Buffer): Generator<Buffer> {
  const text = body.toString('latin1');
  if (count(text, /=(?![0-9A-Fa-f]{2}|[ \t]*[\r\n]|$)/g) === 0) return;
  const cleaned = text.replace(/=(?![0-9A-Fa-f]{2}|[ \t]*[\r\n])/g, '');
  yield decodeContent('quoted-printable', [Buffer.from(cleaned, 'latin1')]) as Buffer;
}

/** The contents that `body` may decode to, besides the usual decoding from the first of `encodings`. */
export function* otherContents(body: readonly Buffer[], encodings: readonly string[]): Generator<Buffer> {
  const [usual] = encodings;
  for (const encoding of encodings) {
    if (encoding !== usual) yield decodeContent(encoding, body) as Buffer;
    if (encoding === 'base64') yield* otherBase64(joinChunks(body));
    if (encoding === 'quoted-printable') yield* otherQuotedPrintable(joinChunks(body));
  }
}
