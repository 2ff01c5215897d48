/** The memory that large messages need, in a process of their own. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { attachment, multipart } from '../fixtures/mime/messages';
import { zip } from '../fixtures/mime/zip';
import { expectThat } from '../support/expect';
import { describeUnless } from '../support/skip';

const MIB = 1024 * 1024;
/** Large beside what the garbage collector needs, which the options below keep small. */
const SIZE = 16 * MIB;
/** What was allocated but a moment ago stays small, and is freed as soon on a busy machine as on an idle one. */
const NODE_OPTIONS = ['--max-semi-space-size=1', '--single-threaded-gc'];
/** What a process needs besides, whatever the size of the message: far less than one more copy of it. */
const OVERHEAD = 4 * MIB;
const UNMEASURABLE = process.platform !== 'linux' && 'only Linux tells the largest resident set';
/** A sanitizer has memory of its own, so it stays out of the processes that are measured. */
const ENV = { ...process.env, LD_PRELOAD: '' };

describeUnless(UNMEASURABLE, 'a message of 16 MiB', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mime-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  /** In base64, so large that the message has the wanted size. */
  const content = (): Buffer => Buffer.alloc((SIZE * 3) / 4 - MIB, 'some content, ');
  const messages: Record<string, () => Promise<Buffer>> = {
    'of a photo': async () => multipart([attachment('a.jpg', content(), 'image/jpeg')]),
    'of HTML': async () =>
      multipart([`Content-Type: text/html\r\n\r\n${'<p>some text</p>\r\n'.repeat(SIZE / 18)}`]),
    'of HTML with scripts': async () =>
      multipart(
        Array.from({ length: 4 }, () => {
          const content = '<p>some text</p>\r\n'.repeat(SIZE / 4 / 18 - 1000);
          return `Content-Type: text/html\r\n\r\n<script>x</script>${content}`;
        }),
      ),
    ...Object.fromEntries(
      (
        [
          ['7bit', '<p>some text</p>\r\n'],
          ['8bit', '<p>gr\u00fc\u00dfe</p>\r\n'],
          ['8bit, nothing but', '\u043f\u0440\u0438\u0432\u0435\u0442\r\n'],
          ['base64', '<p>some text</p>\r\n'],
          ['quoted-printable', '<p>some text</p>\r\n'],
        ] as const
      ).map(([title, line]) => [
        `of large HTML (${title})`,
        async () => multipart(new Array<string>(3).fill(largeHtml(title.split(',')[0] as string, line))),
      ]),
    ),
    'of a message in base64': async () => multipart([attached('base64', harmful(SIZE * 0.72))]),
    'of a message in quoted-printable': async () =>
      multipart([
        attached('quoted-printable', harmful(12 * MIB)),
        attachment('a.jpg', Buffer.alloc(2.5 * MIB)),
      ]),
    'of a ZIP file': async () => {
      const file = await zip({ 'a.txt': 'x' });
      // The directory of a ZIP file stands at its end; what is ahead of it does not matter.
      return multipart([attachment('a.zip', Buffer.concat([content(), file]))]);
    },
    'of a file that goes': async () => multipart([attachment('a.exe', content())]),
  };

  /** Messages of which the most is made when they are decoded. */
  const leaf = (head: string, unit: string) => async (): Promise<Buffer> => {
    const start = Buffer.from(`${head}\n\n`);
    return Buffer.concat([start, Buffer.alloc(SIZE - start.length - unit.length, unit, 'latin1')]);
  };
  const html = (charset: string, unit: string) => leaf(`Content-Type: text/html; charset=${charset}`, unit);
  const encodedHtml = (encoding: string, unit: string) =>
    leaf(`Content-Type: text/html\nContent-Transfer-Encoding: ${encoding}`, unit);
  const EXPANDING: Readonly<Record<string, () => Promise<Buffer>>> = {
    'of lines of uuencode without data': leaf(
      'Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode',
      '_\n',
    ),
    'of the same in no known encoding': leaf(
      'Content-Type: text/plain\nContent-Transfer-Encoding: quoted uu',
      '_\n',
    ),
    'of padding in base64': encodedHtml('base64', 'PHA+_-='),
    'of stray equals signs': encodedHtml('quoted-printable', '=z= ='),
    'of overlong forms': html('utf-8', '\xc0\xbc'),
    'of words of UTF-7': html('utf-7', '+ADw-'),
    'of words of UTF-7 for mailboxes': html('utf-7-imap', '&-'),
    'of shift sequences': html('iso-2022-jp', '\x1b(B'),
    'of pairs': html('euc-jp', '\xa4\xa2'),
    'of NUL': html('utf-7', '+\0'),
  };
  Object.assign(messages, EXPANDING);

  function attached(encoding: string, content: string): string {
    const bytes = Buffer.from(content);
    const encoded = encoding === 'base64' ? bytes.toString('base64').replace(/.{76}/g, '$&\r\n') : bytes;
    return `Content-Type: message/rfc822\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${encoded.toString('latin1')}`;
  }
  /** A message in which little is to be changed, so all of it is encoded again. */
  const harmful = (size: number): string =>
    multipart([
      'Content-Type: a/b; name=a.exe\r\n\r\nMZ',
      `\r\n\r\n${'some text in lines\r\n'.repeat(size / 20)}`,
    ])
      .toString()
      .replaceAll('cut', 'inner');
  function largeHtml(encoding: string, line: string): string {
    const bytes = Buffer.from(line);
    const size = (SIZE / 3) * (encoding === 'base64' ? 3 / 4 : 1);
    const content = `<script>x</script>${bytes.toString('latin1').repeat(size / bytes.length - 10)}`;
    const encoded =
      encoding === 'base64'
        ? Buffer.from(content, 'latin1').toString('base64').replace(/.{76}/g, '$&\r\n')
        : content;
    return `Content-Type: text/html\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${encoded}`;
  }

  const run = promisify(execFile);
  type MessageFile = { readonly file: string; readonly size: number; readonly original: string };
  const files = new Map<string, Promise<MessageFile>>();
  /** The message as a file, written once for everything that is measured with it. */
  function fileOf(title: string): Promise<MessageFile> {
    const file = files.get(title) ?? write(title, join(directory, `message-${files.size}`));
    files.set(title, file);
    return file;
  }
  async function write(title: string, file: string): Promise<MessageFile> {
    const message = await (messages[title] as () => Promise<Buffer>)();
    await writeFile(file, message);
    return { file, size: message.length, original: createHash('sha256').update(message).digest('hex') };
  }
  async function grown(way: 'stream' | 'memory' | 'bytes' | 'twice', title: string, options = {}) {
    const { file, size, original } = await fileOf(title);
    const script = join(__dirname, '../fixtures/mime/memory.js');
    const { stdout } = await run(
      process.execPath,
      [...NODE_OPTIONS, script, way, file, JSON.stringify(options)],
      {
        env: ENV,
      },
    );
    const result: { grown: number; changed: boolean; written: number; hash: string } = JSON.parse(stdout);
    return { ...result, size, original };
  }

  it('is measured correctly: keeping it twice takes twice its size', async () => {
    const { grown: bytes, size } = await grown('twice', 'of a photo');
    expectThat(bytes, `${bytes} bytes of memory for twice ${size}`).toBeGreaterThan(1.9 * size);
    expectThat(bytes, `${bytes} bytes of memory for twice ${size}`).toBeLessThan(2.5 * size);
  });

  for (const [way, title, times, changed] of [
    ['stream', 'of a photo', 1, false],
    ['stream', 'of a file that goes', 1, true],
    ['stream', 'of HTML', 3, false],
    ['stream', 'of HTML with scripts', 3, true],
    ['stream', 'of a ZIP file', 3, null],
    ...['7bit', '8bit', '8bit, nothing but', 'base64', 'quoted-printable'].flatMap((title) =>
      (['stream', 'memory', 'bytes'] as const).map(
        (way) => [way, `of large HTML (${title})`, 3, true] as const,
      ),
    ),
    ...['base64', 'quoted-printable'].flatMap((title) =>
      (['stream', 'memory', 'bytes'] as const).map(
        (way) => [way, `of a message in ${title}`, 3, true] as const,
      ),
    ),
    ...Object.keys(EXPANDING).map((title) => ['memory', title, 10, null] as const),
    ['memory', 'of a photo', 3, false],
    ['memory', 'of HTML', 3, false],
  ] as const) {
    it(`${title} needs less than ${times} times its size (${way})`, async () => {
      const { grown: bytes, size: read, written, ...result } = await grown(way, title, { scanZip: true });
      // A message in quoted-printable that changes is written in base64, which is larger.
      const size = Math.max(read, written);
      console.log(`${(bytes / MIB).toFixed(0)} MiB for ${(size / MIB).toFixed(0)} MiB`);
      expectThat(bytes, `${bytes} bytes of memory for a message of ${size}`).toBeLessThan(
        times * size + OVERHEAD,
      );
      if (changed !== null) expect(result.changed).toBe(changed);
      expect(result.hash === result.original).toBe(!result.changed);
    });
  }
});
