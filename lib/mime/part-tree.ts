/** The tree of parts that the scanner finds. */
import type { MimeLimits } from './limits.js';
import type { Entity, Piece } from './pieces.js';
import { Scanner, type ScannerOptions } from './scanner.js';

/** A line that only some programs read as a boundary, with the line breaks around it, and what all programs read as one. */
interface LooseBoundary {
  readonly begin: number;
  readonly end: number;
  readonly exact: Buffer;
}

/** What stands before, between or after the parts of a multipart, as offsets. */
export interface Frame {
  readonly begin: number;
  readonly end: number;
  /** In order. */
  readonly loose: readonly LooseBoundary[];
}

/** A part as it was read. All buffers are windows on the bytes of the message. */
export interface ParsedPart {
  readonly entity: Entity;
  /** Offsets of the head and of the content. */
  readonly begin: number;
  readonly bodyBegin: number;
  /** Where the part ends. */
  end: number;
  readonly parts: ParsedPart[];
  /** One frame more than there are parts. */
  readonly frames: Frame[];
}

export const NO_FRAME: Frame = { begin: 0, end: 0, loose: [] };

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
      const frames = this.#open.at(-1)?.frames as Frame[];
      const before = frames.pop() as Frame;
      const begin = before.begin === before.end ? this.#at : before.begin;
      const end = this.#at + length;
      const loose = before === NO_FRAME ? [] : (before.loose as LooseBoundary[]);
      if (piece.exact) loose.push({ begin: this.#at, end, exact: piece.exact });
      frames.push({ begin, end, loose });
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
      frames: [NO_FRAME],
    };
    const parent = this.#open.at(-1);
    parent?.parts.push(part);
    parent?.frames.push(NO_FRAME);
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
