/** Messages made harmless, in memory and as a stream. */
import { hostname } from 'node:os';
import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import {
  checkAttachments,
  type DefangOptions,
  type DefangStreamOptions,
  defang,
  defangStream,
  MimeMessage,
  removeScripts,
} from 'tsmilter/mime';
import { attachment, HIDDEN, multipart, ODD_MESSAGES } from '../fixtures/mime/messages';
import { encrypted, nestedZip, zip } from '../fixtures/mime/zip';
import { errorWith, expectThat } from '../support/expect';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const COMMENT = '<!-- WARNING: a script was removed here -->';

/** What defang makes of a message; the stream has to make the same of it, in chunks of any size. */
async function defanged(
  source: Buffer,
  options: DefangOptions = {},
): Promise<{ changed: boolean; output: Buffer; message: MimeMessage; replaced: readonly string[] }> {
  const message = MimeMessage.from(source);
  const changed = await defang(message, options);
  const output = message.asBytes();
  const streams = [defangStream(source, options), defangStream(Readable.from(slices(source, 1000)), options)];
  for (const stream of streams) {
    const written: Buffer[] = [];
    for await (const chunk of stream) written.push(chunk);
    expect(Buffer.concat(written).toString('latin1')).toBe(output.toString('latin1'));
    expect(stream.changed).toBe(changed);
  }
  expect(message.ismodified()).toBe(changed);
  if (!changed) expect(output).toStrictEqual(source);
  return { changed, output, message, replaced: streams[0]?.replaced ?? [] };
}

function* slices(source: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < source.length; at += size) yield source.subarray(at, at + size);
}

