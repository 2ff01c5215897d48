/** What the scanner finds in a message: its parts, and the pieces that they are made of. */
import type { Content } from './content.js';
import type { HeaderBlock } from './header-block.js';

/** A part, or the message itself, as its header fields describe it. */
export interface Entity {
  readonly parent: Entity | null;
  readonly headers: HeaderBlock;
  readonly content: Content;
  /** What follows the head: parts between boundaries, an attached message, or any other content. */
  readonly kind: 'multipart' | 'message' | 'leaf';
}

export interface FramePiece {
  readonly type: 'frame';
  readonly entity: Entity;
  readonly bytes: Buffer;
  /** If they are a line that only some programs read as a boundary: what all read as one. */
  readonly exact?: Buffer;
}

export type Piece =
  /** A part begins; `bytes` is its head with the empty line. */
  | { readonly type: 'head'; readonly entity: Entity; readonly bytes: Buffer }
  /** Content of a leaf, still encoded. */
  | { readonly type: 'body'; readonly entity: Entity; readonly bytes: Buffer }
  /** Bytes between the parts of a multipart: preamble, boundaries with their line breaks, epilogue. */
  | FramePiece
  /** The part has ended. */
  | { readonly type: 'end'; readonly entity: Entity };

/** The nesting depth of an entity; 1 for the message itself. */
export function depthOf(entity: Entity | null): number {
  return entity ? depthOf(entity.parent) + 1 : 0;
}
