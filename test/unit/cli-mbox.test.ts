/** Mailboxes, as `tsmilter send` and `tsmilter replay` read them. */
import { describe, expect, it } from '@jest/globals';
import { mboxMessages } from '#lib/cli/messages/mbox.js';
import { errorWith } from '../support/expect.js';

async function* inPieces(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function messagesOf(text: string, size = 7, maxBytes = 1_000_000): Promise<string[]> {
  const found: string[] = [];
  for await (const message of mboxMessages(inPieces(text, size), maxBytes))
    found.push(message.toString('latin1'));
  return found;
}

describe('a mailbox', () => {
  const MBOX =
    'From a Sat\nSubject: 1\n\nnot the end:\nFrom here\n>From quoted\n>>From twice\n\n' +
    'From b Sun\r\nSubject: 2\r\n\r\n\xff\r\n\r\nFrom c\n\nno end of line';

  it.each([1, 2, 7, 1000])('is split at `From ` after an empty line, in pieces of %d bytes', async (size) => {
    expect(await messagesOf(MBOX, size)).toStrictEqual([
      'Subject: 1\n\nnot the end:\nFrom here\nFrom quoted\n>From twice\n\n',
      'Subject: 2\r\n\r\n\xff\r\n\r\n',
      '\nno end of line',
    ]);
  });

  it('may be empty, and may have text before its first message', async () => {
    expect(await messagesOf('')).toStrictEqual([]);
    expect(await messagesOf('garbage\n\nFrom a\nx\n')).toStrictEqual(['x\n']);
  });

  it.each([
    ['in many lines', 'x\n'.repeat(60)],
    ['in one line', 'x'.repeat(120)],
  ])('is refused for a message that is too large, %s', async (_, body) => {
    await expect(messagesOf(`From a\n${body}`, 7, 100)).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /more than 100 bytes/ }),
    );
  });

  it('of one long line is put together once', async () => {
    const pieces = 100_000;
    let copied = 0;
    const concat = Buffer.concat;
    Buffer.concat = (list, length) => {
      copied += list.reduce((sum, { length: size }) => sum + size, 0);
      return concat(list, length);
    };
    try {
      expect(await messagesOf(`From a\n${'x'.repeat(pieces * 7)}`)).toHaveLength(1);
    } finally {
      Buffer.concat = concat;
    }
    expect(copied).toBeLessThan(3 * pieces * 7);
  });
});
