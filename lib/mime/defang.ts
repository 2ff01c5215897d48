/** Defanging: replaces dangerous attachments by warnings and removes scripts from HTML. */
import { hostname } from 'node:os';
import { badArgument, MilterError } from '../internal/errors.js';
import { checkOptions, type OptionNames } from '../internal/validate.js';
import { joinChunks } from './chunks.js';
import type { NamePair } from './content.js';
import { checkExt, DOMAINS, extensionOf, trimFilename } from './extensions.js';
import { type FileTest, FrameText } from './frame-text.js';
import {
  isLimitReached,
  LIMIT_OPTIONS,
  type MimeLimitOptions,
  type MimeLimits,
  resolveLimits,
} from './limits.js';
import { type HeaderChange, MimeMessage } from './message.js';
import { MessageState } from './message-state.js';
import { isPlainName, NameBudget } from './names.js';
import { hasOtherReadings } from './other-readings.js';
import { PagedBuffer } from './paged-buffer.js';
import { TreeBuilder } from './part-tree.js';
import type { Entity, Piece } from './pieces.js';
import { Scanner } from './scanner.js';
import { chunksOf, type MessageSource } from './source.js';
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
  /**
   * Whether every attachment is checked for being a container, by its first bytes. A ZIP file is then opened under any name; any
   * other container (RAR, 7z, ISO, tar, gzip and others), which cannot be opened, is dangerous. Default: false
   */
  readonly scanContainers?: boolean;
  /** The host that the warning names. Default: the name of this machine */
  readonly host?: string;
}

interface Settings {
  readonly savname: string | null;
  readonly check: NameCheck;
  readonly scanRfc822: boolean;
  readonly scanZip: boolean;
  readonly scanHtml: boolean;
  readonly scanContainers: boolean;
  /** Null for the name of this machine, which is asked for only if a warning is written. */
  readonly host: string | null;
  readonly limits: MimeLimits;
}

const OPTIONS: OptionNames<DefangOptions> = {
  ...LIMIT_OPTIONS,
  savname: true,
  check: true,
  scanRfc822: true,
  scanZip: true,
  scanHtml: true,
  scanContainers: true,
  host: true,
};

function settingsOf(options: DefangOptions, base?: Readonly<MimeLimits>): Settings {
  const { savname = null, check = checkExt, host = null } = options;
  const { scanRfc822 = true, scanZip = false, scanHtml = true, scanContainers = false } = options;
  if (typeof check !== 'function') throw badArgument('defang: check must be a function');
  const limits = resolveLimits(options, base);
  return { savname, check, host, scanRfc822, scanZip, scanHtml, scanContainers, limits };
}

const oneLine = (text: string): string => text.replace(/\p{Cc}+/gu, ' ');

/** Reasons, which complete the sentence "It was removed …". */
const DANGEROUS_KIND = 'because files of this kind can harm the computer they are opened on';
const TOO_MUCH = 'because it has too much content to be checked';
const UNREADABLE = 'because its contents could not be checked';
const TOO_MANY_PARAMETERS = 'because its header has too many parameters to be checked';
const AMBIGUOUS = 'because mail programs read it in different ways, and one of them is dangerous';
const HIDDEN_SCRIPT = 'because it has a script that only some mail programs see';

/** The first name that the check objects to. */
function dangerousName(names: readonly NamePair[], check: NameCheck): string | undefined {
  for (const [, name] of names) {
    if (check(name)) return name;
    const trimmed = trimFilename(name);
    if (trimmed !== name && check(trimmed)) return name;
  }
  return undefined;
}

/** Whether a name looks like a subject that ends in a domain. Attached messages are often named by their subject. */
const looksLikeSubject = ([, name]: NamePair): boolean =>
  /\s/.test(name.trim()) && DOMAINS.has(extensionOf(name));

/** The danger in the names of a part; null if there is none. */
function dangerByName(names: readonly NamePair[], isMessage: boolean, settings: Settings): Danger | null {
  const counted = isMessage ? names.filter((pair) => !looksLikeSubject(pair)) : names;
  const name = dangerousName(counted, settings.check);
  return name === undefined ? null : { name, reason: DANGEROUS_KIND };
}

