const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** SMTP lines for people to read and compare: UTF-8 where they are that, else a character per byte. */
export function decodeSmtp(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return bytes.toString('latin1');
  }
}
