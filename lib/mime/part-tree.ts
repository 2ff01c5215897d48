/** The tree of parts that the scanner finds in a message held in memory. */
import type { MimeLimits } from './limits.js';
import { type Entity, Scanner, type ScannerOptions } from './scanner.js';

/** A part as it was read. All buffers are windows on the bytes of the message. */
export interface ParsedPart {
  readonly entity: Entity;
  /** Offsets of the head and of the content. */
  readonly begin: number;
  readonly bodyBegin: number;
  /** Head and content. */
  source: Buffer;
  /** The content of a leaf. */
  body: Buffer;
  readonly parts: ParsedPart[];
  /** What stands before, between and after the parts: one frame more than there are parts. */
  readonly frames: Buffer[];
}

const EMPTY = Buffer.alloc(0);

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
  const parts = new Map<Entity, ParsedPart>();
  let at = 0;
  let root: ParsedPart | undefined;
  for (const pieces of [scanner.write(bytes), scanner.end()]) {
    for (const piece of pieces) {
      const { entity } = piece;
      if (piece.type === 'head') {
        const bodyBegin = at + piece.bytes.length;
        const part = { entity, begin: at, bodyBegin, source: EMPTY, body: EMPTY, parts: [], frames: [EMPTY] };
        const parent = entity.parent && parts.get(entity.parent);
        parent?.parts.push(part);
        parent?.frames.push(EMPTY);
        root ??= part;
        parts.set(entity, part);
      }
      const part = parts.get(entity) as ParsedPart;
      if (piece.type === 'end') {
        part.source = bytes.subarray(part.begin, at);
        if (entity.kind === 'leaf') part.body = bytes.subarray(part.bodyBegin, at);
        continue;
      }
      if (piece.type === 'frame') {
        // The pieces of a frame are adjacent in `bytes`.
        const last = part.frames.length - 1;
        const before = (part.frames[last] as Buffer).length;
        part.frames[last] = bytes.subarray(at - before, at + piece.bytes.length);
      }
      at += piece.bytes.length;
    }
  }
  return { root: root as ParsedPart, count: parts.size };
}