/** The danger in a ZIP file; null if there is none. A file that cannot be read, or exceeds a limit, is dangerous. */
async function dangerInZip(part: MimeMessage, settings: Settings): Promise<Danger | null> {
  const name = part.getfilename() ?? 'a ZIP file';
  try {
    const entries = (await part.zipEntries(settings.limits)).map((each): NamePair => ['zipname', each]);
    const inside = dangerousName(entries, settings.check);
    return inside === undefined ? null : { name, reason: `because of ${JSON.stringify(inside)} in it` };
  } catch (error) {
    if (!(error instanceof MilterError)) throw error;
    return { name, reason: error.code === 'ERR_MILTER_BAD_ZIP' ? UNREADABLE : TOO_MUCH };
  }
}

/** The danger in a container, whatever its name is; null if the content is none, or a harmless ZIP file. */
async function dangerInContainer(part: MimeMessage, settings: Settings): Promise<Danger | null> {
  const format = part.containerFormat();
  if (format === null) return null;
  if (format === 'ZIP') return dangerInZip(part, settings);
  const name = part.getfilename() ?? `a ${format} file`;
  return { name, reason: `because it is a ${format} container, which cannot be checked` };
}

/** What was changed. */
interface DefangResult {
  changed: boolean;
  /** The names of the parts that were replaced, and of the files that were removed around parts. */
  readonly replaced: string[];
}

function replace(part: MimeMessage, danger: Danger, settings: Settings, result: DefangResult): void {
  replaceWithWarning(
    part,
    { ...danger, name: oneLine(danger.name) },
    oneLine(settings.host ?? hostname()),
    settings.savname,
  );
  result.replaced.push(danger.name);
  result.changed = true;
}

/**
 * The test for the files around the parts of one multipart. There may be as many as in the content of a part; of more, and of more names
 * with several readings than are read, each is dangerous.
 */
function dangerousFile(settings: Settings, result: DefangResult): FileTest {
  const { maxZipEntries } = settings.limits;
  const budget = new NameBudget();
  let count = 0;
  const isDangerous = (name: string): boolean => {
    const readings = isPlainName(name) ? [] : budget.read(name)?.readings;
    return (
      readings === undefined || dangerousName(readings.concat(name).map(asPair), settings.check) !== undefined
    );
  };
  return (name, isWhole) => {
    const isRemoved = !isWhole || ++count > maxZipEntries || isDangerous(name);
    if (isRemoved) {
      result.changed = true;
      // In a message that consists of them, the names would take more memory than the stream does.
      if (result.replaced.length < maxZipEntries) result.replaced.push(name);
    }
    return isRemoved;
  };
}

const asPair = (name: string): NamePair => ['uuencode', name];

/** What may still be spent on the other readings of a part and of the parts in it. */
interface Effort {
  bytes: number;
  readonly depth: number;
}

/** Other readings may take this much of the size of a part, so that the time stays linear. */
const EFFORT_PER_BYTE = 3;
const MIN_EFFORT = 64 * 1024;
const MAX_READING_DEPTH = 6;

/** Defangs a part and those in it. A part whose content exceeds a limit is dangerous. */
async function defangPart(
  part: MimeMessage,
  settings: Settings,
  result: DefangResult,
  outer: Effort | null = null,
): Promise<void> {
  try {
    await defangWithinLimits(part, settings, result, outer);
  } catch (error) {
    if (!isLimitReached(error)) throw error;
    replace(part, { name: part.getfilename() ?? 'without a name', reason: TOO_MUCH }, settings, result);
  }
}

