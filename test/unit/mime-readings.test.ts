/**
 * What mail programs read differently: a part is dangerous if any way in which one of them reads it is. For each kind, the names
 * that getnames lists, and that nothing dangerous is left in what defang writes.
 */
import { describe, expect, it } from '@jest/globals';
import { MimeMessage, zipnames } from 'tsmilter/mime';
import {
  NAMES,
  oddZip,
  PAGES,
  STRUCTURES,
  tnef,
  tnefOfMessage,
  withZip64,
  ZIPS,
} from '../fixtures/mime/attacks';
import { allNames, defanged } from '../fixtures/mime/defanged';
import { attachment, multipart, uuencode } from '../fixtures/mime/messages';
import { encrypted, nestedZip, zip } from '../fixtures/mime/zip';
import { errorWith } from '../support/expect';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('structure', () => {
  const head = 'Content-Type: application/octet-stream; name="evil.exe"';
  for (const [title, build] of Object.entries(STRUCTURES)) {
    /** @contract 26, 28 */
    it(`a part ${title} is found`, async () => {
      const message = bytes(build(head, 'MZ PROGRAM'));
      expect(await allNames(message)).toContain('evil.exe');
      const output = await defanged(message);
      expect(await allNames(bytes(output))).not.toContain('evil.exe');
      expect(output).not.toContain('MZ PROGRAM');
      expect(output).not.toContain(bytes('MZ PROGRAM').toString('base64'));
    });
  }

  for (const [title, fields] of [
    ['a multipart whose boundary never comes', 'Content-Type: multipart/mixed; boundary=none; name=evil.exe'],
    ['a multipart without a boundary', 'Content-Type: multipart/mixed; name=evil.exe'],
    ['an attached message', 'Content-Type: message/rfc822; name=evil.exe'],
    ['a part of a message', 'Content-Type: message/partial; id=1; number=2; name=evil.exe'],
    ['a reference', 'Content-Type: message/external-body; access-type=x; name=evil.exe'],
    [
      'a file with a second type',
      'Content-Type: a/b; name=evil.exe\r\nContent-Type: multipart/mixed; boundary=i',
    ],
  ] as const) {
    it(`${title} is judged by its own name`, async () => {
      const output = await defanged(multipart([`${fields}\r\n\r\nPROGRAM`]));
      expect(output).not.toContain('PROGRAM');
    });
  }

  it('a multipart without a boundary is read with the first line that looks like one', async () => {
    const message = bytes(`Content-Type: multipart/mixed\n\n--x\n${head}\n\nPROGRAM\n--x--\n`);
    expect(await allNames(message)).toContain('evil.exe');
    expect(await defanged(message)).not.toContain('PROGRAM');
  });

  it('a multipart in an encoding is also read decoded', async () => {
    const inner = bytes(`--x\n${head}\n\nPROGRAM\n--x--\n`).toString('base64');
    const message = bytes(
      `Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\n${inner}\n`,
    );
    expect(await allNames(message)).toContain('evil.exe');
    expect(await defanged(message)).not.toContain(inner);
  });

  it('a line that only starts with a boundary becomes one if fields of content follow', async () => {
    const around = (part: string, line: string) =>
      multipart([part]).toString('latin1').replace('<line>', line);
    const boundary = /boundary="?([^"\s;]+)/.exec(around('', ''))?.[1] as string;
    for (const [part, isRepaired] of [
      ['Content-Type: text/html\r\n\r\n<p>\r\n<line>\r\nContent-Type: text/plain\r\n\r\n<script>', true],
      ['Content-Type: text/plain\r\n\r\ntext\r\n<line>\r\nX-A: b\r\n\r\n<script>', false],
      ['Content-Type: text/plain\r\n\r\ntext\r\n<line>\r\nContent-Type: text/html\r\n\r\nx', true],
      ['Content-Type: text/plain\r\n\r\ntext\r\n<line>\r\ntext', false],
    ] as const) {
      const message = bytes(around(part, `--${boundary}x<script>`));
      const output = await defanged(message);
      if (isRepaired)
        expect(output).toBe(message.toString('latin1').replace(`--${boundary}x<script>`, `--${boundary}`));
      else expect(output).toBe(message.toString('latin1'));
    }
  });

  it('the location of a page is no name, nor is a description in words', async () => {
    for (const field of [
      'Content-Location: http://www.example.com/',
      'Content-Location: http://www.example.com',
      'Content-Location: http://www.example.com/default.aspx',
      'Content-Location: cid:logo@example.com',
      'Content-Description: News from example.com',
    ]) {
      const message = multipart([`Content-Type: image/png\r\n${field}\r\n\r\nx`]);
      expect(await defanged(message)).toBe(message.toString('latin1'));
    }
  });

  it('the location of a picture is a name if it is that of a program', async () => {
    const message = multipart([
      'Content-Type: image/png\r\nContent-Location: http://x.example/evil.exe\r\n\r\nPROGRAM',
    ]);
    expect(await defanged(message)).not.toContain('PROGRAM');
  });

  it('a name in an attached message may be a subject that ends in a domain', async () => {
    for (const [name, warned] of [
      ['on example.com', false],
      ['evil.com', true],
      ['my evil.exe', true],
    ] as const) {
      const message = bytes(`Content-Type: message/rfc822; name="${name}"\n\nSubject: s\n\ntext`);
      expect((await defanged(message)).includes('WARNING.TXT')).toBe(warned);
    }
  });
});

