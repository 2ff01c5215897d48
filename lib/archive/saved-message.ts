/**
 * The file of a message that a handler failed on: one line of JSON with the facts about its session, then the message as it arrived.
 * docs/archive.md describes it for other programs.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { inspect } from 'node:util';
import { decodeBytes } from '../internal/bytes.js';
import { archiveError } from './archive-error.js';

/** The address of an SMTP client. */
export type SavedPeer =
  | { readonly family: 'inet' | 'inet6'; readonly address: string; readonly port: number }
  | { readonly family: 'unix'; readonly path: string }
  | { readonly family: 'unknown' };

/** Macros by name. */
export type SavedMacros = Readonly<Record<string, string>>;

/** What a handler has thrown. */
export interface SavedError {
  readonly name: string;
  readonly code: string | null;
  /** The error with its stack, its cause and its properties, as Node's inspect writes them. */
  readonly text: string;
}

/** The session of a message that was saved. Texts are as handlers receive them: bytes that are not UTF-8 are U+DC80 to U+DCFF. */
export interface SavedFacts {
  /** When the handler failed, as `2026-11-29T01:45:00.000Z`. */
  readonly savedAt: string;
  /** The step whose handler failed, by the name of its libmilter callback. */
  readonly step: string;
  readonly error: SavedError;
  /** The client's name as connect was given it, and its address; null if there was no connect. */
  readonly client: { readonly hostname: string; readonly peer: SavedPeer } | null;
  readonly helo: string | null;
  /** MAIL FROM as the client wrote it, and its ESMTP parameters. */
  readonly sender: readonly string[];
  /** Each RCPT TO with its ESMTP parameters, also of those that were refused, and the macros that came with it. */
  readonly recipients: readonly { readonly command: readonly string[]; readonly macros: SavedMacros }[];
  /** Macros by the step that they came with: connect, helo, envfrom, data, eoh or eom. */
  readonly macros: Readonly<Record<string, SavedMacros>>;
  /** Whether the message had arrived to its end when the handler failed. */
  readonly complete: boolean;
}

/** A message that was saved. */
export interface SavedMessage extends SavedFacts {
  /** Names, and values with everything after the colon; folded lines are separated by LF. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** The version of the format. */
const FORMAT = 1;
const MAX_ERROR_LENGTH = 64 * 1024;
const MAX_BYTES = 512 * 2 ** 20;
const LF = 0x0a;

/** The first line of a file. */
export function factsLine(facts: SavedFacts): Buffer {
  return Buffer.from(`${JSON.stringify({ format: FORMAT, ...facts })}\n`);
}

/** Whether bytes begin as the file of a message that was saved, of whatever version: an object with a format. */
export function isSaved(bytes: Buffer): boolean {
  if (bytes[0] !== 0x7b) return false; // {
  const end = bytes.indexOf(LF);
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8', 0, Math.max(end, 0)));
    return typeof (value as { format?: unknown }).format === 'number';
  } catch {
    return false; // a header field may begin with a brace
  }
}

/** Describes what was thrown, which may be anything, also an object that cannot be shown. */
export function describeError(error: unknown): SavedError {
  const { name, code } = Object(error) as { name?: unknown; code?: unknown };
  let text: string;
  try {
    text = inspect(error).slice(0, MAX_ERROR_LENGTH);
  } catch {
    text = 'a value that cannot be printed';
  }
  return {
    name: typeof name === 'string' ? name : typeof error,
    code: typeof code === 'string' ? code : null,
    text,
  };
}

/**
 * Reads the file of a message that was saved.
 * @throws MilterError ERR_MILTER_ARCHIVE if it is none, of a newer version, or larger than 512 MiB; errors of the file system
 */
export async function readSaved(path: string): Promise<SavedMessage> {
  // O_NONBLOCK: opening a named pipe would otherwise wait until something writes to it.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  let bytes: Buffer;
  try {
    const { size } = await file.stat();
    if (size > MAX_BYTES) throw archiveError(path, `has more than ${MAX_BYTES} bytes`);
    bytes = await file.readFile();
  } finally {
    await file.close();
  }
  const end = bytes.indexOf(LF);
  const facts = factsOf(path, bytes.toString('utf8', 0, Math.max(end, 0)));
  return { ...facts, ...contentOf(bytes.subarray(end + 1)) };
}

function factsOf(path: string, line: string): SavedFacts {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw archiveError(path, 'its first line is not JSON: it is no message that was saved', error);
  }
  const { format, ...facts } = Object(value) as SavedFacts & { format: unknown };
  if (typeof format === 'number' && format > FORMAT)
    throw archiveError(path, `its format ${format} needs a newer version of tsmilter`);
  if (format !== FORMAT || !isFacts(facts)) throw archiveError(path, 'is no message that was saved');
  return facts;
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every((text) => typeof text === 'string');

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What a replay relies on; the checks of the testing module refuse addresses and macros that no MTA sends. */
function isFacts(facts: SavedFacts): boolean {
  const { client, helo, sender, recipients, macros } = facts;
  return (
    (client === null || (isRecord(client) && typeof client.hostname === 'string' && isRecord(client.peer))) &&
    (helo === null || typeof helo === 'string') &&
    isTexts(sender) &&
    Array.isArray(recipients) &&
    recipients.every((recipient) => isTexts(recipient?.command) && isRecord(recipient.macros)) &&
    isRecord(macros) &&
    Object.values(macros).every(isRecord)
  );
}

/** Header fields end in CRLF, but for folds; an empty line ends the headers. */
function contentOf(bytes: Buffer): Pick<SavedMessage, 'headers' | 'body'> {
  const headers: [name: string, value: string][] = [];
  let at = 0;
  while (at < bytes.length && bytes.indexOf('\r\n', at) !== at) {
    const end = endOfField(bytes, at);
    const [name, value] = divided(decodeBytes(bytes.subarray(at, end)));
    headers.push([name, value.replaceAll('\r\n', '\n')]);
    at = end + 2;
  }
  return { headers, body: bytes.subarray(at + 2) };
}

/** Where the CRLF is that no fold follows. */
function endOfField(bytes: Buffer, start: number): number {
  for (let at = bytes.indexOf('\r\n', start); at >= 0; at = bytes.indexOf('\r\n', at + 2)) {
    const next = bytes[at + 2];
    if (next !== 0x20 && next !== 0x09) return at;
  }
  return bytes.length;
}

function divided(field: string): [string, string] {
  const colon = field.indexOf(':');
  return colon < 0 ? [field, ''] : [field.slice(0, colon), field.slice(colon + 1)];
}
