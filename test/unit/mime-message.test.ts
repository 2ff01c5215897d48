/** Reading, walking, editing and writing messages. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MimeMessage, messageFromFile } from 'tsmilter/mime';
import { attachment, HIDDEN, multipart, ODD_MESSAGES } from '../fixtures/mime/messages';
import { scan } from '../fixtures/mime/scan';
import { errorWith, expectThat } from '../support/expect';
import { randomNumbers } from '../support/random';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const text = (message: MimeMessage): string => message.asBytes().toString('latin1');
const everyMessage = [
  ...Object.entries(ODD_MESSAGES),
  ...Object.entries(HIDDEN).map(([title, [message]]) => [title, message] as const),
];

describe('a message that is not edited', () => {
  for (const [title, message] of everyMessage) {
    /** @contract 23 */
    it(`is written back as the same bytes: ${title}`, () => {
      const read = MimeMessage.from(message);
      expect(read.asBytes()).toStrictEqual(message);
      expect(read.ismodified()).toBe(false);
    });

    /** @contract 23 */
    it(`is split the same way for any chunks: ${title}`, () => {
      const whole = scan(message, message.length || 1);
      expect(whole.bytes).toStrictEqual(message);
      for (const size of message.length > 10_000 ? [4093] : [1, 2, 3, 7])
        expect(scan(message, size)).toStrictEqual(whole);
    });
  }

  /** @contract 23 */
  it('writes random messages back as the same bytes', () => {
    const words =
      '\n|\r\n|\r|--|--b|--b--|--i|--i--| |\t|-|x|Content-Type: multipart/mixed; boundary=b|' +
      'Content-Type: multipart/digest; boundary=i|Content-Type: message/rfc822|Subject: s|\0|\xff|:|\n--b\n|\r\n--i\r\n|\n\n';
    const vocabulary = words.split('|');
    const next = randomNumbers(20_240_229);
    for (let count = 0; count < 1500; count++) {
      const length = next(40);
      const message = bytes(
        `Content-Type: multipart/mixed; boundary=b\n\n${Array.from({ length }, () => vocabulary[next(vocabulary.length)]).join('')}`,
      );
      const whole = scan(message, message.length);
      expect(whole.bytes).toStrictEqual(message);
      expectThat(scan(message, 1 + next(5)), JSON.stringify(message.toString('latin1'))).toStrictEqual(whole);
      expect(MimeMessage.from(message).asBytes()).toStrictEqual(message);
    }
  });
});

