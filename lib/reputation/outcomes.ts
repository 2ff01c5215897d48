/** The outcomes of an identity's last messages, as a store keeps them. */
import { HOUR } from '../internal/time-spans.js';

/** What a message turned out to be. */
export type Outcome = 'spam' | 'ham';

/** The number of messages by which an identity is judged. */
export const MAX_MESSAGES = 1024;

/** Hours since 1970 that three bytes hold beside the outcome: until the year 2926. */
const MAX_HOUR = 2 ** 23 - 1;
/** The characters of an outcome in base64: three bytes have four, without padding. */
const LENGTH = 4;
const BASE64 = /^[A-Za-z0-9+/]+$/;

/** The maximum length of a text of outcomes. */
export const MAX_TEXT_LENGTH = MAX_MESSAGES * LENGTH;

/**
 * Outcomes are kept as text, the newest last, so that stores append to it and cut it off without knowing more. Each has three bytes,
 * which are the hour since 1970, multiplied by two, plus one for spam.
 *
 * @param time milliseconds since 1970
 */
export function encodeOutcome(outcome: Outcome, time: number): string {
  const bytes = Buffer.alloc(3);
  bytes.writeUIntBE(hourOf(time) * 2 + (outcome === 'spam' ? 1 : 0), 0, 3);
  return bytes.toString('base64');
}

/** The text of the last {@link MAX_MESSAGES} outcomes after one more. */
export function appendOutcome(text: string, outcome: string): string {
  return (text + outcome).slice(-MAX_TEXT_LENGTH);
}

/** Whether a text consists of one to {@link MAX_MESSAGES} outcomes. */
export function isOutcomes(text: unknown): text is string {
  return (
    typeof text === 'string' &&
    text.length <= MAX_TEXT_LENGTH &&
    text.length % LENGTH === 0 &&
    BASE64.test(text)
  );
}

/** The number of messages in a text. */
export const countOutcomes = (text: string): number => text.length / LENGTH;

/** The weighted numbers of messages. */
export interface Tally {
  /** The sum of the weights of messages that were not spam. */
  readonly ham: number;
  /** The sum of the weights of messages that were spam. */
  readonly spam: number;
  /** The number of messages, without weights. */
  readonly messages: number;
}

/**
 * Counts the last {@link MAX_MESSAGES} messages of all hosts together. The weight of a message is 1 in its own hour and halves with each
 * `halfLife`; a message of the future, from a clock that was wrong, has weight 1. Times are exact to the hour; of several hosts'
 * messages in the same hour, spam counts as newer.
 *
 * @param texts the outcomes of each host
 * @param now milliseconds since 1970
 * @param halfLife milliseconds
 */
export function tally(texts: readonly string[], now: number, halfLife: number): Tally {
  const sums = { ham: 0, spam: 0 };
  const newest = newestOf(texts);
  const hour = hourOf(now);
  for (const value of newest) {
    const age = Math.max(0, hour - (value >> 1)) * HOUR;
    sums[value & 1 ? 'spam' : 'ham'] += 2 ** (-age / halfLife);
  }
  return { ...sums, messages: newest.length };
}

function newestOf(texts: readonly string[]): Uint32Array {
  const bytes = Buffer.from(texts.join(''), 'base64');
  const values = new Uint32Array(bytes.length / 3);
  for (const at of values.keys()) values[at] = bytes.readUIntBE(at * 3, 3);
  // The outcomes of one host are in their order already.
  if (texts.length > 1) values.sort();
  return values.subarray(-MAX_MESSAGES);
}

function hourOf(time: number): number {
  return Math.min(Math.max(0, Math.floor(time / HOUR)), MAX_HOUR);
}
