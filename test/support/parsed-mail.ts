/** A multipart/mixed mail of a text and an attachment, taken apart for tests. */

export interface ParsedMail {
  /** Unfolded values by lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
  readonly filename: string;
  readonly attachment: Buffer;
}

const split = (text: string): [head: string, body: string] => {
  const at = text.indexOf('\r\n\r\n');
  return [text.slice(0, at), text.slice(at + 4)];
};

const fieldsOf = (head: string): Map<string, string> =>
  new Map(
    head
      .replace(/\r\n[ \t]+/g, ' ')
      .split('\r\n')
      .map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
  );

export function parseMessage(raw: Buffer): ParsedMail {
  const [head, body] = split(raw.toString('latin1'));
  const headers = fieldsOf(head);
  const boundary = /boundary="([^"]+)"/.exec(headers.get('content-type') ?? '')?.[1] ?? '';
  const parts = body
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => split(part.slice(2)));
  const [text = ['', ''], attached = ['', '']] = parts;
  const fields = fieldsOf(attached[0]);
  const disposition = fields.get('content-disposition') ?? '';
  // A long name comes in pieces (RFC 2231).
  const pieces = [...disposition.matchAll(/filename(?:\*\d+)?\*?="?([^";]+)"?/g)].map(
    ([, piece = '']) => piece,
  );
  return {
    headers,
    text: text[1],
    filename: decodeURIComponent(pieces.join('').replace(/^utf-8''/, '')),
    attachment: Buffer.from(attached[1], 'base64'),
  };
}
