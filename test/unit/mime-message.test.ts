/** Reading, walking, editing and writing messages. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { MimeMessage, messageFromFile } from 'tsmilter/mime';
import { attachment, HIDDEN, multipart, ODD_MESSAGES } from '../fixtures/mime/messages';
import { scan } from '../fixtures/mime/scan';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const text = (message: MimeMessage): string => message.asBytes().toString('latin1');
const everyMessage = [
  ...Object.entries(ODD_MESSAGES),
  ...Object.entries(HIDDEN).map(([title, [message]]) => [title, message] as const),
];

describe('a message that is not edited', () => {
  for (const [title, message] of everyMessage) {
    it(`contract 23: is written back as the same bytes: ${title}`, () => {
      const read = MimeMessage.from(message);
      assert.deepEqual(read.asBytes(), message);
      assert.equal(read.ismodified(), false);
    });

    it(`contract 23: is split the same way whatever its chunks: ${title}`, () => {
      const whole = scan(message, message.length || 1);
      assert.deepEqual(whole.bytes, message);
      for (const size of message.length > 10_000 ? [4093] : [1, 2, 3, 7])
        assert.deepEqual(scan(message, size), whole);
    });
  }

  it('contract 23: random messages too', () => {
    const words =
      '\n|\r\n|\r|--|--b|--b--|--i|--i--| |\t|-|x|Content-Type: multipart/mixed; boundary=b|' +
      'Content-Type: multipart/digest; boundary=i|Content-Type: message/rfc822|Subject: s|\0|\xff|:|\n--b\n|\r\n--i\r\n|\n\n';
    const vocabulary = words.split('|');
    let seed = 20_240_229; // a fixed row of pseudo-random numbers, the same in each run
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (seed >>> 8) % below;
    };
    for (let count = 0; count < 1500; count++) {
      const length = next(40);
      const message = bytes(
        `Content-Type: multipart/mixed; boundary=b\n\n${Array.from({ length }, () => vocabulary[next(vocabulary.length)]).join('')}`,
      );
      const whole = scan(message, message.length);
      assert.deepEqual(whole.bytes, message);
      assert.deepEqual(scan(message, 1 + next(5)), whole, JSON.stringify(message.toString('latin1')));
      assert.deepEqual(MimeMessage.from(message).asBytes(), message);
    }
  });
});

describe('the parts of a message', () => {
  for (const [title, [message, types]] of Object.entries(HIDDEN)) {
    it(`contract 26, 28: are found ${title}`, () => {
      const found = [...MimeMessage.from(message).walk()];
      assert.deepEqual(
        found.map((part) => part.gettype()),
        types,
      );
      assert.equal(found.at(-1)?.getname(), 'setup.exe');
    });
  }

  it('contract 28: a part without a head is a body', () => {
    const [part] = MimeMessage.from(multipart(['just text\r\n\r\nand more'])).parts;
    assert.deepEqual(part?.headers(), []);
    assert.equal(part?.getPayload().toString(), 'just text\r\n\r\nand more');
    assert.equal(part?.gettype(), 'text/plain');
  });

  it('contract 28: a multipart without a boundary is a leaf', () => {
    const message = MimeMessage.from(ODD_MESSAGES['no boundary'] as Buffer);
    assert.equal(message.gettype(), 'multipart/mixed');
    assert.equal(message.ismultipart(), false);
    assert.deepEqual(message.parts, []);
  });

  it('know where they are', () => {
    const message = MimeMessage.from(ODD_MESSAGES['an attached message with parts'] as Buffer);
    const [attached] = message.parts;
    const inner = attached?.getSubmsg();
    assert.equal(attached?.parent, message);
    assert.equal(inner?.parent, attached);
    assert.equal(message.getSubmsg(), null);
    assert.equal(message.ismultipart(), true);
    assert.equal(attached?.ismultipart(), false);
    assert.equal(inner?.parts[0]?.getPayload().toString(), 'x');
  });
});

describe('header fields', () => {
  const message = () =>
    MimeMessage.from(
      bytes(
        'Subject: a\r\n b\r\nX-Two: 1\r\nx-two:2\r\nX-Raw: \xe9\r\nContent-Type: Text/HTML (c); charset="UTF-8"; Name=a.htm\r\n\r\nx',
      ),
    );

  it('are read unfolded, in any letter case', () => {
    assert.equal(message().getHeader('SUBJECT'), 'a b');
    assert.deepEqual(message().getheaders('X-Two'), ['1', '2']);
    assert.equal(message().getHeader('X-Raw'), '\udce9');
    assert.equal(message().getHeader('Absent'), null);
    assert.deepEqual(
      message()
        .headers()
        .map(([name]) => name),
      ['Subject', 'X-Two', 'x-two', 'X-Raw', 'Content-Type'],
    );
  });

  it('have parameters', () => {
    assert.equal(message().gettype(), 'text/html');
    assert.deepEqual(message().getparams(), [
      ['charset', 'UTF-8'],
      ['name', 'a.htm'],
    ]);
    assert.equal(message().getparam('Charset'), 'UTF-8');
    assert.equal(message().getparam('absent'), null);
    assert.equal(message().getcharset(), 'utf-8');
    assert.equal(message().getname(), 'a.htm');
    assert.equal(message().getfilename(), 'a.htm');
    assert.equal(message().ishtml(), true);
    assert.equal(message().iszip(), false);
  });

  it('contract 23: an edit changes one field and no other byte', () => {
    const edited = message();
    edited.setHeader('Subject', 'new');
    assert.equal(text(edited), text(message()).replace('Subject: a\r\n b', 'Subject: new'));
    assert.equal(edited.ismodified(), true);
  });

  it('contract 29: changes are announced', () => {
    const edited = message();
    const heard: [string, string | null][] = [];
    edited.headerchange = (who, name, value) => {
      assert.equal(who, edited);
      heard.push([name, value]);
    };
    edited.setHeader('X-Two', 'one');
    edited.addHeader('X-New', 'n');
    assert.equal(edited.deleteHeader('X-Raw'), true);
    assert.equal(edited.deleteHeader('X-Raw'), false);
    edited.setHeader('X-Last', 'l');
    assert.deepEqual(heard, [
      ['X-Two', null],
      ['X-Two', 'one'],
      ['X-New', 'n'],
      ['X-Raw', null],
      ['X-Last', 'l'],
    ]);
    assert.deepEqual(
      edited.headers().map(([name, value]) => `${name}=${value}`),
      [
        'Subject=a b',
        'X-Two=one',
        'Content-Type=Text/HTML (c); charset="UTF-8"; Name=a.htm',
        'X-New=n',
        'X-Last=l',
      ],
    );
  });

  it('contract 29: a part announces its own changes only', () => {
    const message = MimeMessage.from(multipart(['X: y\r\n\r\nx']));
    const heard: unknown[] = [];
    message.headerchange = () => heard.push('message');
    message.parts[0]?.setHeader('X', 'z');
    assert.deepEqual(heard, []);
  });

  it('take the line breaks of their head, and an empty line where there was none', () => {
    const folded = MimeMessage.from(bytes('A: b\nC: d'));
    folded.addHeader('E', 'f\r\n g');
    assert.equal(text(folded), 'A: b\nC: d\nE: f\n g\n\n');
  });

  it('refuse what is no field', () => {
    for (const change of [
      (m: MimeMessage) => m.setHeader('a b', 'x'),
      (m: MimeMessage) => m.addHeader('', 'x'),
      (m: MimeMessage) => m.setHeader('X', 'y\r\nInjected: z'),
    ])
      assert.throws(() => change(message()), { code: 'ERR_MILTER_BAD_ARGUMENT' });
    assert.equal(message().ismodified(), false);
  });
});

describe('content', () => {
  const encoded = (encoding: string, content: string): MimeMessage =>
    MimeMessage.from(bytes(`Content-Transfer-Encoding: ${encoding}\n\n${content}`));

  const cases: readonly (readonly [encoding: string, content: string, decoded: string])[] = [
    ['base64', 'aGVs\nbG8=', 'hello'],
    ['BASE64 (c)', 'aGVs!bG8', 'hello'],
    ['base64', 'aGk=aGk=', 'hihi'],
    ['quoted-printable', 'a=3Db=\nc= \t\r\nd=e9=E9=zz= x=', 'a=bcd\xe9\xe9=zz= x'],
    ['x-uuencode', 'preface\nbegin 644 x\n#:&D*\n`\nend\nrest', 'hi\n'],
    ['7bit', 'a=3D', 'a=3D'],
    ['x-unknown', 'a=3D', 'a=3D'],
  ];
  for (const [encoding, content, decoded] of cases) {
    it(`is decoded: ${encoding}, ${JSON.stringify(content)}`, () => {
      assert.equal(encoded(encoding, content).getPayloadDecoded().toString('latin1'), decoded);
      assert.equal(encoded(encoding, content).getPayload().toString('latin1'), content);
    });
  }

  const difficult = Buffer.concat([
    bytes('--cut\r\n-\r\n.\r\nFrom x\r\nend \t\r\n= \xe9\0 \rx\n'),
    Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
    bytes('x'.repeat(300)),
    bytes(' '),
  ]);
  for (const lineBreak of ['\r\n', '\n']) {
    for (const encoding of ['base64', 'quoted-printable'] as const) {
      it(`contract 23: ${encoding} gives any bytes back, lines of ${JSON.stringify(lineBreak)}`, () => {
        const message = MimeMessage.from(multipart(['X: y', 'Z: z'], lineBreak));
        const before = message.parts.length;
        message.parts[0]?.setPayload(difficult, encoding);
        assert.ok(
          text(message)
            .split(lineBreak)
            .every((line) => line.length <= 76),
        );
        const again = MimeMessage.from(message.asBytes());
        assert.equal(again.parts.length, before, 'content has become a boundary');
        assert.deepEqual(again.parts[0]?.getPayloadDecoded(), difficult);
        assert.equal(again.parts[0]?.getencoding(), encoding);
      });
    }
  }

  it('contract 23: an edited part changes only itself', () => {
    const source = multipart([
      'Content-Type: text/plain\r\n\r\nfirst',
      'X: y\r\n\r\nsecond',
      attachment('a.bin', bytes('\0\xff')),
    ]);
    const message = MimeMessage.from(source);
    message.parts[1]?.setPayload('2nd');
    assert.equal(text(message), source.toString('latin1').replace('second', '2nd'));
    assert.deepEqual(
      message.parts.map((part) => part.ismodified()),
      [false, true, false],
    );
  });

  it('contract 26: a change in an attached message goes outward', () => {
    const source = ODD_MESSAGES['an attached message with parts'] as Buffer;
    const message = MimeMessage.from(source);
    message.parts[0]?.getSubmsg()?.parts[0]?.setPayload('y');
    assert.equal(message.ismodified(), true);
    assert.equal(text(message), source.toString('latin1').replace('\r\nx\r\n', '\r\ny\r\n'));
  });

  for (const [title, encoding] of [
    ['in an attached message in base64', 'base64'],
    ['in an attached message in quoted-printable', 'quoted-printable'],
    ['in a uuencoded attached message', 'base64'],
  ] as const) {
    it(`contract 26: and so does one ${title}`, () => {
      const message = MimeMessage.from(HIDDEN[title]?.[0] as Buffer);
      message.getSubmsg()?.setPayload('harmless\n');
      const again = MimeMessage.from(message.asBytes());
      assert.equal(again.getencoding(), encoding);
      assert.equal(again.getSubmsg()?.getPayload().toString(), 'harmless\n');
      assert.equal(again.getSubmsg()?.getname(), 'setup.exe');
    });
  }

  it('an attached message in an unknown encoding is a leaf', () => {
    const message = MimeMessage.from(
      bytes('Content-Type: message/rfc822\nContent-Transfer-Encoding: x-rot13\n\nx'),
    );
    assert.equal(message.getSubmsg(), null);
  });

  it('of a multipart can be replaced by that of a leaf', () => {
    const message = MimeMessage.from(multipart(['X: y\r\n\r\nx']));
    message.setHeader('Content-Type', 'text/plain');
    message.setPayload('text');
    assert.deepEqual(message.parts, []);
    assert.equal(message.getPayload().toString(), 'text');
    assert.equal(message.getPayloadDecoded().toString(), 'text');
  });

  it('of a multipart is what is between and around its parts, too', () => {
    const source = multipart(['X: y\r\n\r\nx']);
    assert.equal(
      MimeMessage.from(source).getPayloadDecoded().toString(),
      source.toString().slice(source.indexOf('preamble')),
    );
  });

  it('must not become a boundary', () => {
    for (const content of ['--cut\r\n', 'x\n--cut--', 'x\r--cut']) {
      const message = MimeMessage.from(multipart(['X: y\r\n\r\nx']));
      assert.throws(() => message.parts[0]?.setPayload(content), { code: 'ERR_MILTER_BAD_ARGUMENT' });
      assert.equal(message.ismodified(), false);
    }
    MimeMessage.from(multipart(['X: y\r\n\r\nx'])).parts[0]?.setPayload('x --cut');
  });

  it('must be bytes or text, in a known encoding', () => {
    const message = MimeMessage.from(bytes('A: b\n\nx'));
    assert.throws(() => message.setPayload(7 as unknown as string), { code: 'ERR_MILTER_BAD_ARGUMENT' });
    assert.throws(() => message.setPayload('x', 'rot13' as '7bit'), { code: 'ERR_MILTER_BAD_ARGUMENT' });
    assert.throws(() => MimeMessage.from('x' as unknown as Buffer), { code: 'ERR_MILTER_BAD_ARGUMENT' });
  });
});

describe('where a message comes from and goes to', () => {
  const source = multipart(['X: y\r\n\r\nx']);
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mime-'));
  });
  after(() => rm(directory, { recursive: true }));

  it('a file, a stream, bytes', async () => {
    const path = join(directory, 'message');
    await writeFile(path, source);
    const chunks = () => Readable.from([source.subarray(0, 30), source.subarray(30)]);
    for (const from of [path, chunks(), source, new Uint8Array(source)])
      assert.deepEqual((await messageFromFile(from)).asBytes(), source);
  });

  it('a stream to write to', async () => {
    const written: Buffer[] = [];
    const message = MimeMessage.from(source);
    message.setHeader('Subject', 'new');
    const stream = new Writable({
      write(chunk, _, done) {
        written.push(chunk);
        done();
      },
    });
    await message.dump(stream);
    assert.deepEqual(Buffer.concat(written), message.asBytes());
    assert.equal(stream.writableFinished, true);
  });

  it('a file that is not there is an error of the system', async () => {
    await assert.rejects(messageFromFile(join(directory, 'absent')), { code: 'ENOENT' });
  });

  it('anything else is refused', async () => {
    const code = 'ERR_MILTER_BAD_ARGUMENT';
    await assert.rejects(messageFromFile(7 as unknown as string), { code });
    await assert.rejects(messageFromFile(null as unknown as string), { code });
    await assert.rejects(messageFromFile(Readable.from(['text']) as unknown as Buffer), { code });
    assert.deepEqual(await readFile(join(directory, 'message')), source);
  });
});
