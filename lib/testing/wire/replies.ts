/** A filter's replies: verdicts with their SMTP replies, and the modifications it asks for at the end of a message. */
import { decodeBytes } from '../../internal/bytes.js';
import { MilterError } from '../../internal/errors.js';
import { Answer, showByte } from './protocol.js';

/** An SMTP reply that a filter chose (`setreply`). */
export interface Reply {
  /** Three digits, `'550'`. */
  readonly code: string;
  /** The enhanced status code, `'5.7.1'`; absent if the filter set none. */
  readonly xcode?: string;
  /** The text of each line, without codes. Percent signs are doubled, as on the wire; MTAs send one. */
  readonly lines: readonly string[];
  /** The reply as it came, lines separated by CRLF. */
  readonly text: string;
}

/** A verdict that refuses, with the filter's own reply if it set one. */
export interface Refusal {
  /**
   * `reject`: SMFIR_REJECT or a reply of class 5; `tempfail`: SMFIR_TEMPFAIL or a reply of class 4, 421
   * included.
   */
  readonly verdict: 'reject' | 'tempfail';
  /** The filter's reply; absent if the MTA would send its own text. */
  readonly reply?: Reply;
}

/** A verdict without a reply. */
export interface Plain {
  /**
   * - `continue`, `accept`, `discard`, `skip`: the filter's verdict;
   * - `shutdown`, `connfail`: SMFIR_SHUTDOWN and SMFIR_CONN_FAIL, which libmilter never sends;
   * - `noreply`: sent, and negotiation has spared the reply to this step;
   * - `skipped`: not sent, because it was negotiated away or there was nothing to send.
   */
  readonly verdict:
    | 'continue'
    | 'accept'
    | 'discard'
    | 'skip'
    | 'shutdown'
    | 'connfail'
    | 'noreply'
    | 'skipped';
  readonly reply?: undefined;
}

/** The outcome of a step. */
export type Response = Refusal | Plain;

/** The name of an outcome. */
export type Verdict = Response['verdict'];

/** A change to the message that a filter asks for at end of message. */
export type Modification =
  /** Add a header at the end. */
  | { readonly type: 'addheader'; readonly name: string; readonly value: string }
  /** Insert a header at `index`, counted from 0. */
  | { readonly type: 'insheader'; readonly index: number; readonly name: string; readonly value: string }
  /** Change the `index`th header of that name, counted from 1; an empty value deletes it. */
  | { readonly type: 'chgheader'; readonly index: number; readonly name: string; readonly value: string }
  /** Add a recipient; `params` are ESMTP parameters, present only if SMFIR_ADDRCPT_PAR carried some. */
  | { readonly type: 'addrcpt'; readonly recipient: string; readonly params?: string }
  /** Delete a recipient. */
  | { readonly type: 'delrcpt'; readonly recipient: string }
  /** Change the envelope sender. */
  | { readonly type: 'chgfrom'; readonly sender: string; readonly params?: string }
  /** Replace the body; consecutive chunks are one modification. */
  | { readonly type: 'replacebody'; readonly body: Buffer }
  /** Hold the message. */
  | { readonly type: 'quarantine'; readonly reason: string };

/** The outcome of end of message. */
export type EomResponse = Response & {
  /** The changes that the filter asked for, in its order. */
  readonly modifications: readonly Modification[];
  /** How often the filter reported progress. */
  readonly progress: number;
};

const PLAIN: ReadonlyMap<number, Response> = new Map<number, Response>([
  [Answer.CONTINUE, { verdict: 'continue' }],
  [Answer.ACCEPT, { verdict: 'accept' }],
  [Answer.REJECT, { verdict: 'reject' }],
  [Answer.TEMPFAIL, { verdict: 'tempfail' }],
  [Answer.DISCARD, { verdict: 'discard' }],
  [Answer.SKIP, { verdict: 'skip' }],
  [Answer.SHUTDOWN, { verdict: 'shutdown' }],
  [Answer.CONN_FAIL, { verdict: 'connfail' }],
]);

function malformed(what: string, payload: Buffer): never {
  const bytes = JSON.stringify(payload.subarray(0, 60).toString('latin1'));
  throw new MilterError('ERR_MILTER_PROTOCOL', `the filter sent a malformed ${what}: ${bytes}`);
}

/** Splits a payload of `least` to `most` strings, each ended by a NUL. */
function strings(what: string, payload: Buffer, least: number, most: number, from = 0): string[] {
  const found: string[] = [];
  let at = from;
  while (at < payload.length) {
    const end = payload.indexOf(0, at);
    if (end < 0) malformed(what, payload);
    found.push(decodeBytes(payload.subarray(at, end)));
    at = end + 1;
  }
  if (found.length < least || found.length > most) malformed(what, payload);
  return found;
}

