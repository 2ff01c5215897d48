/** The names of attachments, and which of them are dangerous. */
import { describe, expect, it } from '@jest/globals';
import { checkExt, DANGEROUS_EXTENSIONS, MimeMessage, PYMILTER_EXTENSIONS, zipnames } from 'tsmilter/mime';
import { encrypted, nestedZip, zip } from '../fixtures/mime/zip';
import { errorWith } from '../support/expect';

/** Extensions of a current list that the one of 2005 lacks. */
const CURRENT =
  'apk appx appxbundle cab diagcab diagcfg diagpkg dmg ex ex_ img iso jar jnlp lib mjs msix msixbundle nsh ps1 shb sys vhd vxd ' +
  'xll vhdx msu gadget ws xbap psc1 scf appref-ms library-ms searchconnector-ms settingcontent-ms website one wim rdp ' +
  'appinstaller iqy slk xlam svg';

/** What pymilter 1.0.5 answered for each name of up to four letters as extension. */
const OBSERVED =
  'ade adp asd asp asx bas bat chm cmd com cpl crt dll exe hlp hta inf ins isp js jse lnk mdb mde msc msi msp mst ocx ' +
  'pcd pif reg scr sct shs url vb vbe vbs wsc wsf wsh';

describe('checkExt', () => {
  /** @contract 25 */
  it("knows pymilter's extensions, in any letter case", () => {
    expect([...PYMILTER_EXTENSIONS].sort()).toStrictEqual(OBSERVED.split(' ').sort());
    for (const extension of OBSERVED.split(' ')) {
      for (const form of [
        extension,
        extension.toUpperCase(),
        `${extension[0]?.toUpperCase()}${extension.slice(1)}`,
      ])
        expect(checkExt(`a.b.${form}`)).toBe(`a.b.${form}`);
    }
  });

  it('has a current list by default, and takes any other', () => {
    for (const extension of CURRENT.split(' ')) {
      expect(checkExt(`a.${extension}`)).toBe(`a.${extension}`);
      expect(checkExt(`a.${extension}`, PYMILTER_EXTENSIONS)).toBeNull();
    }
    for (const extension of PYMILTER_EXTENSIONS) expect(DANGEROUS_EXTENSIONS.has(extension)).toBe(true);
    for (const extension of ['cdxml', 'library-ms', 'mjs', 'pssc', 'search-ms', 'wsb', 'xll'])
      expect(checkExt(`a.${extension}`)).toBe(`a.${extension}`);
    for (const extension of 'pdf docx xlsx pptx txt csv ics eml zip jpg png mp4 html'.split(' '))
      expect(checkExt(`a.${extension}`)).toBeNull();
    expect(checkExt('a.pdf', new Set(['pdf']))).toBe('a.pdf');
  });

  /** @contract 25 */
  for (const name of ['.exe', ' .exe', 'a..bat', 'dir/.exe', 'www.example.com', 'é.bat'])
    it(`${JSON.stringify(name)} is dangerous`, () => expect(checkExt(name)).toBe(name));

  /** @contract 25 */
  for (const name of [
    '',
    'exe',
    'a',
    'a.exe.txt',
    'a.html',
    'a.zip',
    'a.bat,',
    'dir.exe/x',
    '..',
    'a.ex e',
    'x.pıf',
  ])
    it(`${JSON.stringify(name)} is not`, () => expect(checkExt(name)).toBeNull());

  for (const name of [
    'a.exe ',
    'a.exe.',
    'a.exe\n',
    'a.exe\t',
    'a.exe . .',
    'a.exe\0',
    'a.exe\u00a0',
    'a.exe\u200b.',
  ])
    it(`ignores what Windows ignores: ${JSON.stringify(name)}`, () => expect(checkExt(name)).toBe(name));
});

const namesOf = (head: string, scanZip = false) =>
  MimeMessage.from(Buffer.from(`${head}\n\nx`, 'latin1')).getnames(scanZip);

