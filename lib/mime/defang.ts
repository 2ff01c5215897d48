/** Defanging: replaces dangerous attachments by warnings and removes scripts from HTML. */
import { hostname } from 'node:os';
import { badArgument, MilterError } from '../internal/errors.js';
import { checkOptions, type OptionNames } from '../internal/validate.js';
import type { NamePair } from './content.js';
import { checkExt, trimFilename } from './extensions.js';
import { LIMIT_OPTIONS, type MimeLimitOptions, type MimeLimits, resolveLimits } from './limits.js';
import { type HeaderChange, MessageState, MimeMessage } from './message.js';
import { PagedBuffer } from './paged-buffer.js';
import { type Entity, Scanner } from './scanner.js';
import { chunksOf, type MessageSource } from './source.js';
import { isDecodable } from './transfer-encoding.js';
import { type Danger, replaceWithWarning } from './warning.js';

/** Decides whether a file of this name is dangerous: it returns the name, or any other true value, if it is. */
export type NameCheck = (name: string) => string | boolean | null | undefined;

export interface DefangOptions extends MimeLimitOptions {
  /** Where the original message is saved, as the warning says. Default: null, which means that it is not saved. */
  readonly savname?: string | null;
  /** Decides which names are dangerous. Default: {@link checkExt} */
  readonly check?: NameCheck;
  /** Whether attached messages are scanned. Default: true */
  readonly scanRfc822?: boolean;
  /** Whether the names in ZIP files are checked. Default: false */
  readonly scanZip?: boolean;
  /** Whether scripts are removed from HTML. Default: true */
  readonly scanHtml?: boolean;
  /** The host that the warning names. Default: the name of this machine */
  readonly host?: string;
}

interface Settings {
  readonly savname: string | null;
  readonly check: NameCheck;
  readonly scanRfc822: boolean;
  readonly scanZip: boolean;
  readonly scanHtml: boolean;
  readonly host: string;
  readonly limits: MimeLimits;
}

const OPTIONS: OptionNames<DefangOptions> = {
  ...LIMIT_OPTIONS,
  savname: true,
  check: true,
  scanRfc822: true,
  scanZip: true,
  scanHtml: true,
  host: true,
};

function settingsOf(options: DefangOptions, base?: Readonly<MimeLimits>): Settings {
  const { savname = null, check = checkExt, host = hostname() } = options;
  const { scanRfc822 = true, scanZip = false, scanHtml = true } = options;
  if (typeof check !== 'function') throw badArgument('defang: check must be a function');
  return { savname, check, host, scanRfc822, scanZip, scanHtml, limits: resolveLimits(options, base) };
}

const DANGEROUS_KIND = 'because files of this kind can harm the computer they are opened on';
const oneLine = (text: string): string => text.replace(/\p{Cc}+/gu, ' ');

/** The first name that the check objects to. */
function dangerousName(names: readonly NamePair[], check: NameCheck): string | undefined {
  return names.find(([, name]) => check(name) || check(trimFilename(name)))?.[1];
}

/** The danger in the names of a part; null if there is none. */
function dangerByName(names: readonly NamePair[], settings: Settings): Danger | null {
  const name = dangerousName(names, settings.check);
  return name === undefined ? null : { name, reason: DANGEROUS_KIND };
}

/** The danger in a ZIP file; null if there is none. A file that cannot be read, or exceeds a limit, is dangerous. */
async function dangerInZip(part: MimeMessage, settings: Settings): Promise<Danger | null> {
  const name = part.getfilename() ?? 'a ZIP file';
  try {
    const inside = dangerousName(await part.getnames(true, settings.limits), settings.check);
    return inside === undefined ? null : { name, reason: `because of ${JSON.stringify(inside)} in it` };
  } catch (error) {
    if (!(error instanceof MilterError)) throw error;
    const reason =
      error.code === 'ERR_MILTER_BAD_ZIP'
        ? 'because its contents could not be checked'
        : 'because it has too much content to be checked';
    return { name, reason };
  }
}

/** What was changed. */
interface DefangResult {
  changed: boolean;
  /** The names of the parts that were replaced. */
  readonly replaced: string[];
}

function replace(part: MimeMessage, danger: Danger, settings: Settings, result: DefangResult): void {
  replaceWithWarning(
    part,
    { ...danger, name: oneLine(danger.name) },
    oneLine(settings.host),
    settings.savname,
  );
  result.replaced.push(danger.name);
  result.changed = true;
}

async function defangLeaf(part: MimeMessage, settings: Settings, result: DefangResult): Promise<void> {
  const names = await part.getnames();
  let danger = dangerByName(names, settings);
  if (!danger && settings.scanZip && part.iszip()) danger = await dangerInZip(part, settings);
  if (danger) replace(part, danger, settings, result);
  else if (settings.scanHtml && part.ishtml()) defangHtml(part, settings, result);
}

function defangHtml(part: MimeMessage, settings: Settings, result: DefangResult): void {
  const done = part.removeScripts(settings.limits.maxHtmlSize);
  if (done === 'too large') {
    const reason = 'because it is too large to have its scripts removed';
    replace(part, { name: part.getfilename() ?? 'HTML', reason }, settings, result);
  } else if (done === 'removed') result.changed = true;
}

