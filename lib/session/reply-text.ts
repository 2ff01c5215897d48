/** Replies with text that comes from outside the filter: what may not stand in a reply is replaced, so that none is refused. */
import { badReply } from '../internal/wire-text.js';
import {
  checkCode,
  checkExtended,
  lineOctets,
  MAX_REPLY_BYTES,
  MAX_REPLY_LINES,
  MAX_REPLY_OCTETS,
} from './reply.js';

/** Octets of a reply line with its codes and its CRLF (RFC 5321 4.5.3.1.5). */
const MAX_LINE_OCTETS = 512;
/** What stands at the end of a text that was cut. */
const CUT = ' ...';
/** More characters than 32 lines can show; the rest of a text is not even looked at. */
const MAX_TEXT = MAX_REPLY_LINES * MAX_LINE_OCTETS;
/** The text of a reply to which none is left. */
const NO_TEXT: Readonly<Record<string, string>> = { '4': 'try again later', '5': 'refused' };

/** Control characters become blanks, and what is not ASCII becomes `?`: neither may stand in a reply (RFC 5321 4.2). */
export function replaceUnprintable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ').replace(/[^ -~]/gu, '?');
}

/** A reply's text as its author means it: the MTA takes `%%` for a percent sign. */
export function escapePercents(text: string): string {
  return text.replaceAll('%', '%%');
}

/** Cuts a line into pieces of at most `width` characters, between words if there is a blank in the second half. */
function* wrapped(line: string, width: number): Generator<string> {
  let rest = line;
  while (rest.length > width) {
    const blank = rest.lastIndexOf(' ', width);
    const end = blank > width / 2 ? blank : width;
    yield rest.slice(0, end).trimEnd();
    rest = rest.slice(end).trimStart();
  }
  yield rest;
}

/** The lines of a reply with this text; none is empty. */
function* piecesOf(text: string, width: number): Generator<string> {
  for (const line of text.split(/[\r\n\v\f\x85\u2028\u2029]+/)) {
    for (const piece of wrapped(replaceUnprintable(line).trim(), width)) if (piece !== '') yield piece;
  }
}

/**
 * Makes a reply of any text, for setreply.
 * @returns the arguments of setreply after the code
 * @throws MilterError ERR_MILTER_BAD_REPLY for codes that no reply may have; never because of the text
 */
export function replyOfText(
  code: string,
  extended: string | null,
  text: string,
): [extended: string, ...lines: string[]] {
  const action = 'setReplyText';
  if (typeof text !== 'string') throw badReply(action, `the text must be a string, not ${typeof text}`);
  checkCode(action, code);
  const ownClass = code.slice(0, 1);
  const ofClass = extended === null ? `${ownClass}.7.1` : String(extended).replace(/^[245](?=\.)/, ownClass);
  checkExtended(action, code, ofClass);
  // The client's limit, and libmilter's, for which each percent sign is two bytes.
  const width = Math.min(MAX_LINE_OCTETS - lineOctets(ofClass, ''), MAX_REPLY_BYTES / 2);
  const lines: string[] = [];
  let isCut = text.length > MAX_TEXT;
  let room = MAX_REPLY_OCTETS - CUT.length;
  for (const piece of piecesOf(text.slice(0, MAX_TEXT), width)) {
    room -= lineOctets(ofClass, piece);
    if (lines.length === MAX_REPLY_LINES || room < 0) {
      isCut = true;
      break;
    }
    lines.push(piece);
  }
  if (lines.length === 0) lines.push(NO_TEXT[ownClass] as string);
  if (isCut) lines.push(`${(lines.pop() as string).slice(0, width - CUT.length)}${CUT}`);
  return [ofClass, ...lines.map(escapePercents)];
}