describe('names', () => {
  for (const [title, head] of Object.entries(NAMES)) {
    /** @contract 24 */
    it(`a name ${title} is read`, async () => {
      const output = await defanged(multipart([`${head}\r\n\r\nPROGRAM`]));
      expect(output).not.toContain('PROGRAM');
    });
  }

  for (const [parameter, name] of [
    ['filename=a.exe::$DATA', 'a.exe'],
    ["filename='a.exe'", "'a.exe"],
    ['filename="a\uff0eexe"', 'a.exe'],
    ['filename="a.e\u00adxe"', 'a.exe'],
    ['filename*0*=utf-8\'\'%61; filename*1=".e"; filename*2*=%78e', 'a.exe'],
    ["filename*=utf-7''a+AC4-exe", 'a.exe'],
    ['filename="=?utf-16be?B?AGEALgBlAHgAZQ==?="', 'a.exe'],
    ['filename="=?x?B?YS5leGU=?="', 'a.exe'],
    ['filename="=?utf-8?B?YS5leGU="', 'a.exe'],
    ['filename=a.exe x', 'a.exe'],
    ['filename="a.exe; b.txt', 'a.exe; b.txt'],
  ] as const) {
    it(JSON.stringify(parameter), async () => {
      const message = Buffer.from(`Content-Disposition: attachment; ${parameter}\n\nx`);
      expect(await allNames(message)).toContain(name);
    });
  }
});

