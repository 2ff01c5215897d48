/** parseDmarcRecord: the tags of RFC 9989 4.7 and 4.8, and those of RFC 7489 6.3 that older records have. */
import { describe, expect, it } from '@jest/globals';
import { parseDmarcRecord } from 'tsmilter/dmarc';

const DEFAULTS = {
  usable: true,
  p: 'reject',
  adkim: 'r',
  aspf: 'r',
  testing: false,
  percentage: 100,
  psd: 'u',
  rua: [],
  ruf: [],
  fo: '0',
};

describe('the version (4.7)', () => {
  it.each([
    'v=DMARC1; p=reject',
    'v=DMARC1;p=reject;',
    'v = DMARC1 ; p = reject',
    'V=DMARC1; p=reject',
    'v=DMARC1\t;\tp=reject ; ',
  ])('is the first tag: %j', (text) => {
    expect(parseDmarcRecord(text)).toEqual(DEFAULTS);
  });

  it.each([
    '',
    'p=reject',
    'p=reject; v=DMARC1',
    'v=dmarc1; p=reject',
    'v=DMARC2; p=reject',
    'v=DMARC10; p=reject',
    'v=DMARC1 p=reject',
    ' v=DMARC1; p=reject',
    'v=DMARC',
    'vv=DMARC1; p=reject',
    'v=spf1 -all',
    '"v=DMARC1; p=reject"',
  ])('makes any other text no record: %j', (text) => {
    expect(parseDmarcRecord(text)).toBeUndefined();
  });
});

describe('the tags', () => {
  const record = (tags: string) => parseDmarcRecord(`v=DMARC1; p=reject; ${tags}`);

  it('are all read', () => {
    expect(
      record(
        'sp=quarantine; np=none; adkim=s; aspf=s; t=y; psd=n; pct=20; rua=mailto:a@example.com; ruf=mailto:b@example.com; fo=1:d:s',
      ),
    ).toEqual({
      ...DEFAULTS,
      sp: 'quarantine',
      np: 'none',
      adkim: 's',
      aspf: 's',
      testing: true,
      percentage: 20,
      psd: 'n',
      rua: [{ uri: 'mailto:a@example.com' }],
      ruf: [{ uri: 'mailto:b@example.com' }],
      fo: '1:d:s',
    });
  });

  it('have values in any case (4.8)', () => {
    expect(parseDmarcRecord('v=DMARC1; P=Reject; ADKIM=S; T=Y; PSD=Y')).toEqual({
      ...DEFAULTS,
      adkim: 's',
      testing: true,
      psd: 'y',
    });
  });

  it.each([
    'adkim=x',
    'aspf=',
    't=maybe',
    'psd=1',
    'pct=101',
    'pct=-1',
    'pct=x',
    'pct=',
    'fo=2',
    'fo=1:1:1:1:1',
    'rua=nobody',
    'nothing',
    '=x',
    'x=y',
    'a-b=c',
    '__proto__=x',
    ';;;',
    'p=none',
  ])('with syntax errors, and unknown ones, have no effect: %j', (tag) => {
    expect(record(tag)).toEqual(DEFAULTS);
  });

  it('read URIs one by one (4.6), with the size limits of RFC 7489 6.2', () => {
    const rua =
      'mailto:a@example.com!10m , https://example.com/r, nobody,mailto:b!c@example.com, mailto:d%2Ce@example.com!5';
    expect(record(`rua=${rua}`)?.rua).toEqual([
      { uri: 'mailto:a@example.com', maxBytes: 10 * 1024 * 1024 },
      { uri: 'https://example.com/r' },
      { uri: 'mailto:d%2Ce@example.com', maxBytes: 5 },
    ]);
  });

  it('read at most 20 URIs of at most 1,024 characters', () => {
    const many = Array.from({ length: 100 }, (_, i) => `mailto:a${i}@example.com`);
    expect(record(`rua=${many.join(',')}`)?.rua).toEqual(many.slice(0, 20).map((uri) => ({ uri })));
    expect(record(`rua=mailto:${'a'.repeat(1024)}@example.com`)?.rua).toEqual([]);
  });

  it('do not become properties of a prototype', () => {
    expect(record('constructor=x; toString=y')).toEqual(DEFAULTS);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });
});
