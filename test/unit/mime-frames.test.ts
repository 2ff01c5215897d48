/** Uuencoded files before, between and after the parts of a multipart, where MIME has nothing and some programs find them. */
import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { type DefangOptions, defang, defangStream, MimeMessage } from 'tsmilter/mime';
import { FrameText } from '#lib/mime/frame-text.js';
import { uuencode } from '../fixtures/mime/messages';
import { errorWith } from '../support/expect';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const NOTICE = '[A file was removed.]';
const MIXED = 'Subject: s\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n';
const TEXT = 'Content-Type: text/plain\r\n\r\nhello\r\n';
const file = (first: string): string => `${first}\r\n${uuencode('MZ PROGRAM')}\`\r\nend\r\n`;

/** Where the text may be; each function puts it there. */
const PLACES: Readonly<Record<string, (text: string) => string>> = {
  'in a multipart whose boundary never comes': (text) => `${MIXED}${text}`,
  'before the parts': (text) => `${MIXED}${text}--cut\r\n${TEXT}--cut--\r\n`,
  'between parts': (text) => `${MIXED}--cut\r\n${TEXT}--cut--\r\n${text}--cut\r\n${TEXT}--cut--\r\n`,
  'after the parts': (text) => `${MIXED}--cut\r\n${TEXT}--cut--\r\n${text}`,
  'after an inner multipart': (text) =>
    `${MIXED}--cut\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n${TEXT}--in--\r\n${text}\r\n--cut--\r\n`,
  'in a multipart that is also read otherwise': (text) =>
    `garbage\r\nContent-Type: text/html; boundary=cut\r\n\r\n${text}--cut\r\n${TEXT}--cut--\r\n`,
  'in an attached message': (text) =>
    `${MIXED}--cut\r\nContent-Type: message/rfc822\r\n\r\n${MIXED.replace('cut', 'in')}${text}--in--\r\n--cut--\r\n`,
};

const FIRST_LINES: readonly string[] = [
  'begin 644 evil.exe',
  'BEGIN 6 evil.exe',
  'begin\t0100644 \tevil.exe',
  'begin 99 evil.exe',
  'begin +644 evil.exe',
  'begin  evil.exe',
  'begin-base64 644 evil.exe',
  '=ybegin line=128 size=3 name=evil.exe',
  'begin 644 "evil.exe"',
  'begin 644 evil%2Eexe',
];

async function allNames(message: Buffer, options = {}): Promise<string[]> {
  const names: string[] = [];
  for (const part of MimeMessage.from(message, options).walk())
    for (const [, name] of await part.getnames()) names.push(name);
  return names;
}

async function streamed(message: Buffer, sizes: () => number, options: DefangOptions = {}) {
  function* chunks() {
    for (let at = 0; at < message.length; ) {
      const size = sizes();
      yield message.subarray(at, at + size);
      at += size;
    }
  }
  const stream = defangStream(Readable.from(chunks()), options);
  const written: Buffer[] = [];
  for await (const chunk of stream) written.push(Buffer.from(chunk));
  return { output: Buffer.concat(written).toString('latin1'), stream };
}

/** Numbers from 1 to `max` that are the same in each run. */
function numbers(max: number): () => number {
  let seed = 1;
  return () => {
    seed = (seed * 48271) % 0x7fffffff;
    return 1 + (seed % max);
  };
}

/** What defang writes, and the stream, in whatever chunks it gets the message. */
async function defanged(message: Buffer, options: DefangOptions = {}) {
  const read = MimeMessage.from(message);
  const changed = await defang(read, options);
  const output = read.asBytes().toString('latin1');
  let replaced: readonly string[] = [];
  for (const sizes of [() => message.length, () => 1, numbers(7), numbers(100)]) {
    const { output: other, stream } = await streamed(message, sizes, options);
    expect(other).toBe(output);
    expect(stream.changed).toBe(changed);
    replaced = stream.replaced;
  }
  return { output, changed, replaced };
}