describe('HTML', () => {
  for (const [title, [parameter, html]] of Object.entries(PAGES)) {
    for (const [head, encode] of [
      ['Content-Transfer-Encoding: base64', (content: Buffer) => content.toString('base64')],
      [
        'Content-Transfer-Encoding: base64',
        (content: Buffer) => content.toString('base64').replace(/^(.{8})/, '$1='),
      ],
      [
        'Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64',
        (content: Buffer) => content.toString('base64'),
      ],
    ] as const) {
      /** @contract 27 */
      it(`in ${title} loses its scripts, or goes: ${JSON.stringify(head)}`, async () => {
        const encoded = encode(html);
        const output = await defanged(
          multipart([`Content-Type: text/html${parameter}\r\n${head}\r\n\r\n${encoded}`]),
        );
        expect(output).not.toContain(encoded);
      });
    }
  }

  for (const [title, part] of [
    ['without an empty line', 'Content-Type: text/html\r\n<html><script>EVIL()</script>'],
    [
      'with a srcdoc',
      'Content-Type: text/html\r\n\r\n<iframe srcdoc="&lt;script&gt;EVIL()&lt;/script&gt;"></iframe>',
    ],
    [
      'with a srcdoc, twice',
      'Content-Type: text/html\r\n\r\n<iframe srcdoc="<iframe srcdoc=&quot;&amp;lt;script>EVIL()&quot;>">',
    ],
    [
      'with a srcdoc in SVG',
      'Content-Type: text/html\r\n\r\n<svg></svg><iframe srcdoc="&#60;script>EVIL()"></iframe>',
    ],
    ['with a prefix in XHTML', 'Content-Type: application/xhtml+xml\r\n\r\n<x:script>EVIL()</x:script>'],
    [
      'as a multipart too',
      'Content-Type: text/html; boundary=i\r\n\r\n<script>EVIL()</script>\r\n--i\r\n\r\nx\r\n--i--',
    ],
    [
      'in an entity of XML',
      'Content-Type: application/xhtml+xml\r\n\r\n<!DOCTYPE html [<!ENTITY e "&#60;script>EVIL()">]><html>&e;</html>',
    ],
    ['in overlong UTF-8', 'Content-Type: text/html\r\n\r\n\xc0\xbcscript>EVIL()'],
    [
      'in a character of Shift_JIS',
      'Content-Type: text/html; charset=shift_jis\r\n\r\n<p a="\x81"><p a="><script>EVIL()</script>">',
    ],
    [
      'in a character of EUC-JP',
      'Content-Type: text/html; charset=euc-jp\r\n\r\n<p a="\x8f\xa1"><p a="><script>EVIL()</script>">',
    ],
    [
      'in seven bits of UTF-8',
      'Content-Type: text/html; charset=us-ascii\r\n\r\n\xc3\xbcscript src=x></script>',
    ],
    [
      'in UTF-7 by a name of Python',
      'Content-Type: text/html; charset=utf_7\r\n\r\n+AAoAPA-script>EVIL()</script>',
    ],
    ['in escapes', 'Content-Type: text/html; charset=unicode_escape\r\n\r\n<\\x73cript>EVIL()</script>'],
    [
      'in a continued line of escapes',
      'Content-Type: text/html; charset=unicode_escape\r\n\r\n<scr\\\nipt>EVIL()</script>',
    ],
    ['in seven bits', 'Content-Type: text/html; charset=us-ascii\r\n\r\n\xbcscript\xbeEVIL()'],
  ] as const) {
    /** @contract 27 */
    it(`${title} loses its scripts, or goes`, async () => {
      expect(await defanged(multipart([part]))).toMatch(/WARNING/);
    });
  }
});

describe('what some programs read otherwise', () => {
  const PROGRAM = 'Content-Type: a/b; name=evil.exe\r\n\r\nPROGRAM';
  it.each([
    [
      'a head that lone CRs do not end',
      'Content-Type: text/plain\r\rX: y\nContent-Disposition: attachment; filename=evil.exe\n\nPROGRAM',
    ],
    [
      'a boundary in angle brackets',
      `Content-Type: multipart/mixed; boundary="<B>"\r\n\r\n--B\r\n${PROGRAM}\r\n--B--`,
    ],
    [
      'a boundary in two of them',
      `Content-Type: multipart/mixed; boundary="<<B>>"\r\n\r\n--B\r\n${PROGRAM}\r\n--B--`,
    ],
    [
      'a head that a blank before a colon ends',
      'Content-Type: text/html\r\nX : y\r\nContent-Transfer-Encoding: base64\r\n\r\n<script>PROGRAM</script>',
    ],
    [
      'a mode without a blank',
      `Content-Type: text/plain\r\n\r\nbegin 644evil.exe\r\n${uuencode('PROGRAM')}end`,
    ],
    [
      'a mode before another blank',
      `Content-Type: text/plain\r\n\r\nbegin 644\x0bevil.exe\r\n${uuencode('PROGRAM')}end`,
    ],
    ['no mode', `Content-Type: text/plain\r\n\r\nhello\r\nbegin evil.exe\r\n${uuencode('PROGRAM')}end`],
  ])('%s', async (_title, part) => {
    const output = await defanged(multipart([part]));
    expect(output).not.toContain('PROGRAM');
    expect(output).not.toContain(uuencode('PROGRAM').trim());
  });

  it('is often nothing', async () => {
    for (const part of [
      'Content-Type: text/html\r\nX : y\r\n\r\n<p>text</p>',
      'Content-Type: text/plain\r\n\r\nbegin visiting www.example.com\r\nat once',
      'Content-Type: text/plain\r\n\r\nbeginning.com\r\nis a domain',
    ]) {
      const message = multipart([part]);
      expect(await defanged(message)).toBe(message.toString('latin1'));
    }
  });
});

