/** Random pieces of what each standard gives a meaning, in every place where an untrusted sender or a domain can write. */
import { expect, it } from '@jest/globals';
import { ArcVerifier, arcAuthRes } from 'tsmilter/arc';
import { claimsToBe, formatAuthRes, parseAuthRes } from 'tsmilter/authres';
import { DkimVerifier } from 'tsmilter/dkim';
import { checkDmarc, dmarcAuthRes } from 'tsmilter/dmarc';
import { checkSpf } from 'tsmilter/spf';
import { Srs } from 'tsmilter/srs';
import { fits } from '#lib/internal/wire-text.js';
import { Random } from '../support/random';

const ROUNDS = 500;

const NAMES = [
  'DKIM-Signature',
  'ARC-Seal',
  'ARC-Message-Signature',
  'ARC-Authentication-Results',
  'From',
  '__proto__',
  'constructor',
  'X\0',
  ' ',
  ':',
];
const TAGS =
  'v=1 a=rsa-sha256 ed25519-sha256 b= AAAA bh= 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= c= relaxed simple d= s= h= from to ' +
  'i= i=1; i=50 i=51 l=0 t= x= q= dns/txt z= cv= none pass fail arc-seal p= k= rsa v=DKIM1 999999999999999999999 __proto__= constructor=';
const POLICIES =
  'v=DMARC1 reject p= sp= np= psd=y rua= mailto:a@b.c !10m v=spf1 include: mx a: exists: -all ip4:1.2.3.4/ redirect= %{l} %{d2r} %{p}';
const TEXT =
  '; = : / @ , . .. ( ) " \\ < > [ ] % + - r example.com xn-- header.from spf dkim dmarc SRS0= SRS1= prvs=';
const BYTES = ['\r\n ', '\n\t', ' ', '\t', '\0', '\r', '\n', '\x80', 'é', '\udcff', '\u3002', '\u200b'];
const PIECES = [...`${TAGS} ${POLICIES} ${TEXT}`.split(' '), ...BYTES];
const CODES = ['ENOTFOUND', 'ENODATA', 'ESERVFAIL', 'ETIMEOUT', 'EBADNAME', 'ERR_MILTER_DNS_LIMIT'];

/** Bytes that would make two lines of a field or of the log out of one. */
const BREAKS_LINES = /[\0\r]|\n(?!\t)/;
const PRINTABLE = /^[\x20-\x7e]*$/;

it(`${ROUNDS} messages out of random pieces: nothing throws, forges a line or changes a prototype`, async () => {
  const random = new Random(13);
  const text = (most: number) =>
    Array.from({ length: random.below(most + 1) }, () => random.pick(PIECES)).join('');
  const answered = <T>(answer: () => T) => {
    return async (): Promise<T[]> => {
      if (random.chance(0.3)) throw Object.assign(new Error('DNS'), { code: random.pick(CODES) });
      return [answer()];
    };
  };
  const resolver = {
    resolveTxt: answered(() => [text(12), text(4)]),
    resolve4: answered(() => random.pick(['192.0.2.1', text(2)])),
    resolve6: answered(() => '2001:db8::1'),
    resolveMx: answered(() => ({ exchange: text(3), priority: 1 })),
    reverse: answered(() => text(3)),
  };
  const wrong: string[] = [];
  const srs = new Srs({ secrets: ['s'], domain: 'fwd.example' });

  for (let round = 0; round < ROUNDS; round++) {
    const verifier = new DkimVerifier({ resolver, leadingSpace: random.chance(0.5) });
    const chain = new ArcVerifier(verifier);
    const from: string[] = [];
    for (let count = random.below(12); count > 0; count--) {
      const [name, value] = [random.pick(NAMES), text(30)];
      if (name === 'From') from.push(value);
      verifier.header(name, random.chance(0.5) ? value : Buffer.from(value, 'latin1'));
    }
    verifier.eoh();
    for (let count = random.below(4); count > 0; count--) verifier.body(Buffer.from(text(9), 'latin1'));
    const [dkim, arc] = [await verifier.eom(), await chain.eom()];
    const sender = text(6);
    const spf = await checkSpf(
      { ip: '192.0.2.1', helo: text(3), sender },
      { resolver, receiver: 'mx.example' },
    );
    const dmarc = await checkDmarc({ from, dkim, arc, spf }, { resolver, trustedSealers: ['example.com'] });

    const results = [arcAuthRes(arc), dmarcAuthRes(dmarc), ...(parseAuthRes(text(25))?.results ?? [])];
    const dkimResults = dkim.map(({ result, reason = '', domain = '', identity = '' }) => ({
      method: 'dkim',
      result,
      reason,
      properties: [
        { ptype: 'header', property: 'd', value: domain },
        { ptype: 'header', property: 'i', value: identity },
      ],
    }));
    const authRes = { id: 'mx.example', results: [...results, ...dkimResults] };
    const verdicts = authRes.results.map(({ method, result }) => `${method}=${result}`).join();
    for (const utf8 of [false, true]) {
      const field = formatAuthRes(authRes, { utf8 });
      const again = parseAuthRes(field)?.results.map(({ method, result }) => `${method}=${result}`);
      if (BREAKS_LINES.test(field) || !fits('headerValue', field) || again?.join() !== verdicts)
        wrong.push(field);
    }
    const reasons = [...dkim, arc, dmarc].map(({ reason = '' }) => reason);
    wrong.push(...[spf.explanation, spf.problem ?? '', ...reasons].filter((line) => !PRINTABLE.test(line)));
    if (BREAKS_LINES.test(spf.receivedSpf) || !fits('headerValue', spf.receivedSpf))
      wrong.push(spf.receivedSpf);
    claimsToBe(text(25), 'mx.example');
    if (srs.reverse(srs.forward(sender)).result === 'forged') wrong.push(sender);
  }
  expect(wrong).toStrictEqual([]);
  expect(Object.keys(Object.prototype)).toStrictEqual([]);
});
