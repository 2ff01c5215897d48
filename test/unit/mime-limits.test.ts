/** Every limit, just kept and just broken; and time that grows no faster than what a stranger sends. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  checkExt,
  defang,
  defangStream,
  MIME_LIMITS,
  type MimeLimitOptions,
  MimeMessage,
  messageFromFile,
  removeScripts,
  zipnames,
} from 'tsmilter/mime';
import { attachment, multipart } from '../fixtures/mime/messages';
import { scan } from '../fixtures/mime/scan';
import { nestedZip, zip } from '../fixtures/mime/zip';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const reaching = (limit: string) => ({
  code: 'ERR_MILTER_MIME_LIMIT',
  message: new RegExp(`\\b${limit}\\b`),
});

/** `depth` attached messages, each in the one before. */
const attached = (depth: number): Buffer =>
  bytes(`${'Content-Type: message/rfc822\n\n'.repeat(depth)}A: b\n\nx`);
const b64 = (content: Buffer): Buffer =>
  bytes(`Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n${content.toString('base64')}`);

describe('a limit of a message', () => {
  const boundary = 'Content-Type: multipart/mixed; boundary=b\n\n';
  const cases: readonly (readonly [limit: MimeLimitOptions, kept: Buffer, broken: Buffer])[] = [
    [{ maxSize: 8 }, bytes('A: b\n\nxx'), bytes('A: b\n\nxxx')],
    [{ maxDepth: 3 }, attached(2), attached(3)],
    [{ maxParts: 3 }, multipart(['A: b\r\n\r\n', '']), multipart(['A: b\r\n\r\n', '', ''])],
    [{ maxHeaders: 2 }, bytes('A: b\nC: d\n\nx'), bytes('A: b\nC: d\nE: f\n\nx')],
    [{ maxHeaderLength: 20 }, bytes(`A: b\n ${'c'.repeat(14)}\n\nx`), bytes(`A: b\n ${'c'.repeat(15)}\n\nx`)],
    [{ maxHeadSize: 11 }, bytes('A: b\nC: d\n\nx'), bytes('A: b\nC: de\nF: g\n\nx')],
    [{ maxHeadSize: 11 }, bytes('text, not a head\nat all\n\nx'), bytes(`A: b${'c'.repeat(100)}`)],
    [
      { maxHeaderLength: 60 },
      bytes(`${boundary}--b${' '.repeat(40)}\nA: b\n\nx\n--b--`),
      bytes(`${boundary}--b${' '.repeat(80)}\nA: b\n\nx\n--b--`),
    ],
  ];
  for (const [limit, kept, broken] of cases) {
    const [name = ''] = Object.keys(limit);
    it(`contract 24*: ${name} ${JSON.stringify(broken.toString('latin1').slice(0, 30))}`, async () => {
      assert.deepEqual(scan(kept, 1, limit).bytes, kept);
      assert.deepEqual(MimeMessage.from(kept, limit).asBytes(), kept);
      assert.throws(() => scan(broken, 1, limit), reaching(name));
      // A boundary line that came whole is read whole; it is held back, and so counted, where it comes in pieces.
      if (broken.includes('boundary')) return;
      assert.throws(() => MimeMessage.from(broken, limit), reaching(name));
      await assert.rejects(defangStream(broken, limit).finish(), reaching(name));
      await assert.rejects(messageFromFile(broken, limit), reaching(name));
    });
  }

  it('counts through attached messages that are encoded', async () => {
    const deep = b64(b64(b64(bytes('A: b\n\nx'))));
    assert.equal([...MimeMessage.from(deep, { maxDepth: 4 }).walk()].length, 4);
    assert.throws(() => MimeMessage.from(deep, { maxDepth: 3 }), reaching('maxDepth'));
    assert.throws(() => MimeMessage.from(deep, { maxParts: 3 }), reaching('maxParts'));
    await assert.rejects(defangStream(deep, { maxDepth: 3 }).finish(), reaching('maxDepth'));
    const size = 3 * deep.length;
    assert.doesNotThrow(() => MimeMessage.from(deep, { maxDecoded: size }));
    assert.throws(() => MimeMessage.from(deep, { maxDecoded: 10 }), reaching('maxDecoded'));
    await assert.rejects(defangStream(deep, { maxDecoded: 10 }).finish(), reaching('maxDecoded'));
  });

  it('maxSize holds while a file is read', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mime-'));
    try {
      const path = join(directory, 'message');
      await writeFile(path, 'A: b\n\nxxx');
      await assert.rejects(messageFromFile(path, { maxSize: 8 }), reaching('maxSize'));
      await assert.rejects(defangStream(path, { maxSize: 8 }).finish(), reaching('maxSize'));
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('maxHtmlSize: larger HTML is replaced where it has a script, and only there', async () => {
    const html = (content: string) => bytes(`Content-Type: text/html; name=a.html\n\n${content}`);
    for (const [content, maxHtmlSize, warned] of [
      ['<script>1</script>', 18, false],
      ['<script>1</script>', 17, true],
      ['<p>no such thing</p>', 5, false],
    ] as const) {
      const message = MimeMessage.from(html(content));
      await defang(message, { maxHtmlSize });
      assert.equal(message.getname(), warned ? 'WARNING.TXT' : 'a.html');
    }
  });

  it('is a whole number', () => {
    for (const maxParts of [0, -1, 1.5, Number.NaN, '7' as unknown as number])
      assert.throws(() => MimeMessage.from(bytes(''), { maxParts }), { code: 'ERR_MILTER_BAD_ARGUMENT' });
    assert.doesNotThrow(() => MimeMessage.from(bytes(''), { maxParts: undefined }));
  });

  it('is beyond what mail needs, by default', () => {
    const { maxDepth, maxParts } = MIME_LIMITS;
    assert.equal([...MimeMessage.from(attached(maxDepth - 1)).walk()].length, maxDepth);
    assert.equal(MimeMessage.from(multipart(new Array(maxParts - 1).fill(''))).parts.length, maxParts - 1);
  });
});

describe('a limit of a ZIP file', () => {
  it('contract 24*: maxZipDepth', async () => {
    assert.equal((await zipnames(await nestedZip(3, 'a'), { maxZipDepth: 3 })).length, 3);
    await assert.rejects(zipnames(await nestedZip(4, 'a'), { maxZipDepth: 3 }), reaching('maxZipDepth'));
    await assert.rejects(zipnames(await nestedZip(6, 'a')), reaching('maxZipDepth'));
  });

  it('contract 24*: maxZipEntries, over all levels', async () => {
    const file = await zip({ a: '', 'b.zip': await zip({ c: '' }) });
    assert.equal((await zipnames(file, { maxZipEntries: 3 })).length, 3);
    await assert.rejects(zipnames(file, { maxZipEntries: 2 }), reaching('maxZipEntries'));
  });

  it('contract 24*: maxZipExpanded, over all levels, and not for what is no ZIP file', async () => {
    const inner = await zip({ 'big.txt': Buffer.alloc(100_000) });
    const file = await zip({ 'a.zip': inner, 'b.zip': inner, 'c.txt': Buffer.alloc(100_000) });
    const expanded = 2 * inner.length;
    assert.equal((await zipnames(file, { maxZipExpanded: expanded })).length, 5);
    await assert.rejects(zipnames(file, { maxZipExpanded: expanded - 1 }), reaching('maxZipExpanded'));
  });

  it('contract 24*: a bomb is not unpacked beyond it', async () => {
    const bomb = await zip({ 'a.zip': Buffer.alloc(20_000_000) });
    assert.ok(bomb.length < 100_000);
    await assert.rejects(zipnames(bomb, { maxZipExpanded: 1_000_000 }), reaching('maxZipExpanded'));
    const message = MimeMessage.from(multipart([attachment('a.zip', bomb)]));
    await assert.rejects(message.parts[0]?.getnames(true) ?? Promise.resolve(), {
      code: 'ERR_MILTER_BAD_ZIP',
    });
  });
});

describe('time grows with the size, not with its square', () => {
  const no = (): void => {};
  const parse = (message: string) => void MimeMessage.from(bytes(message));
  const html = (text: string) => void removeScripts(bytes(`<script></script>${text}`));
  /** A head that is within the limits whatever its size. */
  const unlimited = (message: string) =>
    void MimeMessage.from(bytes(message), {
      maxHeaderLength: 1e9,
      maxHeadSize: 1e9,
      maxHeaders: 1e9,
      maxParts: 1e9,
    });
  const names = (value: string) => {
    const message = MimeMessage.from(bytes(`Content-Type: a/b; ${value}\n\nx`), {
      maxHeaderLength: 1e9,
      maxHeadSize: 1e9,
    });
    void message.getnames().catch(no);
    void message.getparams();
  };
  const cases: readonly (readonly [title: string, run: (size: number) => void])[] = [
    ['dashes', (n) => parse(`Content-Type: multipart/mixed; boundary=b\n\n${'-'.repeat(n)}`)],
    ['lines of dashes', (n) => parse(`Content-Type: multipart/mixed; boundary=b\n\n${'--\n'.repeat(n / 3)}`)],
    ['line breaks', (n) => parse(`Content-Type: multipart/mixed; boundary=b\n\n${'\r'.repeat(n)}x`)],
    ['a line of blanks', (n) => parse(`Content-Type: multipart/mixed; boundary=b\n\n--b${' '.repeat(n)}x`)],
    ['CR in a field', (n) => unlimited(`A: b${'\r '.repeat(n / 2)}x\n\nx`)],
    ['comments in an encoding', (n) => unlimited(`Content-Transfer-Encoding: ${'('.repeat(n)}\n\nx`)],
    ['comments in a type', (n) => unlimited(`Content-Type: ${'('.repeat(n)}\n\nx`)],
    ['fields', (n) => unlimited(`${'A: b\n'.repeat(n / 5)}\nx`)],
    ['parts', (n) => unlimited(`Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\n'.repeat(n / 5)}`)],
    ['semicolons', (n) => names(';'.repeat(n))],
    ['parameters', (n) => names(Array.from({ length: n / 12 }, (_, i) => `name${i}=a`).join(';'))],
    [
      'pieces of a parameter',
      (n) => names(Array.from({ length: n / 12 }, (_, i) => `name*${i}=a`).join(';')),
    ],
    ['asterisks', (n) => names(`name${'*'.repeat(n)}=a`)],
    ['encoded words', (n) => names(`name="${'=?utf-8?Q?a?= '.repeat(n / 14)}"`)],
    ['halves of encoded words', (n) => names(`name="${'=?a?b?'.repeat(n / 6)}"`)],
    ['quotes', (n) => names(`name=${'"'.repeat(n)}; boundary=${'"'.repeat(n)}x`)],
    ['dots at the end of a name', (n) => void checkExt(`a.exe${'. '.repeat(n / 2)}x`)],
    ['dots in a ZIP name', (n) => names(`name="a.zip${'. '.repeat(n / 2)}x"`)],
    ['less-than signs', (n) => html('<'.repeat(n))],
    ['attributes', (n) => html(`<a ${Array.from({ length: n / 8 }, (_, i) => `a${i}`).join(' ')}>`)],
    ['scripts', (n) => html('<script>'.repeat(n / 8))],
    ['scripts that end badly', (n) => html('<script></script'.repeat(n / 16))],
    ['scripts in texts', (n) => html('<textarea><script></textarea>'.repeat(n / 30))],
    ['scripts in SVG', (n) => html(`<svg>${'<script></script'.repeat(n / 16)}`)],
    ['SVG in SVG', (n) => html('<svg>'.repeat(n / 5))],
    ['comments', (n) => html(`<!--${'--!'.repeat(n / 3)}`)],
  ];
  for (const [title, run] of cases) {
    it(title, () => {
      // 8 times the size takes 64 times as long in quadratic time; a busy machine must not fail what is linear.
      const size = 60_000;
      run(size);
      const measure = (factor: number): number => {
        const begun = performance.now();
        run(size * factor);
        return performance.now() - begun;
      };
      const best = (factor: number): number => Math.min(measure(factor), measure(factor), measure(factor));
      const large = best(8);
      if (large < 200) return;
      const small = best(1);
      assert.ok(large < 30 * small, `${small} ms, and ${large} ms for 8 times the size`);
    });
  }
});
