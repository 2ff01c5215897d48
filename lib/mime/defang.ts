/** Makes a message harmless: warnings for dangerous attachments, HTML without scripts. */
import { hostname } from 'node:os';
import { badArgument, MilterError } from '../internal/errors.js';
import { checkOptions, type OptionNames } from '../internal/validate.js';
import type { NamePair } from './content.js';
import { checkExt, trimFilename } from './extensions.js';
import { LIMIT_OPTIONS, type MimeLimitOptions, type MimeLimits, resolveLimits } from './limits.js';
import { type HeaderChange, MimeMessage, Shared } from './message.js';
import { PagedBuffer } from './paged-buffer.js';
import { type Entity, Scanner } from './scanner.js';
import { chunksOf, type MessageSource } from './source.js';
import { isDecodable } from './transfer-encoding.js';
import { type Danger, replaceWithWarning } from './warning.js';

/** Says whether a file of this name is dangerous: its name, or anything that is true. */
export type NameCheck = (name: string) => string | boolean | null | undefined;

export interface DefangOptions extends MimeLimitOptions {
  /** Where the original message is saved, for the warning to tell. Default: null, it is not. */
  readonly savname?: string | null;
  /** Which names are dangerous. Default: {@link checkExt} */
  readonly check?: NameCheck;
  /** Whether to look into attached messages. Default: true */
  readonly scanRfc822?: boolean;
  /** Whether to look into ZIP files. Default: false */
  readonly scanZip?: boolean;
  /** Whether to take scripts out of HTML. Default: true */
  readonly scanHtml?: boolean;
  /** The host that the warning names. Default: this machine's name */
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

const OF_THIS_KIND = 'because files of this kind can harm the computer they are opened on';
const oneLine = (text: string): string => text.replace(/\p{Cc}+/gu, ' ');

/** The first name that the check objects to. */
function dangerousName(names: readonly NamePair[], check: NameCheck): string | undefined {
  return names.find(([, name]) => check(name) || check(trimFilename(name)))?.[1];
}

/** Why the names that a part's head gives are dangerous; null where they are not. */
function dangerByName(names: readonly NamePair[], settings: Settings): Danger | null {
  const name = dangerousName(names, settings.check);
  return name === undefined ? null : { name, because: OF_THIS_KIND };
}

/** Why what is in a ZIP file is dangerous. One that cannot be read, or is beyond a limit, is. */
async function dangerInZip(part: MimeMessage, settings: Settings): Promise<Danger | null> {
  const name = part.getfilename() ?? 'a ZIP file';
  try {
    const inside = dangerousName(await part.getnames(true, settings.limits), settings.check);
    return inside === undefined ? null : { name, because: `because of ${JSON.stringify(inside)} in it` };
  } catch (error) {
    if (!(error instanceof MilterError)) throw error;
    const because =
      error.code === 'ERR_MILTER_BAD_ZIP'
        ? 'because it could not be looked into'
        : 'because there is too much in it to look at';
    return { name, because };
  }
}

/** What was done. Names are those of the parts that were replaced. */
interface DefangResult {
  changed: boolean;
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

async function treatLeaf(part: MimeMessage, settings: Settings, result: DefangResult): Promise<void> {
  const names = await part.getnames();
  let danger = dangerByName(names, settings);
  if (!danger && settings.scanZip && part.iszip()) danger = await dangerInZip(part, settings);
  if (danger) replace(part, danger, settings, result);
  else if (settings.scanHtml && part.ishtml()) treatHtml(part, settings, result);
}

function treatHtml(part: MimeMessage, settings: Settings, result: DefangResult): void {
  const done = part.removeScripts(settings.limits.maxHtmlSize);
  if (done === 'too large') {
    const because = 'because it is too large to take the scripts out of it';
    replace(part, { name: part.getfilename() ?? 'HTML', because }, settings, result);
  } else if (done === 'removed') result.changed = true;
}

async function treat(part: MimeMessage, settings: Settings, result: DefangResult): Promise<void> {
  if (part.getSubmsg() && !settings.scanRfc822) return;
  if (part.parts.length === 0 && !part.ismultipart()) return treatLeaf(part, settings, result);
  for (const inner of part.parts) await treat(inner, settings, result);
}

/**
 * Replaces each dangerous part by a text/plain part named WARNING.TXT, and takes the scripts out of HTML, in the message itself
 * (pymilter's `defang`). Parts that are neither keep their bytes.
 *
 * A ZIP file that cannot be read, or is beyond a limit, is dangerous; an empty one is not. Where header fields of the
 * message itself change, {@link MimeMessage.headerchange} tells.
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
  await treat(message, settings, result);
  return result.changed;
}

export interface DefangStreamOptions extends DefangOptions {
  /** Called when a header field of the message itself changes. Default: nobody is told */
  readonly headerchange?: HeaderChange;
  /** Whether to leave the header fields of the message itself out, as `replacebody` wants it. Default: false */
  readonly bodyOnly?: boolean;
}

const STREAM_OPTIONS: OptionNames<DefangStreamOptions> = { ...OPTIONS, headerchange: true, bodyOnly: true };

/** A message that is made harmless while it is read. It can be read once. */
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

  /** Whether anything has changed so far; for the whole message once it is read to its end. */
  get changed(): boolean {
    return this.#result.changed;
  }

  /** The names of the parts that were replaced so far. */
  get replaced(): readonly string[] {
    return this.#result.replaced;
  }

  /** Reads to the end without keeping the bytes. @returns whether anything changed */
  async finish(): Promise<boolean> {
    for await (const _ of this);
    return this.changed;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    const { limits, scanRfc822 } = this.#settings;
    const scanner = new Scanner(limits, { attachedMessages: scanRfc822 });
    const shared = new Shared();
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
          yield* this.#treated(entity, held.take(), shared);
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

  async *#treated(entity: Entity, body: readonly Buffer[], shared: Shared): AsyncGenerator<Buffer> {
    const part = MimeMessage.leaf(entity, body, this.#settings.limits, shared);
    if (entity.parent === null) part.headerchange = this.#options.headerchange ?? null;
    await treat(part, this.#settings, this.#result);
    yield* this.#omits(entity) ? part.bodyChunks() : part.chunks();
  }
}

/** What to do with a part whose head has come: give it out as it comes, drop its content, or wait for all of it. */
type Plan = 'pass' | 'replace' | 'inspect';

/**
 * As {@link defang}, but while the message is read: parts that are left as they are go through in chunks, in constant
 * memory. HTML parts, and ZIP files that are looked into, are held until they are complete.
 *
 * Only the end of the message tells whether anything changed; until then its bytes are not to be used up. Read a file
 * twice, or keep what comes.
 *
 * @param source the path of a file, a stream of bytes, or bytes
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT; while reading, ERR_MILTER_MIME_LIMIT and what reading the source throws
 */
export function defangStream(source: MessageSource, options: DefangStreamOptions = {}): DefangStream {
  return new DefangStream(source, options);
}