describe('a dangerous part', () => {
  const exe = Buffer.from('MZ this must go');
  const parts = ['Content-Type: text/plain\r\n\r\nhello', attachment('a.ExE', exe), attachment('b.jpg', exe)];

  /** @contract 25 */
  it('is replaced by WARNING.TXT, and nothing else changes', async () => {
    const source = multipart(parts);
    const { changed, output, message, replaced } = await defanged(source, {
      host: 'mx.example',
      savname: '/var/spool/q/1',
    });
    expect(changed).toBe(true);
    expect(replaced).toStrictEqual(['a.ExE']);
    const warning = message.parts[1];
    expect(warning?.gettype()).toBe('text/plain');
    expect(warning?.getfilename()).toBe('WARNING.TXT');
    const text = warning?.getPayloadDecoded().toString() ?? '';
    for (const told of ['"a.ExE"', 'mx.example', '"/var/spool/q/1"']) expect(text).toContain(told);
    const [before, , after] = source
      .toString('latin1')
      .split(parts[1] as string)
      .flatMap((piece) => [piece, '']);
    expect(output.toString('latin1').startsWith(before as string)).toBe(true);
    expect(output.toString('latin1').endsWith(after as string)).toBe(true);
  });

  /** @contract 25 */
  it('keeps no other MIME headers, but all other headers', async () => {
    const head =
      'X-Kept: 1\r\nContent-ID: <1>\r\nContent-Description: a.exe\r\nContent-Type: a/b; name=a.exe\r\n' +
      'Content-Type: a/b; name=c.exe\r\nContent-Transfer-Encoding: base64\r\n';
    const { message } = await defanged(multipart([`${head}\r\nTVo=`]));
    expect(message.parts[0]?.headers().map(([name]) => name)).toStrictEqual([
      'X-Kept',
      'Content-Type',
      'Content-Transfer-Encoding',
      'Content-Disposition',
    ]);
    expectThat(message.parts[0]?.getPayload().includes(hostname()), 'the host by default').toBe(true);
    expect(message.parts[0]?.getPayload().includes('saved')).toBe(false);
  });

  /** @contract 25 */
  it('names the file, whatever its characters', async () => {
    const { message } = await defanged(bytes("Content-Type: a/b; name*=utf-8''%E2%82%AC%0D%0A%22.exe\n\nx"), {
      host: 'h',
    });
    expect(message.getencoding()).toBe('quoted-printable');
    expect(message.getPayloadDecoded().toString()).toMatch(/^The attachment "€ \\".exe" was removed/);
  });

  /** @contract 25, 29 */
  it('may be the message itself, whose header changes are then announced', async () => {
    const source = bytes(
      'Subject: s\r\nMIME-Version: 1.0\r\nContent-ID: <1>\r\nContent-Type: a/b; name=a.exe\r\n\r\nMZ\r\n',
    );
    const expected = [
      ['Content-ID', null],
      ['Content-Type', 'text/plain; charset=utf-8; name="WARNING.TXT"'],
      ['Content-Disposition', 'inline; filename="WARNING.TXT"'],
      ['Content-Transfer-Encoding', '7bit'],
    ];
    const heard: unknown[] = [];
    const message = MimeMessage.from(source);
    message.headerchange = (who, name, value) => heard.push([name, value, who === message]);
    expect(await defang(message)).toBe(true);
    expect(heard).toStrictEqual(expected.map((change) => [...change, true]));
    expect(message.asBytes().toString().startsWith('Subject: s\r\nMIME-Version: 1.0\r\n')).toBe(true);

    const streamed: unknown[] = [];
    const options: DefangStreamOptions = {
      bodyOnly: true,
      headerchange: (_, name, value) => streamed.push([name, value]),
    };
    const written: Buffer[] = [];
    for await (const chunk of defangStream(source, options)) written.push(chunk);
    expect(streamed).toStrictEqual(expected);
    expect(Buffer.concat(written)).toStrictEqual(message.getPayload());
  });

  it('does not announce changes within its parts', async () => {
    const headerchange = () => {
      throw new Error('called');
    };
    const stream = defangStream(multipart(parts), { headerchange });
    expect(await stream.finish()).toBe(true);
  });

  for (const [title, [source]] of Object.entries(HIDDEN)) {
    /** @contract 26, 28 */
    it(`is found ${title}`, async () => {
      const { changed, output } = await defanged(source);
      expect(changed).toBe(true);
      const last = [...MimeMessage.from(output).walk()].at(-1);
      expect(last?.getname()).toBe('WARNING.TXT');
      expect(last?.getPayloadDecoded().includes('MZ')).toBe(false);
    });
  }

  it('is chosen by the check function', async () => {
    const asked: string[] = [];
    const check = (name: string) => !!asked.push(name) && name === 'b.jpg';
    const { replaced } = await defanged(multipart(parts), { check });
    expect(replaced).toStrictEqual(['b.jpg']);
    expect(asked).toContain('a.ExE');
  });

  it('stays in an attached message with scanRfc822: false', async () => {
    for (const title of [
      'in an attached message that is an attachment',
      'in an attached message in base64',
    ]) {
      const { changed } = await defanged(HIDDEN[title]?.[0] as Buffer, { scanRfc822: false });
      expect(changed).toBe(false);
    }
  });

  it('an attached message is not judged by its name, which is often a subject', async () => {
    const { changed } = await defanged(
      bytes('Content-Type: message/rfc822; name="on example.com"\n\nSubject: s\n\nx'),
    );
    expect(changed).toBe(false);
  });
});

describe('a harmless message', () => {
  for (const [title, source] of Object.entries(ODD_MESSAGES)) {
    /** @contract 23 */
    it(`keeps every byte: ${title}`, async () => {
      expect((await defanged(source, { scanZip: true })).changed).toBe(false);
    });
  }
});

describe('a ZIP file', () => {
  const withZip = (file: Buffer): Buffer => multipart([attachment('a.zip', file, 'application/zip')]);
  const cases: readonly (readonly [
    title: string,
    file: () => Promise<Buffer>,
    dangerous: boolean,
    options?: DefangOptions,
  ])[] = [
    ['with a dangerous name', () => zip({ 'a.txt': 'x', 'b.exe': 'y' }), true],
    ['with a dangerous name in a ZIP file in it', () => nestedZip(3, 'b.exe'), true],
    ['with harmless names', () => zip({ 'a.txt': 'x' }), false],
    ['that is no ZIP file', async () => Buffer.from('garbage'), true],
    ['that is cut off', async () => (await zip({ 'a.txt': 'x' })).subarray(0, -3), true],
    ['that is empty', () => zip({}), false],
    ['of no bytes', async () => Buffer.alloc(0), false],
    ['with a ZIP file under a password', async () => encrypted(await nestedZip(2, 'a.txt')), true],
    ['that is nested beyond the limit', () => nestedZip(3, 'a.txt'), true, { maxZipDepth: 2 }],
    ['with entries beyond the limit', () => zip({ a: '', b: '', c: '' }), true, { maxZipEntries: 2 }],
    ['that unpacks beyond the limit', () => nestedZip(2, 'a.txt'), true, { maxZipExpanded: 20 }],
  ];
  for (const [title, file, dangerous, options] of cases) {
    /** @contract 25 */
    it(`${title} is ${dangerous ? 'dangerous' : 'not dangerous'}`, async () => {
      const source = withZip(await file());
      const { changed, message } = await defanged(source, { scanZip: true, ...options });
      expect(changed).toBe(dangerous);
      if (dangerous)
        expect(message.parts[0]?.getPayload().toString() ?? '').toMatch(/^The attachment "a\.zip" was/);
    });
  }

  /** @contract 24 */
  it('is read only on request', async () => {
    expect((await defanged(withZip(await zip({ 'b.exe': 'x' })))).changed).toBe(false);
  });

  it('is called a ZIP file in the warning if it has no name', async () => {
    const { message } = await defanged(bytes('Content-Type: application/zip\n\ngarbage'), { scanZip: true });
    expect(message.getPayload().toString()).toMatch(/^The attachment "a ZIP file" was/);
  });

  it('does not hide an error thrown by the check', async () => {
    const check = () => {
      throw new Error('mine');
    };
    await expect(
      defang(MimeMessage.from(withZip(await zip({ a: '' }))), { scanZip: true, check }),
    ).rejects.toThrow(/mine/);
    const onlyInside = (name: string) => {
      if (name === 'a') throw new Error('mine');
      return false;
    };
    await expect(
      defang(MimeMessage.from(withZip(await zip({ a: '' }))), { scanZip: true, check: onlyInside }),
    ).rejects.toThrow(/mine/);
  });
});

describe('removeScripts', () => {
  const cases: readonly (readonly [title: string, html: string, expected: string | null])[] = [
    ['one', '<p>a<script src="x">alert(1)</script>b', `<p>a${COMMENT}b`],
    [
      'of any letter case, with blanks',
      'a<sCRipt\n>1</SCRIPT >b<script>2</script>',
      `a${COMMENT}b${COMMENT}`,
    ],
    ['that is not closed', 'a<script>b', `a${COMMENT}`],
    ['with a tag that is not closed', 'a<script>b</script', `a${COMMENT}`],
    ['that closes itself, which HTML does not know', '<script/>a</script>b', `${COMMENT}b`],
    ['with a comment', 'a<script><!-- <script> --></script>b', `a${COMMENT}b`],
    ['none', '<p onclick="a">b</p><noscript>x</noscript>', null],
    ['none, only another element', '<scripts>a</scripts><scr>', null],
    ['in a comment, which is none', 'a<!-- <script>b</script> -->', null],
    ['in an attribute, which is none', '<p title="<script>">b', null],
    ['as entities, which is none', '&lt;script&gt;', null],
    [
      'with malformed things around it',
      '<!foo<![if x]><?y "z?><!DOCTYPE<><script>1</script></><b',
      `<!foo<![if x]><?y "z?><!DOCTYPE<>${COMMENT}</><b`,
    ],
    ['in a text element', '<textarea><script>1</script></textarea>x', `<textarea>${COMMENT}</textarea>x`],
    [
      'behind what a program may take for text',
      '<select><style></select><script>1</script>x',
      `<select><style></select>${COMMENT}x`,
    ],
    ['in a text that is not closed', '<plaintext><script>1', `<plaintext>${COMMENT}`],
    ['in SVG', '<svg><script>1</script><g/></svg>', `<svg>${COMMENT}<g/></svg>`],
    [
      'behind SVG that hides it from a parser',
      '<svg/><![CDATA[x><script>1</script>]]>',
      `<svg/><![CDATA[x>${COMMENT}]]>`,
    ],
    ['in SVG, not closed', '<svg><script>1</script', `<svg>${COMMENT}`],
    ['as the last word in SVG', '<svg><script', `<svg>${COMMENT}`],
  ];
  for (const [title, html, expected] of cases) {
    /** @contract 27 */
    it(`a script ${title}`, () =>
      expect(removeScripts(bytes(html))?.toString('latin1') ?? null).toBe(expected));
  }

  /** @contract 27 */
  it('keeps every byte around a script, whatever the character set', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const script = bytes('<script>1</script>');
    const html = Buffer.concat([all, bytes('\r\n\r\0<p>'), script, all, bytes('\n<p/ x=\'>\' y= "z">'), all]);
    const at = html.indexOf(script);
    expect(removeScripts(html)).toStrictEqual(
      Buffer.concat([html.subarray(0, at), bytes(COMMENT), html.subarray(at + script.length)]),
    );
  });

  /** @contract 27 */
  it('finds scripts across chunk boundaries', () => {
    const filler = '<p class="x">\r\n\xe9'.repeat(10_000);
    for (const shift of [0, 1, 2, 3]) {
      const html = `${'x'.repeat(shift)}${filler}<script>1</script>${filler}<textarea>${filler}<script>2`;
      expect(removeScripts(bytes(html))?.toString('latin1')).toBe(
        html.replace('<script>1</script>', COMMENT).replace('<script>2', COMMENT),
      );
    }
  });

  for (const [title, charset, mark] of [
    ['named', 'utf-16le', ''],
    ['with a byte order mark', '', '\ufeff'],
  ] as const) {
    /** @contract 27 */
    it(`UTF-16, ${title}`, () => {
      const encode = (html: string) => Buffer.from(mark + html, 'utf16le');
      const html = encode('<p>€\ud800<script>1</script>z');
      const clean = encode(`<p>€\ud800${COMMENT}z`);
      expect(removeScripts(html, charset)).toStrictEqual(clean);
      expect(removeScripts(encode('<scar>'), charset)).toStrictEqual(null);
      const odd = Buffer.from([0x78]);
      expect(removeScripts(Buffer.concat([html, odd]), charset)).toStrictEqual(Buffer.concat([clean, odd]));
      const big = removeScripts(Buffer.from(html).swap16(), charset && 'utf-16');
      expect(big).toStrictEqual(Buffer.from(clean).swap16());
    });
  }
});