describe('a uuencoded file around parts', () => {
  for (const [place, build] of Object.entries(PLACES)) {
    /** @contract 26, 28 */
    it(`${place} is found, and loses its first line`, async () => {
      for (const first of FIRST_LINES) {
        for (const lineBreak of ['\r\n', '\n', '\r']) {
          const write = (line: string) => bytes(build(`hi\r\n${file(line)}`).replaceAll('\r\n', lineBreak));
          const message = write(first);
          expect(MimeMessage.from(message).asBytes()).toStrictEqual(message);
          expect((await allNames(message)).join()).toContain('evil.exe');
          const { output, changed, replaced } = await defanged(message);
          expect(output).toBe(write(NOTICE).toString('latin1'));
          expect(changed).toBe(true);
          expect(replaced).toHaveLength(1);
          expect(await allNames(bytes(output))).toStrictEqual([]);
        }
      }
    });

    it(`${place} stays if it is harmless`, async () => {
      const text = `${file('begin 644 notes.txt')}Begin reading, please.\r\n=yes\r\nb\r\n`;
      const message = bytes(build(text));
      expect(await allNames(message)).toStrictEqual(['notes.txt']);
      expect(await defanged(message)).toStrictEqual({
        output: message.toString('latin1'),
        changed: false,
        replaced: [],
      });
    });
  }

  it('is judged by the check', async () => {
    const message = bytes(`${MIXED}${file('begin 644 notes.txt')}${file('begin 644 evil.exe')}`);
    const { output, replaced } = await defanged(message, { check: (name) => name === 'notes.txt' });
    expect(replaced).toStrictEqual(['notes.txt']);
    expect(output).toBe(`${MIXED}${file(NOTICE)}${file('begin 644 evil.exe')}`);
  });

  it('may end with the message, in the middle of its first line', async () => {
    const { output } = await defanged(bytes(`${MIXED}begin 644 evil.exe`));
    expect(output).toBe(`${MIXED}${NOTICE}`);
  });

  it('is removed together with a boundary that only some programs see', async () => {
    const message = bytes(
      `${MIXED}${file('begin 644 evil.exe')}--cut x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--cut--\r\n`,
    );
    const { output } = await defanged(message);
    expect(output).toBe(
      message.toString('latin1').replace('begin 644 evil.exe', NOTICE).replace('--cut x', '--cut'),
    );
  });

  it('is dangerous if its first line is too long to be read', async () => {
    for (const first of [
      `begin 644 ${'x'.repeat(2000)}.txt`,
      `begin${' '.repeat(2000)}644 a.txt`,
      `=ybegin line=${'1'.repeat(2000)} name=a.txt`,
    ]) {
      const { output, replaced } = await defanged(bytes(`${MIXED}hi\r\n${file(first)}`));
      expect(output).toBe(`${MIXED}hi\r\n${file(NOTICE)}`);
      expect(replaced).toHaveLength(1);
      expect(replaced[0]?.length).toBeLessThanOrEqual(1000);
    }
    const long = `${MIXED}begin with ${'a sentence '.repeat(500)}\r\n`;
    expect((await defanged(bytes(long))).changed).toBe(false);
  });

  it('maxZipEntries: each one above is dangerous, and getnames throws', async () => {
    const many = (count: number) =>
      bytes(MIXED + Array.from({ length: count }, (_, at) => `begin 644 ${at}.txt\r\n`).join(''));
    const options = { maxZipEntries: 20 };
    expect(await allNames(many(20), options)).toHaveLength(20);
    expect((await defanged(many(20), options)).changed).toBe(false);
    await expect(allNames(many(21), options)).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_MIME_LIMIT', message: expect.stringContaining('maxZipEntries') }),
    );
    const { output, replaced } = await defanged(many(22), options);
    expect(output).toBe(`${many(20).toString('latin1')}${`${NOTICE}\r\n`.repeat(2)}`);
    expect(replaced).toStrictEqual(['20.txt', '21.txt']);
  });

  it('behind 300 names with several readings, another of these is dangerous', async () => {
    const lines = Array.from({ length: 301 }, (_, at) => `begin 644 ${at}%.txt\r\n`);
    const { output } = await defanged(bytes(MIXED + lines.join('')));
    expect(output).toBe(`${MIXED}${lines.slice(0, 300).join('')}${NOTICE}\r\n`);
  });
});

describe('the text around parts', () => {
  const text = ['', 'b', 'beg', 'begin 644 a', '=ybegin x name=a', '=', '--cut', 'end', 'x'.repeat(90)];
  const pick = numbers(1000);
  const sample = Array.from({ length: 300 }, () => {
    const line = text[pick() % text.length] as string;
    return line + (['\n', '\r\n', '\r', '\r\r\n'][pick() % 4] as string);
  }).join('');

  function written(sizes: () => number): { output: string; names: string[] } {
    const names: string[] = [];
    const filter = new FrameText((name) => names.push(name) % 2 === 0);
    let output = '';
    for (let at = 0; at < sample.length; ) {
      const chunk = bytes(sample.slice(at, at + sizes()));
      for (const kept of filter.write(chunk)) output += kept.toString('latin1');
      at += chunk.length;
    }
    for (const kept of filter.end()) output += kept.toString('latin1');
    return { output, names };
  }

  it('is the same in chunks of any size', () => {
    const whole = written(() => sample.length);
    expect(whole.names.length).toBeGreaterThan(20);
    expect(whole.output).toContain(NOTICE);
    for (const sizes of [() => 1, () => 2, numbers(5), numbers(60)]) {
      const { output, names } = written(sizes);
      expect(output).toBe(whole.output);
      expect(names).toStrictEqual(whole.names);
    }
  });

  it('is not held back beyond 1,000 bytes', () => {
    const filter = new FrameText(() => false);
    const line = bytes(`begin  ${'x'.repeat(5000)}`);
    let out = 0;
    for (const [at, byte] of line.entries()) {
      for (const kept of filter.write(Buffer.from([byte]))) out += kept.length;
      expect(at + 1 - out).toBeLessThanOrEqual(1000);
    }
    for (const kept of filter.end()) out += kept.length;
    expect(out).toBe(line.length);
  });
});