describe('names in a part', () => {
  it.each(['@x', '[1]', ']x', '=x', '/x', '<x', '>x', '\\x', '?x', ':x'])(
    'a token ends at %j',
    async (end) => {
      for (const field of [
        'Content-Type: a/b; name=',
        'Content-Type: a/b; x="; y"; name=',
        'Content-Disposition: attachment; filename=',
      ])
        expect(await defanged(multipart([`${field}evil.exe${end}\r\n\r\nPROGRAM`]))).not.toContain('PROGRAM');
      const quoted = multipart([`Content-Type: a/b; name="a.txt${end.replace('\\', '\\\\')}b"\r\n\r\nx`]);
      expect(await defanged(quoted)).toBe(quoted.toString('latin1'));
    },
  );

  it('a boundary does not end there', async () => {
    const message = bytes(
      'Content-Type: multipart/mixed; boundary=--=_x\n\n----=_x\n\n----\ntext\n----=_x--\n',
    );
    expect(MimeMessage.from(message).parts).toHaveLength(1);
  });

  it.each([
    'name==?utf-8?Q?evil=2Eexe?=.txt',
    "name*=iso-2022-kr''evil.%1B%24%29Cexe",
    "name*0*=iso-2022-kr''evil.%1B%24; name*1*=%29Cexe",
    "name*=hz''evil.e~%0Axe",
    "name*=utf_7''evil%2BIAsALg-exe",
    "name*=u7''evil%2BIAsALg-exe",
    "name*=cp037''%85%A5%89%93K%85%A7%85",
    "name*=ibm500''%85%A5%89%93%4B%85%A7%85",
    "name*=unicode_escape''evil.%5Cx65xe",
    "name*=unicode_escape''evil.%5C145xe",
    "name*=unicode_escape''evil%5CN{full stop}exe",
    "name*=raw_unicode_escape''evil.%5Cu0065xe",
    "name*=punycode''evil.exe-",
    'name="=?cp037?Q?=85=A5=89=93=4B=85=A7=85?="',
    'name="=?unicode_escape?Q?evil=5Cx2eexe?="',
  ])('%s is evil.exe to somebody', async (parameter) => {
    expect(await defanged(multipart([`Content-Type: a/b; ${parameter}\r\n\r\nPROGRAM`]))).not.toContain(
      'PROGRAM',
    );
  });

  it.each([
    'filename="a.html\0"',
    "filename*=utf-8''a.html%00",
    'filename="a.htm\xa0"',
    'filename="a.svg\xc2\xa0"',
    'filename="a.html\xe2\x80\x8b"',
  ])('HTML is %j', async (parameter) => {
    const page = '<html><script>EVIL()</script></html>';
    expect(
      await defanged(
        multipart([`Content-Type: a/b\r\nContent-Disposition: attachment; ${parameter}\r\n\r\n${page}`]),
      ),
    ).not.toContain('EVIL');
  });

  it('a ZIP file may have NUL behind its name', async () => {
    const file = attachment('a.zip', oddZip({ local: 'evil.exe' })).replaceAll('a.zip', 'a.zip\0');
    expect(await defanged(multipart([file]), { scanZip: true })).toContain('WARNING.TXT');
  });
});