async function defangPart(part: MimeMessage, settings: Settings, result: DefangResult): Promise<void> {
  if (part.getSubmsg() && !settings.scanRfc822) return;
  if (part.parts.length === 0 && !part.ismultipart()) return defangLeaf(part, settings, result);
  for (const inner of part.parts) await defangPart(inner, settings, result);
}

/**
 * Replaces each dangerous part by a text/plain part named WARNING.TXT, and removes the scripts from HTML (pymilter's
 * `defang`). It edits the message in place. The bytes of all other parts stay the same.
 *
 * A ZIP file that cannot be read, or exceeds a limit, is dangerous; an empty one is not. Changes to the header fields of the
 * message itself are reported to {@link MimeMessage.headerchange}.
 *
 * @returns whether anything changed
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT
 */
export async function defang(message: MimeMessage, options: DefangOptions = {}): Promise<boolean> {
  if (!(message instanceof MimeMessage)) {
    throw badArgument('defang takes a MimeMessage: read one with messageFromFile(), or use defangStream()');
  }
  checkOptions('defang', options, OPTIONS);
  const settings = settingsOf(options, message.limits);
  const result: DefangResult = { changed: false, replaced: [] };
  await defangPart(message, settings, result);
  return result.changed;
}

export interface DefangStreamOptions extends DefangOptions {
  /** Called when a header field of the message itself changes. Default: not called */
  readonly headerchange?: HeaderChange;
  /** Whether to omit the header fields of the message itself, as needed for `replacebody`. Default: false */
  readonly bodyOnly?: boolean;
}

const STREAM_OPTIONS: OptionNames<DefangStreamOptions> = { ...OPTIONS, headerchange: true, bodyOnly: true };

/** A message that is defanged while it is read. It can be read only once. */
export class DefangStream implements AsyncIterable<Buffer> {
  readonly #source: MessageSource;
  readonly #options: DefangStreamOptions;
  readonly #settings: Settings;
  readonly #result: DefangResult = { changed: false, replaced: [] };

  constructor(source: MessageSource, options: DefangStreamOptions) {
    this.#source = source;
    this.#options = options;
    checkOptions('defangStream', options, STREAM_OPTIONS);
    this.#settings = settingsOf(options);
  }

  /** Whether anything has been changed so far. It is final once the stream has been read to its end. */
  get changed(): boolean {
    return this.#result.changed;
  }

  /** The names of the parts that have been replaced so far. */
  get replaced(): readonly string[] {
    return this.#result.replaced;
  }

  /** Reads to the end and discards the bytes. @returns whether anything was changed */
  async finish(): Promise<boolean> {
    for await (const _ of this);
    return this.changed;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    const { limits, scanRfc822 } = this.#settings;
    const scanner = new Scanner(limits, { attachedMessages: scanRfc822 });
    const state = new MessageState();
    let plan: Plan = 'pass';
    const held = new PagedBuffer();
    const piecesOf = async function* (source: MessageSource) {
      for await (const chunk of chunksOf(source)) yield* scanner.write(chunk);
      yield* scanner.end();
    };
    for await (const piece of piecesOf(this.#source)) {
      const { entity } = piece;
      if (piece.type === 'head') {
        plan = this.#planFor(entity);
        if (plan === 'pass' && !this.#omits(entity)) yield piece.bytes;
      } else if (piece.type === 'end') {
        if (entity.kind === 'leaf' && plan !== 'pass') {
          yield* this.#defanged(entity, held.take(), state);
        }
        plan = 'pass';
      } else if (plan === 'pass') yield piece.bytes;
      else if (plan === 'inspect') held.add(piece.bytes);
    }
  }

  #omits(entity: Entity): boolean {
    return entity.parent === null && this.#options.bodyOnly === true;
  }

  #planFor(entity: Entity): Plan {
    const { content, kind } = entity;
    const { scanRfc822, scanZip, scanHtml } = this.#settings;
    if (kind !== 'leaf' || (content.isMessage && !scanRfc822)) return 'pass';
    if (content.isMessage && isDecodable(content.encoding)) return 'inspect';
    if (dangerByName(content.names, this.#settings)) return 'replace';
    return (scanZip && content.isZip) || (scanHtml && content.isHtml) ? 'inspect' : 'pass';
  }

  async *#defanged(entity: Entity, body: readonly Buffer[], state: MessageState): AsyncGenerator<Buffer> {
    const part = MimeMessage.leaf(entity, body, this.#settings.limits, state);
    if (entity.parent === null) part.headerchange = this.#options.headerchange ?? null;
    await defangPart(part, this.#settings, this.#result);
    yield* this.#omits(entity) ? part.bodyChunks() : part.chunks();
  }
}

/** What to do with a part after its head: pass it on as it is read, drop its content, or collect all of it for inspection. */
type Plan = 'pass' | 'replace' | 'inspect';

/**
 * As {@link defang}, but while the message is read: parts that need no change are passed on in chunks, in constant memory.
 * HTML parts, and ZIP files whose names are checked, are buffered until they are complete.
 *
 * Whether anything was changed is known only at the end of the message. To replace a body only if it has changed, read the
 * source twice, or keep the chunks.
 *
 * @param source the path of a file, a stream of bytes, or bytes
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT; while reading, ERR_MILTER_MIME_LIMIT and errors of the source
 */
export function defangStream(source: MessageSource, options: DefangStreamOptions = {}): DefangStream {
  return new DefangStream(source, options);
}
