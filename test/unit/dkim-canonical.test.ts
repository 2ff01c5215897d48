/** Canonicalization of tsmilter/dkim against a plain reference that works on whole strings (RFC 6376 3.4). */
import { describe, expect, it } from '@jest/globals';
import { bodyCanonicalizer } from '#lib/dkim/canonical-body.js';
import { type Canonicalization, canonicalHeader, headerField } from '#lib/dkim/canonical-header.js';
import { encodeBytes } from '#lib/internal/bytes.js';
import { randomNumbers } from '../support/random.js';

/** How many random bodies, and fields, are tried in each test; DKIM_CASES=200000 takes a minute. */
const CASES = Number(process.env.DKIM_CASES ?? 20_000);
/** Another seed tries others. */
const SEED = Number(process.env.MILTER_SEED ?? 0);

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
  const body = bodyCanonicalizer(how, (bytes, start, end) => {
    text += Buffer.from(bytes.subarray(start, end)).toString('latin1');
  });
  for (const chunk of chunks) body.update(chunk);
  body.end();
  return text;
}

const FIELD_NAMES = ['Name', 'SUBJECT', 'x-y_Z', 'DKIM-Signature'];
const FIELD_PIECES = ['\n ', '\n\t', '\r\n ', ' ', '\t', '  ', 'word', ';', '\xe9', '\udcff', ':', '"'];

/** A field as libmilter gives it: its folds end with LF, and others' may end with CRLF. */
function randomField(random: (below: number) => number): [name: string, value: string] {
  const pieces = Array.from({ length: random(16) }, () => FIELD_PIECES[random(FIELD_PIECES.length)]);
  return [FIELD_NAMES[random(FIELD_NAMES.length)] as string, pieces.join('')];
}

/** A value's bytes, one character each, with CRLF at its folds. */
const bytesOf = (value: string): string => encodeBytes(value.replace(/\r?\n/g, '\r\n')).toString('latin1');

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

  it(`${CASES} random bodies in random chunks`, () => {
    const random = randomNumbers(SEED + (how === 'simple' ? 1 : 2));
    for (let nth = 0; nth < CASES; nth++) {
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
    const body = bodyCanonicalizer(how, (_bytes, start, end) => {
      longest = Math.max(longest, end - start);
      length += end - start;
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

  it(`simple: ${CASES} random fields`, () => {
    const random = randomNumbers(SEED + 4);
    for (let nth = 0; nth < CASES; nth++) {
      const [name, value] = randomField(random);
      for (const leadingSpace of [true, false]) {
        const expected = `${name}:${leadingSpace ? '' : ' '}${bytesOf(value)}`;
        const actual = canonicalHeader(headerField(name, value, leadingSpace), 'simple');
        if (actual !== expected) expect([value, actual]).toEqual([value, expected]);
      }
    }
  });

  it(`relaxed: ${CASES} random fields`, () => {
    const random = randomNumbers(SEED + 3);
    for (let nth = 0; nth < CASES; nth++) {
      const [name, value] = randomField(random);
      const expected = referenceHeader(name, bytesOf(value));
      const actual = canonicalHeader(headerField(name, value, nth % 2 === 0), 'relaxed');
      if (actual !== expected) expect([value, actual]).toEqual([value, expected]);
    }
  });
});