describe('a transfer encoding', () => {
  const SCRIPT = '<html><script>EVIL()</script></html>';
  const HTML = 'Content-Type: text/html\r\nContent-Transfer-Encoding: ';
  const MESSAGE = 'Content-Type: message/rfc822\r\nContent-Transfer-Encoding: ';
  const PROGRAM = 'Content-Type: a/b; name=evil.exe\r\n\r\nPROGRAM';

  it.each([
    ['uuencode of HTML that is not encoded', `${HTML}x-uuencode\r\n\r\n${SCRIPT}`],
    ['base64 of a message that is not encoded', `${MESSAGE}base64\r\n\r\n${PROGRAM}`],
    ['uuencode of a message that is not encoded', `${MESSAGE}x-uuencode\r\n\r\n${PROGRAM}`],
    ['base64 of a message with HTML', `${MESSAGE}base64\r\n\r\nContent-Type: text/html\r\n\r\n${SCRIPT}`],
    [
      'uuencode with an end before the beginning',
      `${HTML}uuencode\r\n\r\nend\r\nbegin 644 a\r\n${uuencode(SCRIPT)}end`,
    ],
    [
      'uuencode with a second beginning before the end',
      `${HTML}uue\r\n\r\nbegin 644 a\r\n${uuencode(SCRIPT)}begin 644 b\r\n${uuencode('hello')}end`,
    ],
    [
      'quoted-printable with CR CR LF in a tag',
      `${HTML}quoted-printable\r\n\r\n<scr=\r\r\nipt>EVIL()</script>`,
    ],
    [
      'quoted-printable with four CRs in a tag',
      `${HTML}quoted-printable\r\n\r\n<scr=\r\r\r\r\nipt>EVIL()</script>`,
    ],
    [
      'quoted-printable with something between CR and LF',
      `${HTML}quoted-printable\r\n\r\n<scr=\rjunk\nipt>EVIL()</script>`,
    ],
  ])('%s is read as programs read it', async (_title, part) => {
    expect(await defanged(multipart([part]))).not.toMatch(/EVIL|PROGRAM/);
    expect(await defanged(bytes(part))).not.toMatch(/EVIL|PROGRAM/);
  });

  it('of a ZIP file hides no entries behind an end', async () => {
    const file = uuencode(oddZip({ local: 'evil.exe' }).toString('latin1'));
    const head = 'Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: x-uuencode';
    const message = multipart([`${head}\r\n\r\nend\r\nbegin 644 a\r\n${file}end`]);
    expect(await defanged(message, { scanZip: true })).toContain('WARNING.TXT');
  });

  it('is taken away once: harmless content stays', async () => {
    const page = '<p>some text</p>\r\n';
    const zip = uuencode(oddZip({ local: 'a.txt' }).toString('latin1'));
    for (const part of [
      `${HTML}x-uuencode\r\n\r\nbegin 644 a.html\r\n${uuencode(page)}end`,
      `Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a.zip\r\n${zip}end`,
      `${MESSAGE}base64\r\n\r\n${bytes(`Content-Type: text/html\r\n\r\n${page}`).toString('base64')}`,
      `${MESSAGE}quoted-printable\r\n\r\nContent-Type: text/html; charset=3Dutf-8\r\n\r\n<!-- <script>=\r\n</script> -->${page}`,
      `${HTML}quoted-printable\r\n\r\n<p>a=\r\r\n b=\r c</p>`,
    ]) {
      const message = multipart([part]);
      expect(await defanged(message, { scanZip: true })).toBe(message.toString('latin1'));
    }
  });
});

describe('a script that is well hidden', () => {
  const HTML = 'Content-Type: text/html\r\n\r\n';
  const XHTML = 'Content-Type: application/xhtml+xml\r\n\r\n';
  const entity = '<!DOCTYPE html [<!ENTITY e "&#60;script>EVIL()">]><html>&e;</html>';
  const wide = `\xff\xfe${Buffer.from(entity, 'utf16le').toString('latin1')}`;

  it.each([
    ['in a srcdoc behind another attribute', `${HTML}<iframe srcdocx=1 srcdoc="<script>EVIL()</script>">`],
    ['in a second srcdoc', `${HTML}<iframe srcdoc="x" srcdoc = "<script>EVIL()</script>">`],
    [
      'in a comment that a named reference ends',
      `${HTML}<iframe srcdoc="<!-- --&excl;><script>EVIL()</script>">`,
    ],
    [
      'in a comment that an unfinished reference ends',
      `${HTML}<iframe srcdoc="<!-- --&gtx <p title='--> <script>EVIL()</script>'>">`,
    ],
    [
      'in a comment that an impossible reference ends',
      `${HTML}<iframe srcdoc="<!-- --&#99999999;> <p title='--> <script>EVIL()</script>'>">`,
    ],
    ['in an entity behind many blanks', XHTML + entity.replace('ENTITY', `ENTITY${' '.repeat(300)}`)],
    ['in an entity in UTF-16', `Content-Type: application/xhtml+xml; charset=utf-16\r\n\r\n${wide}`],
    ['in an entity that is never closed', XHTML + entity.replace('EVIL()">', 'EVIL()><!ENTITY f ""')],
    ['behind a long prefix', `${XHTML}<${'a'.repeat(120)}:script>EVIL()</${'a'.repeat(120)}:script>`],
    [
      'in lines that are joined',
      'Content-Type: text/html; format=flowed; delsp=yes\r\n\r\n<scr \r\nipt>EVIL()</script>',
    ],
    [
      'in encoded lines that are joined',
      'Content-Type: text/html; format=flowed; delsp=yes\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<scr=20\r\nipt>EVIL()</script>',
    ],
  ])('%s is found', async (_title, part) => {
    expect(await defanged(multipart([part]))).toMatch(/WARNING/);
  });

  it('has no likeness among ordinary pages', async () => {
    for (const part of [
      `${XHTML}<!DOCTYPE html [<!ENTITY ns "http://www.w3.org/1999/xhtml"><!ENTITY e 'text'>]><p>&e;</p>`,
      `${HTML}<iframe srcdoc="<p>text</p>" src="x"></iframe>`,
      'Content-Type: text/html; format=flowed; delsp=yes\r\n\r\n<p>some \r\ntext</p>',
    ]) {
      const message = multipart([part]);
      expect(await defanged(message)).toBe(message.toString('latin1'));
    }
  });
});

