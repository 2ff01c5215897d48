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

/** Takes the pieces of a part, one after the other, and notes where everything is. Pieces belong to the innermost open part. */
export class TreeBuilder {
  readonly #open: ParsedPart[] = [];
  #at = 0;
  #root: ParsedPart | undefined;
  #count = 0;

  add(piece: Piece): void {
    if (piece.type === 'end') {
      const part = this.#open.pop();
      if (part) part.end = this.#at;
      return;
    }
    const { length } = piece.bytes;
    if (piece.type === 'head') this.#begin(piece.entity, length);
    else if (piece.type === 'frame') {
      // The pieces of a frame are adjacent.
      const frame = this.#open.at(-1)?.frames.at(-1) as [number, number];
      if (frame[0] === frame[1]) frame[0] = this.#at;
      frame[1] = this.#at + length;
    }
    this.#at += length;
  }

  #begin(entity: Entity, headLength: number): void {
    const begin = this.#at;
    const part: ParsedPart = {
      entity,
      begin,
      bodyBegin: begin + headLength,
      end: 0,
      parts: [],
      frames: [[0, 0]],
    };
    const parent = this.#open.at(-1);
    parent?.parts.push(part);
    parent?.frames.push([0, 0]);
    this.#root ??= part;
    this.#open.push(part);
    this.#count++;
  }

  /** The part that began first. */
  get root(): ParsedPart {
    return this.#root as ParsedPart;
  }

  /** How many parts there are, the first one included. */
  get count(): number {
    return this.#count;
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