async function defangWithinLimits(
  part: MimeMessage,
  settings: Settings,
  result: DefangResult,
  outer: Effort | null,
): Promise<void> {
  const danger = part.isOverloaded
    ? { name: part.getfilename() ?? 'without a name', reason: TOO_MANY_PARAMETERS }
    : dangerByName(part.ownNames(), isMessagePart(part), settings);
  if (danger) return replace(part, danger, settings, result);
  if (isMessagePart(part) && !settings.scanRfc822) {
    // Of what stands in a message that is not scanned, a part may belong to the multipart around it.
    if (part.hasLooseBoundaries)
      replace(part, { name: 'without a name', reason: AMBIGUOUS }, settings, result);
    return;
  }
  if (part.repairBoundaries()) result.changed = true;
  part.removeFramedFiles(dangerousFile(settings, result));
  const isAmbiguous = part.hasOtherReadings;
  const effort =
    outer ?? (isAmbiguous ? { bytes: MIN_EFFORT + EFFORT_PER_BYTE * sizeOfPart(part), depth: 0 } : null);
  for (const inner of part.parts) await defangPart(inner, settings, result, effort);
  if (isLeaf(part) && (await defangContent(part, settings, result))) return;
  const other = isAmbiguous && effort ? await dangerInOtherReadings(part, settings, effort) : null;
  if (other) replace(part, other, settings, result);
}

const isLeaf = (part: MimeMessage): boolean => part.parts.length === 0 && !part.ismultipart();
const isMessagePart = (part: MimeMessage): boolean => part.getSubmsg() !== null || part.isMessage;
const sizeOfPart = (part: MimeMessage): number => {
  let size = 0;
  for (const chunk of part.chunks()) size += chunk.length;
  return size;
};

/** Judges the content of a leaf. @returns whether it was replaced */
async function defangContent(part: MimeMessage, settings: Settings, result: DefangResult): Promise<boolean> {
  let danger: Danger | null = null;
  if (settings.scanZip && part.iszip()) danger = await dangerInZip(part, settings);
  else if (settings.scanContainers) danger = await dangerInContainer(part, settings);
  if (!danger && settings.scanHtml && part.ishtml()) danger = removeScriptsFrom(part, settings, result);
  if (danger) replace(part, danger, settings, result);
  return danger !== null;
}

/** Removes scripts. @returns the danger if they cannot be removed */
function removeScriptsFrom(part: MimeMessage, settings: Settings, result: DefangResult): Danger | null {
  const outcome = part.removeScripts(settings.limits.maxHtmlSize);
  if (outcome === 'removed') result.changed = true;
  const name = part.getfilename() ?? 'an HTML page';
  if (outcome === 'too large') return { name, reason: TOO_MUCH };
  return outcome === 'hidden' ? { name, reason: HIDDEN_SCRIPT } : null;
}

/**
 * Judges what is written in its other readings: each is defanged like a message, and dangerous if that changes it. Too many
 * readings are dangerous too.
 *
 * @throws MilterError ERR_MILTER_MIME_LIMIT if a reading exceeds a limit
 */
async function dangerInOtherReadings(
  part: MimeMessage,
  settings: Settings,
  effort: Effort,
): Promise<Danger | null> {
  const name = part.getfilename() ?? 'without a name';
  if (effort.depth >= MAX_READING_DEPTH) return { name, reason: TOO_MUCH };
  for (const reading of part.otherReadings()) {
    effort.bytes -= reading.length;
    if (effort.bytes < 0) return { name, reason: TOO_MUCH };
    const found: DefangResult = { changed: false, replaced: [] };
    const inner = {
      depth: effort.depth + 1,
      get bytes() {
        return effort.bytes;
      },
      set bytes(left: number) {
        effort.bytes = left;
      },
    };
    await defangPart(MimeMessage.from(reading, settings.limits), settings, found, inner);
    if (found.changed) return { name: found.replaced[0] ?? name, reason: AMBIGUOUS };
  }
  return null;
}

