/** What the sample uses of mailsplit, which comes without types. */
declare module 'mailsplit' {
  import type { Transform } from 'node:stream';

  /** The headers of a part, or of the message itself, have been read. */
  export interface MimeNode {
    readonly type: 'node';
    /** Whether it is the message itself. */
    readonly root: boolean;
    /** The kind of multipart, `mixed` for multipart/mixed; false for a part without parts. */
    readonly multipart: string | false;
    /** The name that Content-Disposition or else Content-Type gives, decoded. */
    readonly filename: string | false;
    /** The headers as they came, with the empty line behind them. */
    getHeaders(): Buffer;
  }

  /** A piece of a part's content, still encoded. */
  export interface BodyPiece {
    readonly type: 'body';
    readonly node: MimeNode;
    readonly value: Buffer;
  }

  /** What stands between parts: boundaries, preamble, epilogue. */
  export interface DataPiece {
    readonly type: 'data';
    readonly node: MimeNode;
    readonly value: Buffer;
  }

  export type Piece = MimeNode | BodyPiece | DataPiece;

  /** Takes a message and gives its pieces; put together again they are the same bytes. */
  export class Splitter extends Transform {}
}