describe('an HTML part', () => {
  const html = '<p>\xe9 = \t\r\n--cut\r\n<script>1</script>\nz';
  const clean = html.replace('<script>1</script>', COMMENT);
  const part = (head: string, content = html) => `${head}\r\n\r\n${content}`;

  /** @contract 27 */
  it('loses its scripts and is re-encoded as quoted-printable', async () => {
    const encoded = bytes(html).toString('base64');
    const head = 'Content-Type: text/html; charset=iso-8859-1\r\nX: y\r\nContent-Transfer-Encoding: base64';
    const source = multipart([part(head, encoded), 'Content-Type: text/html\r\n\r\n<p>no script</p>']);
    const { message, output, replaced } = await defanged(source);
    const [changed, kept] = MimeMessage.from(output).parts;
    expect(message.parts).toHaveLength(2);
    expect(changed?.getPayloadDecoded().toString('latin1')).toBe(clean);
    expect(changed?.getencoding()).toBe('quoted-printable');
    expect(changed?.getparam('charset')).toBe('iso-8859-1');
    expect(kept?.getPayload().toString()).toBe('<p>no script</p>');
    expect(replaced).toStrictEqual([]);
  });

  for (const head of [
    'Content-Type: application/octet-stream; name=a.htm',
    'Content-Type: application/octet-stream; name=A.HTML',
    'Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="a.htm"',
    'Content-Type: text/plain\r\nContent-Type: text/html',
    'Content-Type: text/plain; name=a.html',
    'Content-Type: image/png; name=a.htm',
    'Content-Type: text/plain; name="a.xhtml. "',
  ]) {
    /** @contract 27 */
    it(`is one by ${JSON.stringify(head)}`, async () => {
      const { message } = await defanged(multipart([part(head, '<script>1</script>')]));
      expect(message.parts[0]?.getPayloadDecoded().toString()).toBe(COMMENT);
    });
  }

  /** @contract 27, 29 */
  it('may be the message itself', async () => {
    const heard: unknown[] = [];
    const message = MimeMessage.from(bytes('Content-Type: text/html\n\n<script>1</script>\n'));
    message.headerchange = (_, name, value) => heard.push([name, value]);
    expect(await defang(message)).toBe(true);
    expect(heard).toStrictEqual([['Content-Transfer-Encoding', 'quoted-printable']]);
    expect(message.getPayload().toString()).toBe(`${COMMENT}\n`);
  });

  it('keeps its scripts with scanHtml: false', async () => {
    expect((await defanged(bytes(`Content-Type: text/html\n\n${html}`), { scanHtml: false })).changed).toBe(
      false,
    );
  });

  it('is dangerous if it has a dangerous name', async () => {
    const { replaced } = await defanged(bytes('Content-Type: text/html; name=a.hta\n\nx'));
    expect(replaced).toStrictEqual(['a.hta']);
  });
});