describe('the parts of a message', () => {
  for (const [title, [message, types]] of Object.entries(HIDDEN)) {
    /** @contract 26, 28 */
    it(`are found ${title}`, () => {
      const found = [...MimeMessage.from(message).walk()];
      expect(found.map((part) => part.gettype())).toStrictEqual(types);
      expect(found.at(-1)?.getname()).toBe('setup.exe');
    });
  }

  /** @contract 28 */
  it('a part without a header section is all body', () => {
    const [part] = MimeMessage.from(multipart(['just text\r\n\r\nand more'])).parts;
    expect(part?.headers()).toStrictEqual([]);
    expect(part?.getPayload().toString()).toBe('just text\r\n\r\nand more');
    expect(part?.gettype()).toBe('text/plain');
  });

  /** @contract 28 */
  it('a multipart without a boundary is a leaf', () => {
    const message = MimeMessage.from(ODD_MESSAGES['no boundary'] as Buffer);
    expect(message.gettype()).toBe('multipart/mixed');
    expect(message.ismultipart()).toBe(false);
    expect(message.parts).toStrictEqual([]);
  });

  it('know their position', () => {
    const message = MimeMessage.from(ODD_MESSAGES['an attached message with parts'] as Buffer);
    const [attached] = message.parts;
    const inner = attached?.getSubmsg();
    expect(attached?.parent).toBe(message);
    expect(inner?.parent).toBe(attached);
    expect(message.getSubmsg()).toBeNull();
    expect(message.ismultipart()).toBe(true);
    expect(attached?.ismultipart()).toBe(false);
    expect(inner?.parts[0]?.getPayload().toString()).toBe('x');
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
    expect(message().getHeader('SUBJECT')).toBe('a b');
    expect(message().getheaders('X-Two')).toStrictEqual(['1', '2']);
    expect(message().getHeader('X-Raw')).toBe('\udce9');
    expect(message().getHeader('Absent')).toBeNull();
    expect(
      message()
        .headers()
        .map(([name]) => name),
    ).toStrictEqual(['Subject', 'X-Two', 'x-two', 'X-Raw', 'Content-Type']);
  });

  it('have parameters, which can be read and set', () => {
    expect(message().gettype()).toBe('text/html');
    expect(message().getparams()).toStrictEqual([
      ['charset', 'UTF-8'],
      ['name', 'a.htm'],
    ]);
    expect(message().getparam('Charset')).toBe('UTF-8');
    expect(message().getparam('absent')).toBeNull();
    expect(message().getcharset()).toBe('utf-8');
    expect(message().getname()).toBe('a.htm');
    expect(message().getfilename()).toBe('a.htm');
    expect(message().ishtml()).toBe(true);
    expect(message().iszip()).toBe(false);
  });

  /** @contract 23 */
  it('changes one field and no other byte on an edit', () => {
    const edited = message();
    edited.setHeader('Subject', 'new');
    expect(text(edited)).toBe(text(message()).replace('Subject: a\r\n b', 'Subject: new'));
    expect(edited.ismodified()).toBe(true);
  });

  /** @contract 29 */
  it('announces changes', () => {
    const edited = message();
    const heard: [string, string | null][] = [];
    edited.headerchange = (who, name, value) => {
      expect(who).toBe(edited);
      heard.push([name, value]);
    };
    edited.setHeader('X-Two', 'one');
    edited.addHeader('X-New', 'n');
    expect(edited.deleteHeader('X-Raw')).toBe(true);
    expect(edited.deleteHeader('X-Raw')).toBe(false);
    edited.setHeader('X-Last', 'l');
    expect(heard).toStrictEqual([
      ['X-Two', null],
      ['X-Two', 'one'],
      ['X-New', 'n'],
      ['X-Raw', null],
      ['X-Last', 'l'],
    ]);
    expect(edited.headers().map(([name, value]) => `${name}=${value}`)).toStrictEqual([
      'Subject=a b',
      'X-Two=one',
      'Content-Type=Text/HTML (c); charset="UTF-8"; Name=a.htm',
      'X-New=n',
      'X-Last=l',
    ]);
  });

  /** @contract 29 */
  it("announces only the part's own changes", () => {
    const message = MimeMessage.from(multipart(['X: y\r\n\r\nx']));
    const heard: unknown[] = [];
    message.headerchange = () => heard.push('message');
    message.parts[0]?.setHeader('X', 'z');
    expect(heard).toStrictEqual([]);
  });

  it('use the line breaks of their headers, and an empty line if there was none', () => {
    const folded = MimeMessage.from(bytes('A: b\nC: d'));
    folded.addHeader('E', 'f\r\n g');
    expect(text(folded)).toBe('A: b\nC: d\nE: f\n g\n\n');
  });

  it('refuse invalid fields', () => {
    for (const change of [
      (m: MimeMessage) => m.setHeader('a b', 'x'),
      (m: MimeMessage) => m.addHeader('', 'x'),
      (m: MimeMessage) => m.setHeader('X', 'y\r\nInjected: z'),
    ])
      expect(() => change(message())).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
    expect(message().ismodified()).toBe(false);
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
      expect(encoded(encoding, content).getPayloadDecoded().toString('latin1')).toBe(decoded);
      expect(encoded(encoding, content).getPayload().toString('latin1')).toBe(content);
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
      /** @contract 23 */
      it(`${encoding} gives any bytes back, lines of ${JSON.stringify(lineBreak)}`, () => {
        const message = MimeMessage.from(multipart(['X: y', 'Z: z'], lineBreak));
        const before = message.parts.length;
        message.parts[0]?.setPayload(difficult, encoding);
        expect(
          text(message)
            .split(lineBreak)
            .every((line) => line.length <= 76),
        ).toBe(true);
        const again = MimeMessage.from(message.asBytes());
        expectThat(again.parts, 'content has become a boundary').toHaveLength(before);
        expect(again.parts[0]?.getPayloadDecoded()).toStrictEqual(difficult);
        expect(again.parts[0]?.getencoding()).toBe(encoding);
      });
    }
  }

  /** @contract 23 */
  it('editing a part changes only that part', () => {
    const source = multipart([
      'Content-Type: text/plain\r\n\r\nfirst',
      'X: y\r\n\r\nsecond',
      attachment('a.bin', bytes('\0\xff')),
    ]);
    const message = MimeMessage.from(source);
    message.parts[1]?.setPayload('2nd');
    expect(text(message)).toBe(source.toString('latin1').replace('second', '2nd'));
    expect(message.parts.map((part) => part.ismodified())).toStrictEqual([false, true, false]);
  });

  /** @contract 26 */
  it('a change in an attached message is written to the outer one', () => {
    const source = ODD_MESSAGES['an attached message with parts'] as Buffer;
    const message = MimeMessage.from(source);
    message.parts[0]?.getSubmsg()?.parts[0]?.setPayload('y');
    expect(message.ismodified()).toBe(true);
    expect(text(message)).toBe(source.toString('latin1').replace('\r\nx\r\n', '\r\ny\r\n'));
  });

  for (const title of [
    'in an attached message in base64',
    'in an attached message in quoted-printable',
    'in a uuencoded attached message',
  ]) {
    /** @contract 26 */
    it(`and so does one ${title}, which is in base64 then`, () => {
      const message = MimeMessage.from(HIDDEN[title]?.[0] as Buffer);
      message.getSubmsg()?.setPayload('harmless\n');
      const again = MimeMessage.from(message.asBytes());
      expect(again.getencoding()).toBe('base64');
      expect(again.getSubmsg()?.getPayload().toString()).toBe('harmless\n');
      expect(again.getSubmsg()?.getname()).toBe('setup.exe');
    });
  }

  it('the encoding of an attached message that changes is reported before its body is written', () => {
    const message = MimeMessage.from(HIDDEN['in an attached message in quoted-printable']?.[0] as Buffer);
    const changes: (string | null)[] = [];
    message.headerchange = (_, name, value) => changes.push(name, value);
    message.getSubmsg()?.setPayload('harmless\n');
    const body = Buffer.concat([...message.bodyChunks()]);
    expect(changes).toStrictEqual(['Content-Transfer-Encoding', 'base64']);
    expect(Buffer.from(body.toString(), 'base64').toString()).toContain('harmless');
  });

  it('an attached message in an unknown encoding is a leaf', () => {
    const message = MimeMessage.from(
      bytes('Content-Type: message/rfc822\nContent-Transfer-Encoding: x-rot13\n\nx'),
    );
    expect(message.getSubmsg()).toBeNull();
  });

  it("of a multipart can be replaced by a leaf's content", () => {
    const message = MimeMessage.from(multipart(['X: y\r\n\r\nx']));
    message.setHeader('Content-Type', 'text/plain');
    message.setPayload('text');
    expect(message.parts).toStrictEqual([]);
    expect(message.getPayload().toString()).toBe('text');
    expect(message.getPayloadDecoded().toString()).toBe('text');
  });

  it('of a multipart includes the text before, between and after its parts', () => {
    const source = multipart(['X: y\r\n\r\nx']);
    expect(MimeMessage.from(source).getPayloadDecoded().toString()).toBe(
      source.toString().slice(source.indexOf('preamble')),
    );
  });

  it('must not contain a boundary line', () => {
    for (const content of ['--cut\r\n', 'x\n--cut--', 'x\r--cut']) {
      const message = MimeMessage.from(multipart(['X: y\r\n\r\nx']));
      expect(() => message.parts[0]?.setPayload(content)).toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
      );
      expect(message.ismodified()).toBe(false);
    }
    MimeMessage.from(multipart(['X: y\r\n\r\nx'])).parts[0]?.setPayload('x --cut');
  });

  it('must be bytes or text, in a known encoding', () => {
    const message = MimeMessage.from(bytes('A: b\n\nx'));
    expect(() => message.setPayload(7 as unknown as string)).toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
    );
    expect(() => message.setPayload('x', 'rot13' as '7bit')).toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
    );
    expect(() => MimeMessage.from('x' as unknown as Buffer)).toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
    );
  });
});