describe('ZIP files', () => {
  for (const [title, file] of Object.entries(ZIPS)) {
    /** @contract 24, 25 */
    it(`${title} is dangerous`, async () => {
      const names = await zipnames(file).catch((error) => [String(error.code)]);
      expect(names.includes('evil.exe') || names.includes('ERR_MILTER_BAD_ZIP')).toBe(true);
      const output = await defanged(multipart([attachment('a.zip', file)]), { scanZip: true });
      expect(output).not.toContain(file.toString('base64').slice(0, 40));
    });
  }

  it('a ZIP64 record may say the same as the end record, or stand for it', async () => {
    const file = oddZip({ local: 'a.txt' });
    for (const plain of [undefined, { size: 0xffffffff, offset: 0xffffffff }])
      expect(await zipnames(withZip64(file, plain))).toStrictEqual(['a.txt']);
    for (const plain of [
      { size: 0, offset: 0 },
      { size: 0xffffffff, offset: 1 },
    ])
      await expect(zipnames(withZip64(file, plain))).rejects.toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ZIP' }),
      );
  });

  it('a password hides no names, but those in a ZIP file', async () => {
    for (const [file, isDangerous] of [
      [await zip({ 'a.txt': 'x' }), false],
      [await zip({ 'evil.exe': 'x' }), true],
      [await nestedZip(2, 'a.txt'), true],
    ] as const) {
      const message = multipart([attachment('a.zip', encrypted(file))]);
      expect((await defanged(message, { scanZip: true })).includes('WARNING.TXT')).toBe(isDangerous);
    }
  });

  it('all names of an entry are listed', async () => {
    expect(await zipnames(oddZip({ local: 'evil.exe', unicodePath: 'a.txt' }))).toStrictEqual([
      'a.txt',
      'evil.exe',
    ]);
    expect(await zipnames(oddZip({ local: 'evil.exe\0.txt' }))).toStrictEqual(['evil.exe\0.txt', 'evil.exe']);
  });

  it('a directory that does not match is unreadable', async () => {
    const hidden = Buffer.concat([oddZip({ local: 'evil.exe' }), oddZip({ local: 'a.txt' })]);
    for (const file of [
      oddZip({ local: 'a', count: 0 }),
      oddZip({ local: 'a', count: 2 }),
      oddZip({ local: 'a', central: 'b' }),
      hidden,
    ])
      await expect(zipnames(file)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_BAD_ZIP' }));
  });
});

