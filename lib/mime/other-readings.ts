/**
 * The readings of structure: what another program may read in place of a part.
 *
 * The scanner finds parts as widely as possible in one pass: at every boundary that any field declares, behind closing
 * boundaries, at any line break. What is left are places where programs read different things, one of which hides the other.
 * For each, a function here writes the part as a complete message that has only the other reading, so that it can be judged
 * like any message.
 */
import { type Content, MAX_CHARSETS } from './content.js';
import { isIdentity, otherContents } from './encoding-readings.js';
import { beginsWithContentFields, HeaderBlock } from './header-block.js';
import type { MimeLimits } from './limits.js';
import { CR, LF, lineEnd, skipLineBreak, withoutLoneCrs } from './lines.js';
import { decodeWithin } from './transfer-encoding.js';

/** What a part is read as. A message that is `rewritten` has been encoded again, as base64, which is no message to anybody. */
export type Kind = 'multipart' | 'message' | 'leaf' | 'rewritten';

/** A container that may also be read as one file: HTML, TNEF or ZIP, or what is only tried as a multipart, for its boundary. */
const isFileToo = (content: Content, kind: Kind): boolean =>
  kind !== 'leaf' &&
  (content.isHtml || content.isTnef || content.isZip || (kind === 'multipart' && content.hasOtherType));

const isEncodedContainer = (content: Content, kind: Kind): boolean =>
  kind === 'multipart' && content.encodings.some((encoding) => !isIdentity(encoding));

/** Whether it may be a message, but was not opened as one, or not with every encoding. */
const isOtherMessage = (content: Content, kind: Kind): boolean =>
  content.mayBeMessage && (kind === 'leaf' || (kind !== 'rewritten' && content.encodings.length > 1));

/** Whether {@link otherReadings} may give any. This is known from the head alone. */
export function hasOtherReadings(content: Content, kind: Kind, headers: HeaderBlock): boolean {
  return (
    headers.isEmpty ||
    headers.earlyEnds.length > 0 ||
    headers.hasLoneCr ||
    isFileToo(content, kind) ||
    isEncodedContainer(content, kind) ||
    isOtherMessage(content, kind) ||
    content.lacksBoundary
  );
}

/**
 * The other readings of a part, each as a message of its own.
 *
 * @param head as it is written, with the empty line
 * @param payload gives the content as it is written
 * @throws MilterError ERR_MILTER_MIME_LIMIT if one is too large
 */
export function* otherReadings(
  head: Buffer,
  content: Content,
  kind: Kind,
  payload: () => Buffer,
  limits: MimeLimits,
): Generator<Buffer> {
  const headers = new HeaderBlock(head, limits);
  if (!hasOtherReadings(content, kind, headers)) return;
  const body = payload();
  const lineBreak = Buffer.from(headers.lineBreak);
  for (const end of headers.earlyEnds) {
    const fields = endLine(withoutAmbiguity(head.subarray(0, end)), lineBreak);
    yield Buffer.concat([defaultType(content), fields, lineBreak, head.subarray(end), body]);
  }
  if (headers.hasLoneCr) {
    const part = Buffer.concat([defaultType(content), head, body]);
    // Where no line ends with LF, there is nothing but one long field.
    if (part.includes(LF)) yield* withoutLoneCrs(part);
  }
  const rest = (...keys: string[]): Buffer => {
    const others = new HeaderBlock(head, limits);
    others.deleteGarbage();
    for (const key of keys) others.delete(key);
    return others.toFields();
  };
  // Some programs skip empty lines before a head.
  const afterEmptyLines = headers.isEmpty ? skipEmptyLines(body) : body;
  if (headers.isEmpty && beginsWithContentFields(afterEmptyLines)) yield afterEmptyLines;
  // In a digest, they skip what is no head.
  if (head.length === 0 && content.isMessageByDefault) yield afterFirstEmptyLine(body);
  if (isFileToo(content, kind))
    for (const type of [...fileTypes(content), ...(kind === 'multipart' ? otherTypes(content) : [])])
      yield Buffer.concat([Buffer.from(`Content-Type: ${type}\n`), rest('Content-Type'), lineBreak, body]);
  if (isEncodedContainer(content, kind)) {
    const fields = rest('Content-Transfer-Encoding');
    for (const encoding of content.encodings.filter((each) => !isIdentity(each)))
      yield Buffer.concat([fields, lineBreak, decodeWithin(limits.maxDecoded, encoding, [body]) as Buffer]);
  }
  if (isOtherMessage(content, kind)) {
    if (kind === 'leaf')
      yield decodeWithin(limits.maxDecoded, content.encodings[0] as string, [body]) as Buffer;
    yield* otherContents([body], content.encodings, limits.maxDecoded);
  }
  if (content.lacksBoundary) {
    const subtype = content.types.includes('multipart/digest') ? 'digest' : 'mixed';
    for (const { boundary, parts } of dividedAtDashes(body)) {
      const type = `Content-Type: multipart/${subtype}; boundary="${boundary.replace(/["\\]/g, '\\$&')}"\n`;
      yield Buffer.concat([Buffer.from(type, 'latin1'), rest('Content-Type'), lineBreak, parts]);
    }
  }
}