describe('getnames', () => {
  const cases: readonly (readonly [title: string, head: string, names: readonly string[][]])[] = [
    ['none', 'Content-Type: text/plain; charset=utf-8', []],
    ['a token', 'Content-Type: a/b; name=a.exe', [['name', 'a.exe']]],
    ['a token with blanks', 'Content-Type: a/b; name=my a.exe ; x=y', [['name', 'my a.exe']]],
    ['a quoted string', 'Content-Type: a/b; NAME="a;\\"b\\".exe"', [['name', 'a;"b".exe']]],
    ['a quote that is not closed', 'Content-Type: a/b; name="a.exe', [['name', 'a.exe']]],
    ['a comment behind it', 'Content-Type: a/b; name=a.exe (c)', [['name', 'a.exe']]],
    [
      'any parameter with name in its name',
      'Content-Type: a/b; boundary=x.com; filename=f.exe; x-filename=g.bat',
      [
        ['filename', 'f.exe'],
        ['x-filename', 'g.bat'],
      ],
    ],
    [
      'both fields',
      'Content-Type: a/b; name=n.txt\nContent-Disposition: attachment; size=3; filename="f.exe"',
      [
        ['name', 'n.txt'],
        ['filename', 'f.exe'],
      ],
    ],
    ['a folded field', 'Content-Disposition: attachment;\n\tfilename="a b.exe"', [['filename', 'a b.exe']]],
    ['RFC 2231', "Content-Type: a/b; name*=iso-8859-1'de'%FCbel.exe", [['name', 'übel.exe']]],
    [
      'RFC 2231 in pieces',
      'Content-Type: a/b; name*0*=utf-8\'\'%C3%BCb; name*2="xe"; name*1=el.e',
      [['name', 'übel.exe']],
    ],
    ['RFC 2231 in plain pieces', 'Content-Type: a/b; name*0="a b"; name*1=".exe"', [['name', 'a b.exe']]],
    [
      'RFC 2231 without character set',
      'Content-Type: a/b; name*="a%2Eexe"',
      [
        ['name', 'a%2Eexe'],
        ['name', 'a.exe'],
      ],
    ],
    [
      'a plain form beside RFC 2231',
      "Content-Type: a/b; name=a.exe; name*=utf-8''a.txt",
      [
        ['name', 'a.txt'],
        ['name', 'a.exe'],
      ],
    ],
    [
      'encoded words',
      'Content-Type: a/b; name="=?utf-8?Q?=C3=BC?= =?utf-8?B?YmVsLmV4ZQ==?="',
      [['name', 'übel.exe']],
    ],
    [
      'one given twice',
      'Content-Type: a/b; name=a.txt; name=a.exe',
      [
        ['name', 'a.txt'],
        ['name', 'a.exe'],
      ],
    ],
    [
      'a field given twice',
      'Content-Type: a/b; name=a.txt\nContent-Type: a/b; name=a.exe',
      [
        ['name', 'a.txt'],
        ['name', 'a.exe'],
      ],
    ],
  ];
  /** @contract 24 */
  for (const [title, head, names] of cases)
    it(title, async () => expect(await namesOf(head)).toStrictEqual(names));

  /** @contract 24 */
  it('reads raw UTF-8', async () => {
    const message = MimeMessage.from(Buffer.from('Content-Type: a/b; name="ü.exe"\n\nx'));
    expect(await message.getnames()).toStrictEqual([['name', 'ü.exe']]);
  });

  /** @contract 24 */
  it('reads the names in a ZIP file on request', async () => {
    const file = (await zip({ 'a.txt': 'x', 'dir/b.exe': 'y' })).toString('base64');
    const message = MimeMessage.from(
      Buffer.from(`Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n${file}`),
    );
    expect(await message.getnames()).toStrictEqual([['name', 'a.zip']]);
    expect(await message.getnames(true)).toStrictEqual([
      ['name', 'a.zip'],
      ['zipname', 'a.txt'],
      ['zipname', 'dir/b.exe'],
    ]);
  });

  /** @contract 24 */
  it('recognises a ZIP file only by its type or name', async () => {
    for (const head of [
      'Content-Type: application/x-zip-compressed',
      'Content-Type: application/octet-stream\nContent-Disposition: attachment; filename="A.ZIP."',
    ])
      await expect(namesOf(head, true)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_BAD_ZIP' }));
    expect(await namesOf('Content-Type: application/pdf', true)).toStrictEqual([]);
  });

  it('fails for a ZIP file in an unknown encoding', async () => {
    await expect(
      namesOf('Content-Type: application/zip\nContent-Transfer-Encoding: x-rot13', true),
    ).rejects.toThrow(
      errorWith({
        code: 'ERR_MILTER_BAD_ZIP',
      }),
    );
  });
});

describe('zipnames', () => {
  /** @contract 24 */
  it('includes those of nested ZIP files', async () => {
    expect(await zipnames(await nestedZip(3, 'a.exe'))).toStrictEqual(['inner.zip', 'inner.zip', 'a.exe']);
  });

  /** @contract 25 */
  it('a directory may be called like a domain, a file may not', async () => {
    expect(await zipnames(await zip({ 'www.example.com/': '', 'www.example.com/a.txt': 'x' }))).toStrictEqual(
      ['www.example.com/', 'www.example.com/a.txt'],
    );
    // What has content is a file to some programs.
    const file = await zip({ 'evil.exe_': 'MZ' });
    const renamed = Buffer.from(file.toString('latin1').replaceAll('evil.exe_', 'evil.exe/'), 'latin1');
    expect(await zipnames(renamed)).toStrictEqual(['evil.exe/', 'evil.exe']);
  });

  it('empty input and a file without entries have none', async () => {
    expect(await zipnames(Buffer.alloc(0))).toStrictEqual([]);
    expect(await zipnames(await zip({}))).toStrictEqual([]);
  });

  /** @contract 25 */
  it('an unreadable file is an error', async () => {
    const whole = await zip({ 'a.txt': 'x' });
    for (const file of [
      Buffer.from('no ZIP file'),
      whole.subarray(0, -1),
      whole.subarray(20),
      await zip({ 'inner.zip': 'no ZIP file' }),
      encrypted(await nestedZip(2, 'a.txt')),
    ])
      await expect(zipnames(file)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_BAD_ZIP' }));
  });

  it('names are read in any encoding', async () => {
    const file = (await zip({ 'xx/xx.exe': 'x', 'yab/x.bat': 'y' })).toString('latin1');
    const renamed = file.replaceAll('xx/xx.exe', '../../a.e').replaceAll('yab/x.bat', '\\ab\\x.bat');
    expect(await zipnames(Buffer.from(renamed, 'latin1'))).toStrictEqual(['../../a.e', '\\ab\\x.bat']);
  });

  it('reads the names in an encrypted file', async () => {
    expect(await zipnames(encrypted(await zip({ 'a.exe': 'x' })))).toStrictEqual(['a.exe']);
  });
});
