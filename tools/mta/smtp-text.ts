const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** SMTP lines as readable text: as UTF-8 if they are valid, otherwise one character per byte. */
export function decodeSmtp(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return bytes.toString('latin1');
  }
}