function parseReply(payload: Buffer): Response {
  const [text = ''] = strings('reply', payload, 1, 1);
  const rows = text.split(/\r?\n/);
  const code = /^[45]\d\d(?=[ -]|$)/.exec(text)?.[0];
  if (code === undefined) malformed('reply', payload);
  const xcode = /^[245]\.\d{1,3}\.\d{1,3}(?= |$)/.exec(text.slice(4))?.[0];
  // As Postfix does, which then sends a reply of its own: the digit could begin an extended code of another class.
  if (/^[0-9]/.test(text.slice(4)) && text[4] !== text[0]) malformed('reply', payload);
  const lines = rows.map((row) => {
    if (!row.startsWith(code)) malformed('reply', payload);
    const line = row.slice(4);
    if (xcode === undefined || !line.startsWith(xcode)) return line;
    return line.slice(xcode.length + 1);
  });
  const reply: Reply = xcode === undefined ? { code, lines, text } : { code, xcode, lines, text };
  return { verdict: code.startsWith('5') ? 'reject' : 'tempfail', reply };
}

/** Reads a frame that ends a step; undefined for any other frame. */
export function parseVerdict(command: number, payload: Buffer): Response | undefined {
  if (command === Answer.REPLYCODE) return parseReply(payload);
  return PLAIN.get(command);
}

function withParams(parts: string[]): { params?: string } {
  return parts[1] === undefined ? {} : { params: parts[1] };
}

function parseModification(command: number, payload: Buffer): Modification | undefined {
  switch (command) {
    case Answer.ADDHEADER: {
      const [name = '', value = ''] = strings('addheader', payload, 2, 2);
      return { type: 'addheader', name, value };
    }
    case Answer.INSHEADER:
    case Answer.CHGHEADER: {
      const type = command === Answer.INSHEADER ? 'insheader' : 'chgheader';
      if (payload.length < 4) malformed(type, payload);
      const [name = '', value = ''] = strings(type, payload, 2, 2, 4);
      return { type, index: payload.readUInt32BE(0), name, value };
    }
    case Answer.ADDRCPT: {
      const [recipient = ''] = strings('addrcpt', payload, 1, 1);
      return { type: 'addrcpt', recipient };
    }
    case Answer.ADDRCPT_PAR: {
      const parts = strings('addrcpt', payload, 1, 2);
      return { type: 'addrcpt', recipient: parts[0] ?? '', ...withParams(parts) };
    }
    case Answer.DELRCPT: {
      const [recipient = ''] = strings('delrcpt', payload, 1, 1);
      return { type: 'delrcpt', recipient };
    }
    case Answer.CHGFROM: {
      const parts = strings('chgfrom', payload, 1, 2);
      return { type: 'chgfrom', sender: parts[0] ?? '', ...withParams(parts) };
    }
    case Answer.QUARANTINE: {
      const [reason = ''] = strings('quarantine', payload, 1, 1);
      return { type: 'quarantine', reason };
    }
    default:
      return undefined;
  }
}

/** Collects what a filter sends between the end of a message and its verdict. */
export class EomCollector {
  readonly #modifications: Modification[] = [];
  #bodyChunks: Buffer[] | undefined;
  #progress = 0;

  /** Takes a frame; returns the outcome if this one ends the message. */
  take(command: number, payload: Buffer): EomResponse | undefined {
    if (command === Answer.PROGRESS) {
      this.#progress++;
      return undefined;
    }
    if (command === Answer.REPLBODY) {
      this.#bodyChunks ??= [];
      this.#bodyChunks.push(payload);
      return undefined;
    }
    this.#endBody();
    const modification = parseModification(command, payload);
    if (modification !== undefined) {
      this.#modifications.push(modification);
      return undefined;
    }
    const response = parseVerdict(command, payload);
    if (response === undefined) throw unexpectedFrame(command, 'eom');
    return { ...response, modifications: this.#modifications, progress: this.#progress };
  }

  #endBody(): void {
    if (this.#bodyChunks === undefined) return;
    this.#modifications.push({ type: 'replacebody', body: Buffer.concat(this.#bodyChunks) });
    this.#bodyChunks = undefined;
  }
}

/** The error for a frame that does not answer the step. */
export function unexpectedFrame(command: number, step: string): MilterError {
  return new MilterError(
    'ERR_MILTER_PROTOCOL',
    `the filter sent ${showByte(command)}, which does not answer ${step}`,
  );
}
