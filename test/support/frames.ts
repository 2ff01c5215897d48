/** Frames of the milter protocol as bytes, valid or not. */

/** A frame as on the wire; `length` may be a wrong one. */
export function frame(command: string | number, payload: string | Uint8Array = '', length?: number): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const head = Buffer.alloc(5);
  head.writeUInt32BE((length ?? bytes.length + 1) >>> 0, 0);
  head[4] = typeof command === 'number' ? command : command.charCodeAt(0);
  return Buffer.concat([head, bytes]);
}

/** The offer of an MTA with all rights and protocol bits. */
export function offer(version = 6, actions = 0x1ff, protocol = 0x1fffff): Buffer {
  const payload = Buffer.alloc(12);
  payload.writeUInt32BE(version >>> 0, 0);
  payload.writeUInt32BE(actions >>> 0, 4);
  payload.writeUInt32BE(protocol >>> 0, 8);
  return frame('O', payload);
}
