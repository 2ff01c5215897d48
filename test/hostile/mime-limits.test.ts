/** Every limit, just kept and just broken; and time that grows no faster than what a stranger sends. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
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
import { cpuTime } from '../support/cpu-time';
import { errorWith, expectThat } from '../support/expect';

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
    [
      { maxHeaderLength: 60 },
      bytes(`${boundary}--bx${' '.repeat(40)}\nContent-Type: a/b\n\nx\n--b--`),
      bytes(`${boundary}--bx${' '.repeat(80)}\nContent-Type: a/b\n\nx\n--b--`),
    ],
  ];
  for (const [limit, kept, broken] of cases) {
    const [name = ''] = Object.keys(limit);
    /** @contract 24 */
    it(`${name} ${JSON.stringify(broken.toString('latin1').slice(0, 30))}`, async () => {
      expect(scan(kept, 1, limit).bytes).toStrictEqual(kept);
      expect(MimeMessage.from(kept, limit).asBytes()).toStrictEqual(kept);
      expect(() => scan(broken, 1, limit)).toThrow(errorWith(reaching(name)));
      // A boundary line that came whole is read whole; it is held back, and so counted, where it comes in pieces.
      if (broken.includes('boundary')) return;
      expect(() => MimeMessage.from(broken, limit)).toThrow(errorWith(reaching(name)));
      await expect(defangStream(broken, limit).finish()).rejects.toThrow(errorWith(reaching(name)));
      await expect(messageFromFile(broken, limit)).rejects.toThrow(errorWith(reaching(name)));
    });
  }

  it('applies inside encoded attached messages', async () => {
    const deep = b64(b64(b64(bytes('A: b\n\nx'))));
    expect([...MimeMessage.from(deep, { maxDepth: 4 }).walk()]).toHaveLength(4);
    expect(() => MimeMessage.from(deep, { maxDepth: 3 })).toThrow(errorWith(reaching('maxDepth')));
    expect(() => MimeMessage.from(deep, { maxParts: 3 })).toThrow(errorWith(reaching('maxParts')));
    await expect(defangStream(deep, { maxDepth: 3 }).finish()).rejects.toThrow(
      errorWith(reaching('maxDepth')),
    );
    const size = 3 * deep.length;
    expect(() => MimeMessage.from(deep, { maxDecoded: size })).not.toThrow();
    expect(() => MimeMessage.from(deep, { maxDecoded: 10 })).toThrow(errorWith(reaching('maxDecoded')));
    await expect(defangStream(deep, { maxDecoded: 10 }).finish()).rejects.toThrow(
      errorWith(reaching('maxDecoded')),
    );
  });

  it('maxSize is enforced while a file is read', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mime-'));
    try {
      const path = join(directory, 'message');
      await writeFile(path, 'A: b\n\nxxx');
      await expect(messageFromFile(path, { maxSize: 8 })).rejects.toThrow(errorWith(reaching('maxSize')));
      await expect(defangStream(path, { maxSize: 8 }).finish()).rejects.toThrow(
        errorWith(reaching('maxSize')),
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('maxHtmlSize: larger HTML is replaced if it has a script, and only then', async () => {
    const html = (content: string) => bytes(`Content-Type: text/html; name=a.html\n\n${content}`);
    for (const [content, maxHtmlSize, warned] of [
      ['<script>1</script>', 18, false],
      ['<script>1</script>', 17, true],
      ['<p>no such thing</p>', 5, false],
    ] as const) {
      const message = MimeMessage.from(html(content));
      await defang(message, { maxHtmlSize });
      expect(message.getname()).toBe(warned ? 'WARNING.TXT' : 'a.html');
    }
  });

  it('maxParameters: a part with more parameters is dangerous', async () => {
    const head = (count: number) =>
      `Content-Type: a/b${Array.from({ length: count }, (_, at) => `; a${at}="b c"`).join('')}`;
    const kept = MimeMessage.from(bytes(`${head(5)}\n\nx`), { maxParameters: 5 });
    expect(await defang(kept)).toBe(false);
    for (const message of [`${head(6)}\n\nx`, `${head(6)}; name=a.exe\n\nx`]) {
      const broken = MimeMessage.from(bytes(message.replace('a0', 'name0').replace('b c', 'b(c')), {
        maxParameters: 5,
      });
      expect(await defang(broken)).toBe(true);
      expect(broken.getPayload().toString()).toMatch(/too many parameters/);
    }
    expect(
      await defang(
        MimeMessage.from(bytes(`Content-Type: a/b; name="${'=?utf-8?q?a?= '.repeat(1000)}"\n\nx`)),
      ),
    ).toBe(true);
  });

  describe('maxDecoded: content that expands beyond it', () => {
    // A line of uuencode whose blanks were removed: two bytes for 63.
    const lines = '_\n'.repeat(200);
    const decoded = 200 * 63;
    const cases: Readonly<Record<string, string>> = {
      text: 'Content-Type: text/plain; name=a.txt\nContent-Transfer-Encoding: x-uuencode',
      HTML: 'Content-Type: text/html; name=a.html\nContent-Transfer-Encoding: uuencode',
      'a calendar': 'Content-Type: text/calendar; name=a.ics\nContent-Transfer-Encoding: uue',
      'TNEF in an unknown encoding': 'Content-Type: application/ms-tnef\nContent-Transfer-Encoding: 8-bit uu',
      'text in several encodings':
        'Content-Type: text/plain; name=a.txt\nContent-Transfer-Encoding: "base64" uu',
      'a container': 'Content-Type: a/b; name=a.bin\nContent-Transfer-Encoding: x-uue',
      'a multipart': 'Content-Type: multipart/mixed; boundary=c\nContent-Transfer-Encoding: x-uuencode',
      'a message that is a leaf':
        'Content-Type: message/delivery-status\nContent-Transfer-Encoding: x-uuencode',
    };
    for (const [title, head] of Object.entries(cases)) {
      it(`is dangerous: ${title}`, async () => {
        const source = multipart([`${head}\n\n${lines}`, 'A: b\n\nleft alone'], '\n');
        const options = { scanContainers: true, host: 'h' };
        const kept = MimeMessage.from(source, { maxDecoded: decoded });
        expect(await defang(kept, options)).toBe(false);
        const broken = MimeMessage.from(source, { maxDecoded: decoded - 1 });
        expect(await defang(broken, options)).toBe(true);
        expect(broken.parts.map((part) => part.getname())).toStrictEqual(['WARNING.TXT', null]);
        expect(broken.parts[0]?.getPayload().toString()).toMatch(/too much content to be checked/);
        const stream = defangStream(source, { ...options, maxDecoded: decoded - 1 });
        const written: Buffer[] = [];
        for await (const chunk of stream) written.push(Buffer.from(chunk));
        expect(Buffer.concat(written)).toStrictEqual(broken.asBytes());
      });
    }

    it('cannot be got', async () => {
      const source = bytes(`${cases.text}\n\n${lines}`);
      const kept = MimeMessage.from(source, { maxDecoded: decoded });
      expect(kept.getPayloadDecoded()).toHaveLength(decoded);
      expect(await kept.getnames()).toStrictEqual([['name', 'a.txt']]);
      const broken = MimeMessage.from(source, { maxDecoded: decoded - 1 });
      expect(() => broken.getPayloadDecoded()).toThrow(errorWith(reaching('maxDecoded')));
      await expect(broken.getnames()).rejects.toThrow(errorWith(reaching('maxDecoded')));
    });

    it('is no matter of content that becomes smaller', () => {
      const source = bytes(`Content-Transfer-Encoding: base64\n\n${'QUJD'.repeat(100)}`);
      expect(MimeMessage.from(source, { maxDecoded: 10 }).getPayloadDecoded()).toHaveLength(300);
    });
  });

  describe('maxZipEntries: more files that are written into the content of a part', () => {
    const tnef = (count: number): Buffer => {
      const properties = Array.from({ length: count }, (_, at) => {
        const property = Buffer.alloc(20);
        property.writeUInt32LE(0x3707001e, 0); // PidTagAttachLongFilename, a string
        property.writeUInt32LE(1, 4);
        property.writeUInt32LE(8, 8);
        property.write(`${at}.txt`, 12);
        return property;
      });
      const head = Buffer.alloc(19);
      head.writeUInt32LE(0x223e9f78, 0);
      head.writeUInt32LE(0x69005, 7);
      head.writeUInt32LE(4 + 20 * count, 11);
      head.writeUInt32LE(count, 15);
      return Buffer.concat([
        bytes('Content-Type: application/ms-tnef; name=winmail.dat\n\n'),
        head,
        ...properties,
        Buffer.alloc(2),
      ]);
    };
    const many = (count: number, unit: (at: number) => string): string =>
      Array.from({ length: count }, (_, at) => unit(at)).join('');
    const cases: Readonly<Record<string, (count: number) => Buffer>> = {
      uuencode: (count) => bytes(`A: b\n\n${many(count, (at) => `begin 644 ${at}.txt\n`)}`),
      calendar: (count) =>
        bytes(
          `Content-Type: text/calendar\n\nBEGIN:VCALENDAR\n${many(count, (at) => `ATTACH;FILENAME=${at}.txt:x\n`)}`,
        ),
      tnef,
    };
    for (const [title, message] of Object.entries(cases)) {
      it(`is dangerous: ${title}`, async () => {
        const kept = MimeMessage.from(message(20), { maxZipEntries: 20 });
        expect((await kept.getnames()).filter(([attribute]) => attribute === title)).toHaveLength(20);
        expect(await defang(kept)).toBe(false);
        const broken = MimeMessage.from(message(21), { maxZipEntries: 20 });
        await expect(broken.getnames()).rejects.toThrow(errorWith(reaching('maxZipEntries')));
        expect(await defang(broken)).toBe(true);
        // So many arguments would overflow the stack.
        expect(await defang(MimeMessage.from(message(200_000)))).toBe(true);
      });
    }
  });

  it('more character sets than are tried are dangerous', async () => {
    const message = (count: number) =>
      MimeMessage.from(
        bytes(
          `Content-Type: text/html${Array.from({ length: count }, (_, at) => `; charset=x${at}`).join('')}\n\n<p>`,
        ),
      );
    expect(await defang(message(16))).toBe(false);
    expect(await defang(message(17))).toBe(true);
  });

  it('must be a positive integer', () => {
    for (const maxParts of [0, -1, 1.5, Number.NaN, '7' as unknown as number])
      expect(() => MimeMessage.from(bytes(''), { maxParts })).toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
      );
    expect(() => MimeMessage.from(bytes(''), { maxParts: undefined })).not.toThrow();
  });

  it('is larger than mail needs by default', () => {
    const { maxDepth, maxParts } = MIME_LIMITS;
    expect([...MimeMessage.from(attached(maxDepth - 1)).walk()]).toHaveLength(maxDepth);
    expect(MimeMessage.from(multipart(new Array(maxParts - 1).fill(''))).parts).toHaveLength(maxParts - 1);
  });
});