/**
 * Replaces each dangerous part by a text/plain part named WARNING.TXT, and removes the scripts from HTML (pymilter's
 * `defang`), and the first lines of dangerous files in uuencode around the parts of a multipart. It edits the message in place. The bytes of all other parts stay the same.
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
  /** Those of the multiparts that are passed on. */
  readonly #frameTexts = new WeakMap<Entity, FrameText>();

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

  /** The names of the parts that have been replaced so far, and of the files that have been removed around them. */
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
    let held: HeldPart | null = null;
    const piecesOf = async function* (source: MessageSource) {
      for await (const chunk of chunksOf(source)) yield* scanner.write(chunk);
      yield* scanner.end();
    };
    for await (const piece of piecesOf(this.#source)) {
      const { entity } = piece;
      if (!held && piece.type === 'head') {
        const plan = this.#planFor(entity);
        if (plan !== 'pass') held = new HeldPart(entity, plan);
        else if (!this.#omits(entity)) yield piece.bytes;
      } else if (!held && piece.type !== 'head') yield* this.#written(piece);
      held?.add(piece);
      if (!held || piece.type !== 'end' || entity !== held.entity) continue;
      const part = held.take(limits, state);
      held = null;
      yield* this.#defanged(part, entity);
    }
  }

  /** What is written for a piece that is passed on. Boundaries become such that all programs see them. */
  *#written(piece: Exclude<Piece, { type: 'head' }>): Generator<Buffer> {
    if (piece.type === 'body') yield piece.bytes;
    else if (piece.type === 'end') yield* this.#frameTexts.get(piece.entity)?.end() ?? [];
    else {
      if (piece.exact) this.#result.changed = true;
      yield* this.#frameTextOf(piece.entity).write(piece.exact ?? piece.bytes);
    }
  }

  #frameTextOf(entity: Entity): FrameText {
    const known = this.#frameTexts.get(entity);
    if (known) return known;
    const text = new FrameText(dangerousFile(this.#settings, this.#result));
    this.#frameTexts.set(entity, text);
    return text;
  }

  #omits(entity: Entity): boolean {
    return entity.parent === null && this.#options.bodyOnly === true;
  }

  #planFor(entity: Entity): Plan {
    const { content, kind, headers } = entity;
    const { scanRfc822, scanZip, scanHtml, scanContainers } = this.#settings;
    const isMessage = content.isMessage;
    if (content.isOverloaded || dangerByName(content.names, isMessage, this.#settings)) return 'replace';
    if (isMessage && !scanRfc822) return 'pass';
    if (hasOtherReadings(content, kind, headers)) return 'inspect';
    if (kind !== 'leaf') return 'pass';
    if (isMessage || content.isText || content.isTnef || content.isCalendar || scanContainers)
      return 'inspect';
    return (scanZip && content.isZip) || (scanHtml && content.isHtml) ? 'inspect' : 'pass';
  }

  async *#defanged(part: MimeMessage, entity: Entity): AsyncGenerator<Buffer> {
    if (entity.parent === null) part.headerchange = this.#options.headerchange ?? null;
    await defangPart(part, this.#settings, this.#result);
    yield* this.#omits(entity) ? part.bodyChunks() : part.chunks();
  }
}

/** What to do with a part after its head: pass it on as it is read, drop its content, or collect all of it for inspection. */
type Plan = 'pass' | 'replace' | 'inspect';

/** A part of a stream that is held until it is complete, with the parts in it. */
class HeldPart {
  readonly entity: Entity;
  readonly #plan: Plan;
  readonly #bytes = new PagedBuffer();
  readonly #tree = new TreeBuilder();

  constructor(entity: Entity, plan: Plan) {
    this.entity = entity;
    this.#plan = plan;
  }

  get #isLeaf(): boolean {
    return this.entity.kind === 'leaf' || this.#plan === 'replace';
  }

  add(piece: Piece): void {
    if (this.#plan === 'replace') return;
    if (!this.#isLeaf) this.#tree.add(piece);
    if (piece.type !== 'end' && !(this.#isLeaf && piece.type === 'head')) this.#bytes.add(piece.bytes);
  }

  take(limits: MimeLimits, state: MessageState): MimeMessage {
    const pages = this.#bytes.take();
    if (this.#isLeaf) return MimeMessage.leaf(this.entity, pages, limits, state);
    return MimeMessage.held(this.#tree.root, joinChunks(pages), limits, state);
  }
}

/**
 * As {@link defang}, but while the message is read: parts that need no change are passed on in chunks, in constant memory.
 * Text, attached messages that are encoded, ZIP files whose names are checked, and parts that can be read in several ways are
 * buffered until they are complete.
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
