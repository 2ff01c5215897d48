/** What is in the content of a leaf, in every way that it may be decoded: files, containers and scripts. */
import { MilterError } from '../internal/errors.js';
import { calendarNames } from './calendar.js';
import type { Content, NamePair } from './content.js';
import { type ScriptlessHtml, withoutScripts } from './encoded-html.js';
import { otherContents } from './encoding-readings.js';
import { limitReached, type MimeLimits } from './limits.js';
import { hasLoneCr, withoutLoneCrs } from './lines.js';
import { containerFormat } from './magic.js';
import { withReadings } from './names.js';
import type { Allocate, ReusableBuffer } from './reusable-buffer.js';
import { tnefNames } from './tnef.js';
import { decodeWithin, isDecodable } from './transfer-encoding.js';
import { uuencodedNames } from './uuencode.js';
import { zipnames } from './zip.js';
import { hasZipDirectory } from './zip-directory.js';

export class LeafContent {
  readonly #content: Content;
  readonly #body: readonly Buffer[];
  readonly #buffer: ReusableBuffer;
  readonly #limits: Readonly<MimeLimits>;

  /**
   * @param content what the header fields say
   * @param body as it was read or set
   * @param buffer where it may be decoded
   * @param limits what it may expand to. Each method throws ERR_MILTER_MIME_LIMIT for more
   */
  constructor(
    content: Content,
    body: readonly Buffer[],
    buffer: ReusableBuffer,
    limits: Readonly<MimeLimits>,
  ) {
    this.#content = content;
    this.#body = body;
    this.#buffer = buffer;
    this.#limits = limits;
  }

  /**
   * The content in all ways that it may be decoded.
   *
   * @param decode decodes it in the usual way. Default: in memory of its own
   */
  *#readings(decode = (decoder: (allocate?: Allocate) => Buffer) => decoder()): Generator<Buffer> {
    const { encodings } = this.#content;
    const { maxDecoded } = this.#limits;
    yield decode(
      (allocate) => decodeWithin(maxDecoded, encodings[0] as string, this.#body, allocate) as Buffer,
    );
    yield* otherContents(this.#body, encodings, maxDecoded);
  }

  /** As {@link #readings}, but each is valid only until the next one is requested. */
  #transientReadings(): Generator<Buffer> {
    return this.#readings((decoder) => this.#buffer.content({}, decoder));
  }

  /** The names of the files that are written into the content: uuencoded, in a winmail.dat, in a calendar. */
  innerNames(): NamePair[] {
    const { isText, isTnef, isCalendar } = this.#content;
    const names: NamePair[] = [];
    const add = (attribute: string, found: Iterable<string>): void => {
      names.push(...withReadings(this.#counted(found)).map((name): NamePair => [attribute, name]));
    };
    const addOfText = (bytes: Buffer): void => {
      if (isText) add('uuencode', uuencodedNames(bytes));
      if (isCalendar) add('calendar', calendarNames(bytes));
    };
    for (const bytes of isText || isTnef || isCalendar ? this.#transientReadings() : []) {
      addOfText(bytes);
      if (isTnef) add('tnef', tnefNames(bytes, this.#limits.maxDepth));
      if ((isText || isCalendar) && hasLoneCr(bytes))
        for (const text of withoutLoneCrs(bytes)) addOfText(text);
    }
    return names;
  }

  /** Names of files in the content, of which there may be as many as a ZIP file may have entries. */
  #counted(found: Iterable<string>): string[] {
    const { maxZipEntries } = this.#limits;
    const names: string[] = [];
    for (const name of found)
      if (names.push(name) > maxZipEntries)
        throw limitReached('maxZipEntries', maxZipEntries, 'files in the content of a part');
    return names;
  }

  /** The names in a ZIP file. @throws MilterError ERR_MILTER_BAD_ZIP, ERR_MILTER_MIME_LIMIT */
  async zipEntries(limits: MimeLimits): Promise<string[]> {
    const { encoding, encodings } = this.#content;
    if (!isDecodable(encoding) && encodings.length === 1)
      throw badZip(`its transfer encoding ${JSON.stringify(encoding)} is unknown`);
    const names = new Set<string>();
    let isUsual = true;
    for (const bytes of this.#readings()) {
      // A file that is none of ZIP in another reading is harmless to those who read it so.
      if (isUsual || mayBeZip(bytes)) for (const name of await zipnames(bytes, limits)) names.add(name);
      isUsual = false;
    }
    return [...names];
  }

  /** The format of a container, by its first bytes; null if the content is none. */
  containerFormat(): string | null {
    for (const bytes of this.#transientReadings()) {
      const format = containerFormat(bytes);
      if (format !== null) return format;
    }
    return null;
  }

  /** HTML without its scripts, as {@link withoutScripts} gives it. */
  withoutScripts(maxSize: number, lineBreak: string): ScriptlessHtml | 'nothing' | 'too large' | 'hidden' {
    const { encodings, charset, charsets, isXml, isJoined } = this.#content;
    const html = {
      body: this.#body,
      encoding: encodings[0] as string,
      otherContents: () => otherContents(this.#body, encodings, this.#limits.maxDecoded),
      charset,
      charsets,
      isXml,
      isJoined,
      lineBreak,
    };
    return withoutScripts(html, this.#buffer, maxSize);
  }
}

/** Whether there is an entry of a ZIP file, or the end of one, in the bytes. */
const mayBeZip = (bytes: Buffer): boolean =>
  bytes.includes('PK\x03\x04', 0, 'latin1') || hasZipDirectory(bytes);

function badZip(reason: string): MilterError {
  return new MilterError('ERR_MILTER_BAD_ZIP', `mime: the ZIP file cannot be read: ${reason}`);
}
