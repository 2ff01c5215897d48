/** The SMTP client's address, and how it travels with SMFIC_CONNECT. */
import { bytesOf } from './frames.js';

/** The SMTP client's address, as the MTA tells it. */
export type PeerAddress =
  | { readonly family: 'inet'; readonly address: string; readonly port: number }
  | { readonly family: 'inet6'; readonly address: string; readonly port: number }
  | { readonly family: 'unix'; readonly path: string }
  | { readonly family: 'unknown' };

/** SMFIA_* in mfdef.h, the port in network order, the address; for an unknown family the letter alone. */
export function encodePeerAddress(peer: PeerAddress): Buffer {
  if (peer.family === 'unknown') return Buffer.from('U');
  const [letter, port, text] =
    peer.family === 'unix'
      ? ['L', 0, peer.path]
      : [peer.family === 'inet' ? '4' : '6', peer.port, peer.address];
  const head = Buffer.alloc(3);
  head.write(letter, 0, 'latin1');
  head.writeUInt16BE(port, 1);
  return Buffer.concat([head, bytesOf(text), Buffer.of(0)]);
}