describe('sources and destinations of a message', () => {
  const source = multipart(['X: y\r\n\r\nx']);
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mime-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it('reads a file, a stream or bytes', async () => {
    const path = join(directory, 'message');
    await writeFile(path, source);
    const chunks = () => Readable.from([source.subarray(0, 30), source.subarray(30)]);
    for (const from of [path, chunks(), source, new Uint8Array(source)])
      expect((await messageFromFile(from)).asBytes()).toStrictEqual(source);
  });

  it('writes to a stream', async () => {
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
    expect(Buffer.concat(written)).toStrictEqual(message.asBytes());
    expect(stream.writableFinished).toBe(true);
  });

  it('a missing file is a system error', async () => {
    await expect(messageFromFile(join(directory, 'absent'))).rejects.toThrow(errorWith({ code: 'ENOENT' }));
  });

  it('rejects anything else', async () => {
    const code = 'ERR_MILTER_BAD_ARGUMENT';
    await expect(messageFromFile(7 as unknown as string)).rejects.toThrow(errorWith({ code }));
    await expect(messageFromFile(null as unknown as string)).rejects.toThrow(errorWith({ code }));
    await expect(messageFromFile(Readable.from(['text']) as unknown as Buffer)).rejects.toThrow(
      errorWith({ code }),
    );
    expect(await readFile(join(directory, 'message'))).toStrictEqual(source);
  });
});
