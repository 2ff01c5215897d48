/** What stands before, between and after the parts of a multipart. */
import { hasMatch, joinChunks } from './chunks.js';
import { type FileTest, FrameText } from './frame-text.js';
import { limitReached } from './limits.js';
import { PagedBuffer } from './paged-buffer.js';
import type { Frame } from './part-tree.js';

/** Most frames are a boundary, and need not be read line by line. */
const mayHaveFiles = (frame: Buffer): boolean => hasMatch(frame, /begin/i, 'begin'.length);

export class Frames {
  readonly #bytes: Buffer;
  readonly #frames: readonly Frame[];
  #isRepaired = false;
  /** What is left after files were removed; null if none was. */
  #filtered: readonly Buffer[] | null = null;

  /** @param bytes what the offsets in `frames` refer to */
  constructor(bytes: Buffer, frames: readonly Frame[]) {
    this.#bytes = bytes;
    this.#frames = frames;
  }

  /** As they are written. */
  toBuffers(): readonly Buffer[] {
    return this.#filtered ?? this.#read();
  }

  #read(): Buffer[] {
    return this.#frames.map((frame) =>
      this.#isRepaired && frame.loose.length > 0
        ? this.#repaired(frame)
        : this.#bytes.subarray(frame.begin, frame.end),
    );
  }

  #repaired({ begin, end, loose }: Frame): Buffer {
    const parts: Buffer[] = [];
    let at = begin;
    for (const line of loose) {
      parts.push(this.#bytes.subarray(at, line.begin), line.exact);
      at = line.end;
    }
    return Buffer.concat([...parts, this.#bytes.subarray(at, end)]);
  }

  /** Whether there are lines that only some programs read as boundaries, and that matter. */
  get areLoose(): boolean {
    return !this.#isRepaired && this.#frames.some(({ loose }) => loose.length > 0);
  }

  /** From now on, these lines are written as boundaries. */
  repair(): void {
    this.#isRepaired = true;
  }

  /**
   * The names of the uuencoded files in them, each once.
   *
   * @throws MilterError ERR_MILTER_MIME_LIMIT if there are more than `maxFiles`
   */
  fileNames(maxFiles: number): string[] {
    const names = new Set<string>();
    const text = new FrameText((name) => {
      if (names.add(name).size > maxFiles)
        throw limitReached('maxZipEntries', maxFiles, 'files in the content of a part');
      return false;
    });
    for (const frame of this.toBuffers().filter(mayHaveFiles))
      for (const part of [text.write(frame), text.end()]) for (const _ of part);
    return [...names];
  }

  /** Removes uuencoded files, after {@link repair}. @returns whether there were any */
  removeFiles(isUnwanted: FileTest): boolean {
    const before = this.toBuffers();
    const after = before.map((frame) => (mayHaveFiles(frame) ? withoutFiles(frame, isUnwanted) : frame));
    if (after.every((frame, index) => frame === before[index])) return false;
    this.#filtered = after;
    return true;
  }
}

/** The frame itself if no file was removed. */
function withoutFiles(frame: Buffer, isUnwanted: FileTest): Buffer {
  let isChanged = false;
  const text = new FrameText((name, isWhole) => {
    const isRemoved = isUnwanted(name, isWhole);
    isChanged ||= isRemoved;
    return isRemoved;
  });
  const kept = new PagedBuffer();
  kept.reserve(frame.length);
  for (const part of [text.write(frame), text.end()]) for (const bytes of part) kept.add(bytes);
  return isChanged ? joinChunks(kept.take()) : frame;
}