describe('a limit of a ZIP file', () => {
  /** @contract 24 */
  it('maxZipDepth', async () => {
    expect(await zipnames(await nestedZip(3, 'a'), { maxZipDepth: 3 })).toHaveLength(3);
    await expect(zipnames(await nestedZip(4, 'a'), { maxZipDepth: 3 })).rejects.toThrow(
      errorWith(reaching('maxZipDepth')),
    );
    await expect(zipnames(await nestedZip(6, 'a'))).rejects.toThrow(errorWith(reaching('maxZipDepth')));
  });

  /** @contract 24 */
  it('maxZipEntries applies to all levels together', async () => {
    const file = await zip({ a: '', 'b.zip': await zip({ c: '' }) });
    expect(await zipnames(file, { maxZipEntries: 3 })).toHaveLength(3);
    await expect(zipnames(file, { maxZipEntries: 2 })).rejects.toThrow(errorWith(reaching('maxZipEntries')));
  });

  /** @contract 24 */
  it('maxZipExpanded applies over all levels, and only to ZIP files', async () => {
    const inner = await zip({ 'big.txt': Buffer.alloc(100_000) });
    const file = await zip({ 'a.zip': inner, 'b.zip': inner, 'c.txt': Buffer.alloc(100_000) });
    const expanded = 2 * inner.length;
    expect(await zipnames(file, { maxZipExpanded: expanded })).toHaveLength(5);
    await expect(zipnames(file, { maxZipExpanded: expanded - 1 })).rejects.toThrow(
      errorWith(reaching('maxZipExpanded')),
    );
  });

  /** @contract 24 */
  it('a ZIP bomb is not unpacked beyond the limit', async () => {
    const bomb = await zip({ 'a.zip': Buffer.alloc(20_000_000) });
    expect(bomb.length).toBeLessThan(100_000);
    await expect(zipnames(bomb, { maxZipExpanded: 1_000_000 })).rejects.toThrow(
      errorWith(reaching('maxZipExpanded')),
    );
    const message = MimeMessage.from(multipart([attachment('a.zip', bomb)]));
    await expect(message.parts[0]?.getnames(true) ?? Promise.resolve()).rejects.toThrow(
      errorWith({
        code: 'ERR_MILTER_BAD_ZIP',
      }),
    );
  });
});

