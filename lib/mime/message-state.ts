/** What the parts of a message have in common. */
import { ReusableBuffer } from './reusable-buffer.js';

export class MessageState {
  /** Content is decoded here. */
  readonly decodedContent = new ReusableBuffer();
  /** Bytes that attached messages were decoded to; counts towards `maxDecoded`. */
  decoded = 0;
}
