/** The tree of parts that the scanner finds. */
import type { MimeLimits } from './limits.js';
import { type Entity, type Piece, Scanner, type ScannerOptions } from './scanner.js';

/** A part as it was read. All buffers are windows on the bytes of the message. */
export interface ParsedPart {
  readonly entity: Entity;
  /** Offsets of the head and of the content. */
  readonly begin: number;
  readonly bodyBegin: number;
  /** Where the part ends. */
  end: number;
  readonly parts: ParsedPart[];
  /** What stands before, between and after the parts, as offsets: one frame more than there are parts. */
  readonly frames: [begin: number, end: number][];
}

/** Takes the pieces of a part, one after the other, and notes where everything is. */
export class TreeBuilder {
  readonly #parts = new Map<Entity, ParsedPart>();
  #at = 0;
  #root: ParsedPart | undefined;

  add(piece: Piece): void {
    const { entity } = piece;
    if (piece.type === 'head') this.#begin(entity, piece.bytes.length);
    const part = this.#parts.get(entity) as ParsedPart;
    if (piece.type === 'end') {
      part.end = this.#at;
      return;
    }
    if (piece.type === 'frame') {
      // The pieces of a frame are adjacent.
      const frame = part.frames.at(-1) as [number, number];
      if (frame[0] === frame[1]) frame[0] = this.#at;
      frame[1] = this.#at + piece.bytes.length;
    }
    this.#at += piece.bytes.length;
  }

  #begin(entity: Entity, headLength: number): void {
    const bodyBegin = this.#at + headLength;
    const part: ParsedPart = { entity, begin: this.#at, bodyBegin, end: 0, parts: [], frames: [[0, 0]] };
    const parent = entity.parent && this.#parts.get(entity.parent);
    parent?.parts.push(part);
    parent?.frames.push([0, 0]);
    this.#root ??= part;
    this.#parts.set(entity, part);
  }

  /** The part that began first. */
  get root(): ParsedPart {
    return this.#root as ParsedPart;
  }

  /** How many parts there are, the first one included. */
  get count(): number {
    return this.#parts.size;
  }
}

/**
 * Splits a message into its parts.
 *
 * @returns the message itself, and how many parts there are, itself included
 * @throws MilterError ERR_MILTER_MIME_LIMIT
 */
export function parseParts(
  bytes: Buffer,
  limits: MimeLimits,
  outer: ScannerOptions,
): { root: ParsedPart; count: number } {
  const scanner = new Scanner(limits, outer);
  const tree = new TreeBuilder();
  for (const piece of scanner.write(bytes)) tree.add(piece);
  for (const piece of scanner.end()) tree.add(piece);
  return { root: tree.root, count: tree.count };
}