describe('defang', () => {
  it('refuses invalid messages, checks and limits', async () => {
    const code = 'ERR_MILTER_BAD_ARGUMENT';
    const message = MimeMessage.from(bytes('A: b\n\nx'));
    await expect(defang(bytes('x') as unknown as MimeMessage)).rejects.toThrow(errorWith({ code }));
    await expect(defang(message, { check: 'exe' as unknown as () => boolean })).rejects.toThrow(
      errorWith({ code }),
    );
    expect(() => defangStream(bytes('x'), { maxParts: 0 })).toThrow(errorWith({ code }));
  });
});

describe('checkAttachments', () => {
  it('calls the check for each leaf part until one answers', async () => {
    const message = MimeMessage.from(ODD_MESSAGES['an attached message with parts'] as Buffer);
    const asked: string[] = [];
    const all = await checkAttachments(message, (part) => {
      asked.push(part.gettype());
      return Milter.CONTINUE;
    });
    expect(all).toBe(Milter.CONTINUE);
    expect(asked).toStrictEqual(['text/plain']);
    const two = MimeMessage.from(multipart(['A: b\r\n\r\nx', 'A: b\r\n\r\ny']));
    let count = 0;
    const answer = await checkAttachments(two, async () => {
      count++;
      return Milter.REJECT;
    });
    expect(answer).toBe(Milter.REJECT);
    expect(count).toBe(1);
  });
});