describe('defanging takes linear, not quadratic time', () => {
  const text = 'some text of a part\n';
  /** Containers in containers, each read in several ways. */
  const nested = (head: string) => (size: number) =>
    bytes(
      Array.from({ length: 45 }, (_, at) => `${at ? `--b${at - 1}\n` : ''}${head}; boundary=b${at}\n\n`).join(
        '',
      ) + text.repeat(size / 20),
    );
  const leaf = (head: string, unit: string) => (size: number) =>
    bytes(`${head}\n\n${unit.repeat(size / unit.length)}`);
  const cases: readonly (readonly [title: string, message: (size: number) => Buffer])[] = [
    ['multiparts that are HTML', nested('Content-Type: text/html')],
    ['multiparts behind garbage', nested('garbage\nContent-Type: multipart/mixed')],
    [
      'multiparts in an encoding',
      nested('Content-Transfer-Encoding: quoted-printable\nContent-Type: multipart/mixed'),
    ],
    [
      'messages in no known encoding',
      (n) =>
        bytes(
          'Content-Type: message/rfc822\nContent-Transfer-Encoding: 8-bit base64\n\n'.repeat(40) +
            text.repeat(n / 20),
        ),
    ],
    ['shift sequences', leaf('Content-Type: text/html; charset=iso-2022-jp', '\x1b(B<scr')],
    ['UTF-7', leaf('Content-Type: text/html; charset=utf-7', '+ADw-s')],
    ['NUL', leaf('Content-Type: text/html; charset=cp037; charset=utf-7', '+ADw\0\x1b(B\xc0\xbc')],
    ['padding in base64', leaf('Content-Type: text/html\nContent-Transfer-Encoding: base64', 'PHA+_-=')],
    [
      'stray equals signs',
      leaf('Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable', '=z= ='),
    ],
    [
      'lines of uuencode without data',
      leaf('Content-Type: text/html\nContent-Transfer-Encoding: x-uuencode', '_\n'),
    ],
    ['beginnings of files', leaf('Content-Type: text/plain', 'begin 644 a.txt\n')],
    ['lines of dashes without a boundary', leaf('Content-Type: multipart/mixed', '--a \n')],
    ['prefixes of elements', leaf('Content-Type: application/xhtml+xml', '<a')],
    ['entities', leaf('Content-Type: application/xhtml+xml', '<!ENTITY a ')],
    ['entities that are not closed', leaf('Content-Type: application/xhtml+xml', "<!ENTITY a '")],
    ['many srcdocs', (n) => bytes(`Content-Type: text/html\n\n<iframe ${'srcdoc="<if" '.repeat(n / 13)}>`)],
    [
      'blanks in the first line of a file',
      (n) => bytes(`A: b\n\nbegin 6${' '.repeat(n)}x\n${'x'.repeat(200)}`),
    ],
    [
      'attributes of an iframe',
      (n) => bytes(`Content-Type: text/html\n\n<iframe ${'srcdoc '.repeat(n / 7)}>`),
    ],
    [
      'soft line breaks that end in CR',
      leaf('Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable', '=\r'),
    ],
    [
      'soft line breaks up to LF',
      leaf('Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable', '=\ra\n'),
    ],
    [
      'names that almost end in a quote',
      (n) => {
        const name = (at: number) => `name="${at}.${"'".repeat(3900)}x/"`;
        const part = (_: unknown, at: number) => `--b\nContent-Type: a/b; ${name(at)}\n\n`;
        return bytes(
          `Content-Type: multipart/mixed; boundary=b\n\n${Array.from({ length: n / 4000 }, part).join('')}`,
        );
      },
    ],
  ];
  for (const [title, message] of cases) {
    it(title, async () => {
      const measure = async (size: number) => {
        const source = message(size);
        return cpuTime(() => defang(MimeMessage.from(source)).then(() => undefined));
      };
      const best = async (size: number) =>
        Math.min(await measure(size), await measure(size), await measure(size));
      await measure(60_000);
      const large = await best(480_000);
      if (large < 200) return;
      const small = await best(60_000);
      expectThat(large, `${small} ms, and ${large} ms for 8 times the size`).toBeLessThan(30 * small);
    });
  }
});