/** The header of a tar file from before its signature. */
function tarHeader(): Buffer {
  const header = Buffer.alloc(512);
  header.write('evil.exe');
  header.write(' '.repeat(8), 148);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

describe('files in other forms', () => {
  it('a winmail.dat may have messages in it', async () => {
    const part = (file: Buffer) => multipart([attachment('winmail.dat', file, 'application/ms-tnef')]);
    const deep = (levels: number, name: string): Buffer =>
      levels === 1 ? tnef(name) : tnefOfMessage(deep(levels - 1, name));
    for (const levels of [2, 3, 50]) {
      expect(await allNames(part(deep(levels, 'evil.exe')))).toContain('evil.exe');
      expect(await defanged(part(deep(levels, 'evil.exe')))).toContain('WARNING.TXT');
      expect(await defanged(part(deep(levels, 'a.txt')))).not.toContain('WARNING.TXT');
    }
    expect(await defanged(part(deep(51, 'a.txt')))).toContain('WARNING.TXT');
  });

  it('uuencoded ones are read in text', async () => {
    for (const begin of [
      'begin 644 evil.exe',
      'begin-base64 644 evil.exe',
      '=ybegin line=128 size=9 name=evil.exe',
    ]) {
      const message = multipart([`Content-Type: text/plain\r\n\r\nhello\r\n${begin}\r\nPROGRAM\r\nend`]);
      expect(await allNames(message)).toStrictEqual(['evil.exe']);
      expect(await defanged(message)).not.toContain('PROGRAM');
    }
  });

  it.each([
    ['text', 'text/plain', 'begin 644 evil.exe\r\nPROGRAM\r\nend'],
    ['an encoded message', 'message/rfc822', `Content-Type: a/b; name=evil.exe\r\n\r\nPROGRAM`],
    [
      'a file with the name of a message',
      'a/b; name=a.eml',
      'Content-Type: a/b; name=evil.exe\r\n\r\nPROGRAM',
    ],
    [
      'a calendar',
      'text/calendar',
      'BEGIN:VCALENDAR\r\nATTACH;FILENAME=evil.exe;ENCODING=BASE64;VALUE=BINARY:AAAA\r\nEND:VCALENDAR\r\n',
    ],
  ])('%s is read as such in spite of a boundary', async (_title, type, text) => {
    const content = bytes(text).toString('base64');
    const message = multipart([
      `Content-Type: ${type}; boundary=none\r\nContent-Transfer-Encoding: base64\r\n\r\n${content}`,
    ]);
    expect(await allNames(message)).toContain('evil.exe');
    expect(await defanged(message)).not.toContain(content);
  });

  it('a container is found in spite of a boundary', async () => {
    const message = multipart(['Content-Type: a/b; boundary=none\r\n\r\nRar!\x1a\x07\x01\0']);
    expect(await defanged(message, { scanContainers: true })).toContain('WARNING.TXT');
  });

  it('uuencoded ones are read with any mode, if data follow', async () => {
    for (const begin of ['Begin 6 evil.exe', 'begin 99 evil.exe', 'begin +644 evil.exe']) {
      const message = multipart([`Content-Type: text/plain\r\n\r\n${begin}\r\n${uuencode('PROGRAM')}end`]);
      expect(await allNames(message)).toStrictEqual(['evil.exe']);
      expect(await defanged(message)).not.toContain(uuencode('PROGRAM').trim());
    }
  });

  it('a name of several words behind two blanks counts if data follow', async () => {
    const message = multipart([
      `Content-Type: text/plain\r\n\r\nbegin  my evil.exe\r\n${uuencode('PROGRAM')}end`,
    ]);
    expect(await allNames(message)).toStrictEqual(['my evil.exe']);
    expect(await defanged(message)).not.toContain(uuencode('PROGRAM').trim());
  });

  it('a sentence is no beginning of a file', async () => {
    for (const line of [
      'begin  the visit of www.example.com',
      'Begin 30 days of training at example.com',
      'begin 7 evil.exe',
      'begin with evil.exe',
    ]) {
      const message = multipart([`Content-Type: text/plain\r\n\r\n${line}\r\nand go on`]);
      expect(await defanged(message)).toBe(message.toString('latin1'));
    }
  });

  it('a container is dangerous by its first bytes, on request', async () => {
    for (const [start, dangerous] of [
      ['Rar!\x1a\x07\x01\0', true],
      ['7z\xbc\xaf\x27\x1c', true],
      ['\x1f\x8b\x08', true],
      [`${'\0'.repeat(257)}ustar`, true],
      [`${'\0'.repeat(0x8001)}CD001`, true],
      [tarHeader().toString('latin1'), true],
      [`${'x'.repeat(600)}koly${'\0'.repeat(508)}`, true],
      [`MZ program${ZIPS['an ordinary ZIP file']?.toString('latin1')}`, true],
      ['a ZIP file has PK\x05\x06 where it ends', false],
      [ZIPS['an ordinary ZIP file']?.toString('latin1') ?? '', true],
      [oddZip({ local: 'a.txt' }).toString('latin1'), false],
      ['%PDF-1.7', false],
    ] as const) {
      const message = multipart([attachment('a.dat', bytes(start))]);
      expect((await defanged(message, { scanContainers: true })).includes('WARNING.TXT')).toBe(dangerous);
      expect((await defanged(message)).includes('WARNING.TXT')).toBe(false);
    }
  });
});
