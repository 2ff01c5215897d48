/** The names of attachments, and which of them are dangerous. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkExt, DANGEROUS_EXTENSIONS, MimeMessage, zipnames } from 'tsmilter/mime';
import { encrypted, nestedZip, zip } from '../fixtures/mime/zip';

/** What pymilter 1.0.5 answered for each name of up to four letters as extension. */
const OBSERVED =
  'ade adp asd asp asx bas bat chm cmd com cpl crt dll exe hlp hta inf ins isp js jse lnk mdb mde msc msi msp mst ocx ' +
  'pcd pif reg scr sct shs url vb vbe vbs wsc wsf wsh';

describe('checkExt', () => {
  it("contract 25: knows pymilter's extensions, in any letter case", () => {
    assert.deepEqual([...DANGEROUS_EXTENSIONS].sort(), OBSERVED.split(' ').sort());
    for (const extension of OBSERVED.split(' ')) {
      for (const form of [
        extension,
        extension.toUpperCase(),
        `${extension[0]?.toUpperCase()}${extension.slice(1)}`,
      ])
        assert.equal(checkExt(`a.b.${form}`), `a.b.${form}`);
    }
  });

  for (const name of ['.exe', ' .exe', 'a..bat', 'dir/.exe', 'www.example.com', 'é.bat'])
    it(`contract 25: ${JSON.stringify(name)} is dangerous`, () => assert.equal(checkExt(name), name));

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
    it(`contract 25: ${JSON.stringify(name)} is not`, () => assert.equal(checkExt(name), null));

  for (const name of ['a.exe ', 'a.exe.', 'a.exe\n', 'a.exe\t', 'a.exe . .', 'a.exe\0'])
    it(`sees through what Windows ignores: ${JSON.stringify(name)}`, () =>
      assert.equal(checkExt(name), name));
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
  for (const [title, head, names] of cases)
    it(`contract 24: ${title}`, async () => assert.deepEqual(await namesOf(head), names));

  it('contract 24: UTF-8 as it is', async () => {
    const message = MimeMessage.from(Buffer.from('Content-Type: a/b; name="ü.exe"\n\nx'));
    assert.deepEqual(await message.getnames(), [['name', 'ü.exe']]);
  });

  it('contract 24: names in a ZIP file on request', async () => {
    const file = (await zip({ 'a.txt': 'x', 'dir/b.exe': 'y' })).toString('base64');
    const message = MimeMessage.from(
      Buffer.from(`Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n${file}`),
    );
    assert.deepEqual(await message.getnames(), [['name', 'a.zip']]);
    assert.deepEqual(await message.getnames(true), [
      ['name', 'a.zip'],
      ['zipname', 'a.txt'],
      ['zipname', 'dir/b.exe'],
    ]);
  });

  it('contract 24: a ZIP file by its type or name alone', async () => {
    for (const head of [
      'Content-Type: application/x-zip-compressed',
      'Content-Type: application/octet-stream\nContent-Disposition: attachment; filename="A.ZIP."',
    ])
      await assert.rejects(namesOf(head, true), { code: 'ERR_MILTER_BAD_ZIP' });
    assert.deepEqual(await namesOf('Content-Type: application/pdf', true), []);
  });

  it('a ZIP file in an unknown encoding cannot be read', async () => {
    await assert.rejects(namesOf('Content-Type: application/zip\nContent-Transfer-Encoding: x-rot13', true), {
      code: 'ERR_MILTER_BAD_ZIP',
    });
  });
});

describe('zipnames', () => {
  it('contract 24: those of ZIP files in it too', async () => {
    assert.deepEqual(await zipnames(await nestedZip(3, 'a.exe')), ['inner.zip', 'inner.zip', 'a.exe']);
  });

  it('contract 25: nothing and a file without entries have none', async () => {
    assert.deepEqual(await zipnames(Buffer.alloc(0)), []);
    assert.deepEqual(await zipnames(await zip({})), []);
  });

  it('contract 25: what cannot be read is an error', async () => {
    const whole = await zip({ 'a.txt': 'x' });
    for (const file of [
      Buffer.from('no ZIP file'),
      whole.subarray(0, -1),
      whole.subarray(20),
      await zip({ 'inner.zip': 'no ZIP file' }),
      encrypted(await nestedZip(2, 'a.txt')),
    ])
      await assert.rejects(zipnames(file), { code: 'ERR_MILTER_BAD_ZIP' });
  });

  it('names are read whatever they are', async () => {
    const file = (await zip({ 'xx/xx.exe': 'x', 'yab/x.bat': 'y' })).toString('latin1');
    const renamed = file.replaceAll('xx/xx.exe', '../../a.e').replaceAll('yab/x.bat', '\\ab\\x.bat');
    assert.deepEqual(await zipnames(Buffer.from(renamed, 'latin1')), ['../../a.e', '\\ab\\x.bat']);
  });

  it('a password does not hide names', async () => {
    assert.deepEqual(await zipnames(encrypted(await zip({ 'a.exe': 'x' }))), ['a.exe']);
  });
});