describe('parsing takes linear, not quadratic time', () => {
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
  const location = (url: string) => {
    const message = MimeMessage.from(bytes(`Content-Location: ${url}\n\nx`), {
      maxHeaderLength: 1e9,
      maxHeadSize: 1e9,
    });
    void message.getnames().catch(no);
  };
  const cases: readonly (readonly [title: string, run: (size: number) => void])[] = [
    ['dashes', (n) => parse(`Content-Type: multipart/mixed; boundary=b\n\n${'-'.repeat(n)}`)],
    ['lines of dashes', (n) => parse(`Content-Type: multipart/mixed; boundary=b\n\n${'--\n'.repeat(n / 3)}`)],
    ['line breaks', (n) => parse(`Content-Type: multipart/mixed; boundary=b\n\n${'\r'.repeat(n)}x`)],
    [
      'a line of blanks',
      (n) => unlimited(`Content-Type: multipart/mixed; boundary=b\n\n--b${' '.repeat(n)}x`),
    ],
    ['CR in a field', (n) => unlimited(`A: b${'\r '.repeat(n / 2)}x\n\nx`)],
    ['comments in an encoding', (n) => unlimited(`Content-Transfer-Encoding: ${'('.repeat(n)}\n\nx`)],
    ['comments in a type', (n) => unlimited(`Content-Type: ${'('.repeat(n)}\n\nx`)],
    ['characters before a type', (n) => unlimited(`Content-Type: ${'!'.repeat(n)}html\n\nx`)],
    ['brackets in a location', (n) => location(`x${'>'.repeat(n)}x`)],
    ['names of containers of Outlook', (n) => names(`name="${'winmail'.repeat(n / 7)}"`)],
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
    ['equals signs and asterisks', (n) => names('; =*'.repeat(n / 4))],
    ['names in encoded words', (n) => names('name="=?utf-8?Q?a=2Eb?="; '.repeat(n / 26))],
    ['escapes', (n) => names(`name=${'%41%'.repeat(n / 4)}`)],
    ['line breaks before a field', (n) => parse(`A: b\n${'\n'.repeat(n)}x`)],
    ['line breaks in a head', (n) => unlimited(`Content-Type: text/html\nA: b\n${' \n'.repeat(n / 2)}x`)],
    ['a word without an equals sign', (n) => names(`name=a; ${'x'.repeat(n)}`)],
    ['quotes without semicolons', (n) => names('name="a,b'.repeat(n / 9))],
    ['backslashes before semicolons', (n) => names('name=a\\;'.repeat(n / 8))],
    ['own boundaries', (n) => unlimited(`Content-Type: a/b; boundary=c\n${'--b\n'.repeat(n / 4)}\nx`)],
    ['garbage in a head', (n) => unlimited(`A: b\n${'garbage\n'.repeat(n / 8)}\nx`)],
    ['CR before CR LF', (n) => parse(`Content-Type: multipart/mixed; boundary=b\n\n${'\r'.repeat(n)}\n`)],
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
    ['iframes', (n) => html('<iframe srcdoc="&lt;script>'.repeat(n / 26))],
    ['iframes in SVG', (n) => html(`<svg>${'<iframe srcdoc=x '.repeat(n / 17)}`)],
    ['comments', (n) => html(`<!--${'--!'.repeat(n / 3)}`)],
  ];
  for (const [title, run] of cases) {
    it(title, async () => {
      // In quadratic time, 8 times the size takes 64 times as long.
      const size = 60_000;
      run(size);
      const measure = (factor: number) => cpuTime(() => run(size * factor));
      const best = async (factor: number) =>
        Math.min(await measure(factor), await measure(factor), await measure(factor));
      const large = await best(8);
      if (large < 200) return;
      const small = await best(1);
      expectThat(large, `${small} ms, and ${large} ms for 8 times the size`).toBeLessThan(30 * small);
    });
  }
});
