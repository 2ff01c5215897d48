/** Canonicalization of tsmilter/dkim against a plain reference that works on whole strings (RFC 6376 3.4). */
import { describe, expect, it } from '@jest/globals';
import { bodyCanonicalizer } from '#lib/dkim/canonical-body.js';
import { type Canonicalization, canonicalHeader, headerField } from '#lib/dkim/canonical-header.js';
import { randomNumbers } from '../support/random.js';

/** RFC 6376 3.4.3 and 3.4.4, line by line. */
function referenceBody(body: string, how: Canonicalization): string {
  let lines = body.split('\r\n');
  if (how === 'relaxed') {
    lines = lines.map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, ''));
  }
  while (lines.length > 0 && lines[lines.length - 1] === '') lines.pop();
  if (lines.length === 0) return how === 'simple' ? '\r\n' : '';
  return `${lines.join('\r\n')}\r\n`;
}

/** RFC 6376 3.4.2. */
function referenceHeader(name: string, value: string): string {
  const unfolded = value.replace(/\r\n/g, '');
  return `${name.toLowerCase()}:${unfolded.replace(/[ \t]+/g, ' ').replace(/^ | $/g, '')}`;
}

function canonical(chunks: readonly Buffer[], how: Canonicalization): string {
  let text = '';
  const body = bodyCanonicalizer(how, (bytes) => {
    text += Buffer.from(bytes).toString('latin1');
  });
  for (const chunk of chunks) body.update(chunk);
  body.end();
  return text;
}

const BODY_PIECES = [
  '\r\n',
  '\r\n',
  '\r',
  '\n',
  ' ',
  '  ',
  '\t',
  'a',
  'bc',
  '\xff',
  '\0',
  'some words here',
  '.',
];

describe.each(['simple', 'relaxed'] as const)('%s canonicalization of bodies', (how) => {
  it.each([
    ['an empty body', ''],
    ['one empty line', '\r\n'],
    ['only empty lines', '\r\n\r\n\r\n'],
    ['a line of white space', ' \t \r\n'],
    ['no line end at the end', 'text'],
    ['white space at the end, no line end', 'text  '],
    ['empty lines at the end', 'text\r\n\r\n\r\n'],
    ['lines of white space at the end', 'text\r\n \r\n\t\r\n'],
    ['empty lines in between', 'a\r\n\r\n\r\nb\r\n'],
    ['a bare CR at the end', 'text\r'],
    ['a bare LF at the end', 'text\n'],
    ['CR CR LF', 'text\r\r\n\r\r\n'],
    ['the example of RFC 6376 3.4.5', ' C \r\nD \t E\r\n\r\n\r\n'],
  ])('%s, in one chunk and byte by byte', (_title, body) => {
    const bytes = Buffer.from(body, 'latin1');
    const expected = referenceBody(body, how);
    expect(canonical([bytes], how)).toBe(expected);
    expect(
      canonical(
        [...bytes].map((byte) => Buffer.of(byte)),
        how,
      ),
    ).toBe(expected);
  });

  it('100,000 random bodies in random chunks', () => {
    const random = randomNumbers(how === 'simple' ? 1 : 2);
    for (let nth = 0; nth < 100_000; nth++) {
      const body = Array.from({ length: random(24) }, () => BODY_PIECES[random(BODY_PIECES.length)]).join('');
      const bytes = Buffer.from(body, 'latin1');
      const chunks: Buffer[] = [];
      for (let at = 0; at < bytes.length; ) {
        const end = at + 1 + random(7);
        chunks.push(bytes.subarray(at, end));
        at = end;
      }
      if (canonical(chunks, how) !== referenceBody(body, how)) {
        expect([body, canonical(chunks, how)]).toEqual([body, referenceBody(body, how)]);
      }
    }
  });

  it('holds no more than a count of the empty lines that may be the last ones', () => {
    const million = Buffer.from('\r\n'.repeat(500_000), 'latin1');
    let longest = 0;
    let length = 0;
    const body = bodyCanonicalizer(how, (bytes) => {
      longest = Math.max(longest, bytes.length);
      length += bytes.length;
    });
    body.update(Buffer.from('x'));
    for (let nth = 0; nth < 8; nth++) body.update(million);
    expect(length).toBe(1);
    body.update(Buffer.from('y'));
    body.end();
    expect(length).toBe(8_000_004);
    expect(longest).toBeLessThanOrEqual(8192);
  });
});

describe('canonicalization of header fields', () => {
  it.each([
    ['Subject', 'plain', 'subject:plain'],
    ['SUBJect', '  AbC \t def  ', 'subject:AbC def'],
    ['Subject', 'folded\n\there', 'subject:folded here'],
    ['Subject', 'folded\r\n  here\r\n\t ', 'subject:folded here'],
    ['Subject', '', 'subject:'],
    ['Subject', ' \n ', 'subject:'],
    ['Subject ', 'a space before the colon', 'subject:a space before the colon'],
    ['X', 'gr\u00fc\udcffe', 'x:gr\xc3\xbc\xffe'],
  ])('relaxed: %j: %j', (name, value, expected) => {
    expect(canonicalHeader(headerField(name, value, false), 'relaxed')).toBe(expected);
  });

  it('simple: the bytes as they were, with the space that MTAs remove and CRLF at folds', () => {
    expect(canonicalHeader(headerField('SubJect', 'a\n\t b ', false), 'simple')).toBe('SubJect: a\r\n\t b ');
    expect(canonicalHeader(headerField('SubJect', '\ta', true), 'simple')).toBe('SubJect:\ta');
  });

  it('relaxed: 50,000 random fields', () => {
    const random = randomNumbers(3);
    const pieces = ['\n ', '\n\t', ' ', '\t', '  ', 'word', ';', '\xe9', ':', '"'];
    for (let nth = 0; nth < 50_000; nth++) {
      const value = Array.from({ length: random(16) }, () => pieces[random(pieces.length)]).join('');
      const expected = referenceHeader('Name', Buffer.from(value.replace(/\n/g, '\r\n')).toString('latin1'));
      const actual = canonicalHeader(headerField('Name', value, true), 'relaxed');
      if (actual !== expected) expect([value, actual]).toEqual([value, expected]);
    }
  });
});