/** The field that a part of a digest needs to be read as what it is where it stands alone. */
const defaultType = (content: Content): Buffer =>
  Buffer.from(content.isMessageByDefault ? 'Content-Type: message/rfc822\n' : '');

function skipEmptyLines(bytes: Buffer): Buffer {
  let at = 0;
  while (bytes[at] === CR || bytes[at] === LF) at++;
  return bytes.subarray(at);
}

function afterFirstEmptyLine(bytes: Buffer): Buffer {
  let at = 0;
  for (let end = lineEnd(bytes, at); end > at; end = lineEnd(bytes, at)) at = skipLineBreak(bytes, end);
  return bytes.subarray(skipLineBreak(bytes, at));
}

/** Programs that know no boundary take the first line that looks like one, or every line that begins with two dashes. */
function* dividedAtDashes(body: Buffer): Generator<{ readonly boundary: string; readonly parts: Buffer }> {
  const text = body.toString('latin1');
  const first = /(?:^|[\r\n])--([^\r\n]{0,998}[^\r\n\s-])[ \t]*(?:[\r\n]|$)/.exec(text)?.[1];
  if (first !== undefined) yield { boundary: first, parts: body };
  const parts = text.replace(/(^|[\r\n])--[^\r\n]*/g, '$1--b');
  if (parts.includes('--b')) yield { boundary: 'b', parts: Buffer.from(parts, 'latin1') };
}

/** The fields before an early end, written so that they can be read in one way only. */
function withoutAmbiguity(fields: Buffer): Buffer {
  const text = fields.toString('latin1').replace(/(?<!\r)\r\r+\n/g, '\r\n');
  return Buffer.from(text.replace(/([\r\n])[ \t]+(?=[\r\n])/g, '$1'), 'latin1');
}

const endLine = (bytes: Buffer, lineBreak: Buffer): Buffer =>
  bytes.length === 0 || bytes.at(-1) === LF || bytes.at(-1) === CR
    ? bytes
    : Buffer.concat([bytes, lineBreak]);

/** The types of a container as one file, without a boundary. */
function fileTypes(content: Content): string[] {
  const types: string[] = [];
  if (content.isHtml) {
    const type = content.isXml ? 'application/xhtml+xml' : 'text/html';
    const charsets = content.charsets.length > 0 ? content.charsets.slice(0, MAX_CHARSETS) : ['us-ascii'];
    types.push(...charsets.map((charset) => `${type}; charset="${charset.replace(/[^\w.:-]/g, '')}"`));
  }
  if (content.isTnef) types.push('application/ms-tnef');
  if (content.isZip) types.push('application/zip');
  return types;
}

/** What a part with a boundary is to programs that go by its type. */
function otherTypes(content: Content): string[] {
  if (!content.hasOtherType) return [];
  return [
    ...(content.mayBeMessage ? ['message/rfc822'] : []),
    ...(content.isCalendar ? ['text/calendar'] : []),
    content.types.some((type) => type.startsWith('text/')) ? 'text/plain' : 'application/octet-stream',
  ];
}
