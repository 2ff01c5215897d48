/** Everything in the package that reads untrusted text, with its language and with what it promises. */
import * as assert from 'node:assert/strict';
import packet from 'dns-packet';
import { ArcVerifier } from 'tsmilter/arc';
import { formatAuthRes, parseAuthRes } from 'tsmilter/authres';
import { MilterConfigParser } from 'tsmilter/config';
import { DkimVerifier } from 'tsmilter/dkim';
import { parseDmarcRecord } from 'tsmilter/dmarc';
import { defang, MimeMessage, removeScripts } from 'tsmilter/mime';
import { MTAPolicy } from 'tsmilter/policy';
import { checkSpf } from 'tsmilter/spf';
import { Srs } from 'tsmilter/srs';
import { isDynip, parseAddr, parseaddr, parseHeader, unsign } from 'tsmilter/utils';
import { parseKeyRecord } from '#lib/dkim/key-record.js';
import { parseTagList } from '#lib/dkim/tag-list.js';
import { decodeAnswer } from '#lib/dns/wire.js';
import { MalformedAnswer } from '#lib/dns/wire-reader.js';
import { linesOf } from '#lib/internal/lines.js';
import { entriesOfText, foldKey } from '#lib/policy/entries.js';
import { limitsOf } from '#lib/policy/limits.js';
import { mapError } from '#lib/policy/map-error.js';
import { isSpfRecord, readRecord } from '#lib/spf/record.js';
import { SpfError } from '#lib/spf/spf-error.js';
import type { Language } from './inputs';

/** A reader and what holds of it for every input. */
export interface Reader extends Language {
  readonly name: string;
  /** The codes of the errors that it documents. Default: it throws nothing. */
  readonly documented?: readonly string[];
  /** Reads a text; fails if it breaks a promise. */
  readonly read: (text: string) => unknown;
}

const bytes = (text: string) => Buffer.from(text, 'latin1');

const mime: Reader = {
  name: 'MIME messages: written back as they were, then defanged',
  tokens: [
    ...[
      '\n',
      '\r\n',
      '\n\n',
      '\r\n\r\n',
      '--b',
      '--b--',
      '\n--b\n',
      '\r\n--b--\r\n',
      '--',
      'b',
      ' ',
      ';',
      '"',
    ],
    ...[
      'Content-Type: multipart/mixed; boundary=b\n',
      'Content-Type: message/rfc822\n',
      'Content-Type: text/html\n',
    ],
    ...[
      'Content-Disposition: attachment; filename=',
      "filename*0*=utf-8''",
      'filename*1=',
      '=?utf-8?B?YS5leGU=?=',
    ],
    ...[
      'Content-Transfer-Encoding: base64\n',
      'Content-Transfer-Encoding: quoted-printable\n',
      'a.exe',
      'name="a.zip"',
    ],
    ...[
      '<script>',
      '</script>',
      '<!--',
      '-->',
      'YS5leGU=',
      '=3D',
      '=\n',
      'begin 644 a.exe\n',
      'end\n',
      'PK\x03\x04',
    ],
  ],
  examples: [
    'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain; name=a.txt\n\nhello\n--b--\n',
    'Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPHNjcmlwdD5hKCk8L3NjcmlwdD4=\n',
    "Content-Type: message/rfc822\n\nContent-Disposition: attachment; filename*=utf-8''a%2Eexe\n\nx\n",
  ],
  documented: ['ERR_MILTER_MIME_LIMIT', 'ERR_MILTER_BAD_ZIP'],
  read: async (text) => {
    const message = MimeMessage.from(bytes(text));
    assert.equal(message.asBytes().toString('latin1'), text);
    for (const part of message.walk()) await part.getnames();
    const changed = await defang(message, { check: (name) => /\.exe/i.test(name) });
    if (!changed) assert.equal(message.asBytes().toString('latin1'), text);
  },
};

const html: Reader = {
  name: 'HTML: without scripts it stays so',
  tokens: [
    ...[
      '<',
      '>',
      '</',
      '/>',
      '<!--',
      '-->',
      '<script',
      '</script',
      '<SCRIPT>',
      '<style>',
      '</style>',
      '<title>',
    ],
    ...[
      ' src=x',
      ' onload="',
      "'",
      '"',
      '=',
      '&lt;',
      '<a href="javascript:',
      '<![CDATA[',
      ']]>',
      '<textarea>',
      'a',
    ],
  ],
  examples: [
    '<p>a<script src="x">b()</script>c</p>',
    '<!-- <script> --><p>a</p>',
    '<title></title><script>x</script>',
  ],
  read: (text) => {
    const clean = removeScripts(bytes(text));
    if (clean) assert.equal(removeScripts(clean) ?? null, null);
  },
};

const ADDRESS: Language = {
  tokens: [
    '<',
    '>',
    '@',
    ',',
    ':',
    ';',
    '"',
    '\\',
    '.',
    '(',
    ')',
    'a',
    'example.com',
    'SRS0=',
    'prvs=',
    '=',
    '+',
    '[1.2.3.4]',
  ],
  examples: [
    '<@relay.example,@b:user@example.com>',
    '"a\\"b"@example.com',
    'Name <a@b.example>, group: c@d.example;',
    '<SRS0=abcd=XY=example.com=user@relay.example>',
    'prvs=1234abcdef=user@example.com',
  ],
};
const srs = new Srs({ secrets: ['a secret of the tests'], domain: 'relay.example' });

const addresses: Reader = {
  ...ADDRESS,
  name: 'addresses',
  read: (text) => {
    assert.ok([1, 2].includes(parseAddr(text).length));
    assert.equal(parseaddr(text).length, 2);
    assert.equal(typeof unsign(text), 'string');
    srs.reverse(text);
  },
};

const srsRoundTrip: Reader = {
  ...ADDRESS,
  name: 'SRS: what was forwarded finds its way back',
  read: (text) => {
    const forwarded = srs.forward(text);
    if (forwarded === text) return;
    const back = srs.reverse(forwarded);
    assert.equal(back.result, 'ok');
  },
};

const headers: Reader = {
  name: 'header values',
  tokens: [
    '=?',
    '?=',
    '?',
    'utf-8',
    'iso-8859-1',
    'Q',
    'B',
    '?Q?',
    '?B?',
    '=20',
    '=C3=A9',
    'w6k=',
    '_',
    ' ',
    '\n ',
    'a',
    '=?utf-8?Q?',
  ],
  examples: [
    '=?utf-8?Q?caf=C3=A9?= and =?iso-8859-1?B?6Q==?=',
    'plain text',
    '=?x-unknown?B?AAAA?=',
    '=?utf-7?Q?+AOk-?=',
  ],
  read: (text) => assert.equal(typeof parseHeader(text), 'string'),
};

const hostNames: Reader = {
  name: 'host names',
  tokens: ['192', '-', '.', '0', 'example.com', 'dyn', 'ip', '[', ']', 'x', '2001', ':', 'c0000201'],
  examples: ['192-0-2-1.example.com', 'c0000201.dyn.example.com', '[192.0.2.1]'],
  read: (text) => {
    assert.equal(typeof isDynip(text, '192.0.2.1'), 'boolean');
    assert.equal(typeof isDynip(text, '2001:db8::1'), 'boolean');
  },
};

const RESULTS = ['pass', 'fail', 'softfail', 'neutral', 'none', 'permerror', 'temperror'];

const spf: Reader = {
  name: 'SPF records: one of the results of RFC 7208',
  tokens: [
    ...[
      'v=spf1 ',
      ' ',
      'a',
      'mx',
      'ptr',
      'all',
      '-all',
      'ip4:',
      'ip6:',
      '192.0.2.0/24',
      '2001:db8::/32',
      'include:',
    ],
    ...[
      'redirect=',
      'exp=',
      'exists:',
      '%{i}',
      '%{d2r.-}',
      '%{',
      '}',
      '%%',
      '%_',
      '/',
      '//',
      ':',
      '~',
      '?',
      '=',
      'x.test',
    ],
  ],
  examples: [
    'v=spf1 a:%{d} mx/24//64 ip4:192.0.2.0/24 -all',
    'v=spf1 exists:%{ir}.%{l1r-}.x.test redirect=y.test',
    'v=spf1 exp=e.%{d} ?all',
  ],
  read: async (text) => {
    const resolver = {
      resolveTxt: async () => [[text]],
      resolve4: async () => ['192.0.2.9'],
      resolve6: async () => [],
      resolveMx: async () => [{ exchange: 'mx.test', priority: 1 }],
      reverse: async () => ['x.test'],
    };
    const check = await checkSpf({ ip: '192.0.2.1', helo: 'h.test', sender: '<a@src.test>' }, { resolver });
    assert.ok(RESULTS.includes(check.result));
    assert.doesNotMatch(`${check.explanation}${check.receivedSpf}`, /\r|\n(?![ \t])|\0/);
    try {
      if (isSpfRecord(text)) readRecord(text);
    } catch (error) {
      assert.ok(error instanceof SpfError, String(error));
    }
  },
};

const QUESTION = { name: 'a.test', type: 'TXT' } as const;

/** A DNS answer as latin1 text. */
function answerPacket(answers: readonly object[]): string {
  const whole = { type: 'response', id: 7, flags: 0x180, questions: [QUESTION], answers } as packet.Packet;
  return packet.encode(whole).toString('latin1');
}

const dns: Reader = {
  name: 'DNS packets: an answer, none, or a malformed one',
  tokens: [
    '\0',
    '\x01',
    '\x10',
    '\xc0\x0c',
    '\xc0\x00',
    '\xff',
    '\x3f',
    '\x01a\x04test\0',
    '\0\x10\0\x01',
    '\0\0\0\x3c',
    '\0\x04',
    'x',
  ],
  examples: [
    answerPacket([{ type: 'TXT', name: 'a.test', ttl: 60, data: ['v=spf1 -all', 'more'] }]),
    answerPacket([
      { type: 'CNAME', name: 'a.test', ttl: 60, data: 'b.test' },
      { type: 'MX', name: 'b.test', ttl: 1, data: { preference: 1, exchange: 'mx.test' } },
    ]),
    answerPacket([
      { type: 'A', name: 'a.test', ttl: 60, data: '192.0.2.1' },
      { type: 'AAAA', name: 'a.test', ttl: 60, data: '2001:db8::1' },
    ]),
  ],
  read: (text) => {
    let answer: ReturnType<typeof decodeAnswer>;
    try {
      answer = decodeAnswer(bytes(text).subarray(0, 65_535), 7, QUESTION);
    } catch (error) {
      assert.ok(error instanceof MalformedAnswer, String(error));
      return;
    }
    for (const { name, type, ttl } of answer?.records ?? []) {
      assert.equal(typeof name, 'string');
      assert.equal(typeof type, 'string');
      assert.ok(Number.isInteger(ttl));
    }
  },
};

const accessMap: Reader = {
  name: 'access maps: entries, or an error of the map',
  tokens: [
    'From:',
    'SPF-Fail:',
    'example.com',
    'a@b.example',
    '\t',
    ' ',
    '\n',
    'OK',
    'REJECT',
    '#',
    ':',
    '.',
    '"550 no"',
    '\n ',
  ],
  examples: [
    'From:example.com OK\n# a comment\nSPF-Fail: REJECT\n',
    'a@b.example\tERROR:5.7.1:"550 no"\n  continued\n',
  ],
  documented: ['ERR_MILTER_ACCESS_MAP', 'ERR_MILTER_BAD_ARGUMENT'],
  read: async (text) => {
    const chunks = (async function* () {
      yield bytes(text);
    })();
    const lines = linesOf(chunks, limitsOf({}), (message) => mapError('a map', message));
    const entries = await entriesOfText('a map', lines, 100_000);
    const map = { separator: ':', get: (key: string) => entries.get(foldKey(key)) ?? null } as const;
    new MTAPolicy(text, map).getPolicy('From');
  },
};

const ini: Reader = {
  name: 'configuration: every option can be read',
  tokens: [
    '[',
    ']',
    '\n',
    '[a]\n',
    '[DEFAULT]\n',
    '=',
    ':',
    ' ',
    ';',
    '#',
    '%(',
    ')s',
    '%',
    'key',
    '__proto__',
    'constructor',
    '\n ',
    '1',
    'yes',
    ',',
  ],
  examples: [
    '[milter]\nsocket = unix:/run/x\ntimeout: 60\n# comment\nlist = a, b,\n  c\n',
    '[DEFAULT]\nx=1\n[a]\ny=%(x)s\n',
  ],
  documented: ['ERR_MILTER_CONFIG'],
  read: (text) => {
    const parser = new MilterConfigParser();
    parser.readString(text);
    for (const section of parser.sections()) {
      for (const option of parser.options(section)) {
        assert.ok(parser.hasOption(section, option));
        try {
          parser.getlist(section, option);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'ERR_MILTER_CONFIG');
        }
      }
    }
    assert.equal(({} as Record<string, unknown>).key, undefined);
  },
};

const SIGNATURE =
  'v=1; a=rsa-sha256; c=relaxed/simple; d=src.test; s=key; t=1700000000; h=from:to; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA';
const TAGS: Language = {
  tokens: [
    'v=1',
    ';',
    '=',
    ' ',
    '\r\n ',
    'a=rsa-sha256',
    'b=',
    'bh=',
    'c=relaxed',
    'd=',
    'h=from:',
    'i=1',
    'l=',
    's=',
    't=',
    'x=',
    'AAAA',
    'cv=none',
    'src.test',
    ':',
    '/',
  ],
  examples: [
    SIGNATURE,
    'v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALY=',
    `i=1; ${SIGNATURE}`,
    'i=1; a=rsa-sha256; cv=none; d=src.test; s=key; b=AAAA',
    'i=1; src.test; spf=pass',
  ],
};

const tagLists: Reader = {
  ...TAGS,
  name: 'DKIM tag lists, key records and DMARC records',
  read: (text) => {
    for (const [name, value] of parseTagList(text) ?? [])
      assert.doesNotMatch(`${name};${value};`, /^[ \t\r\n]|[ \t\r\n];/);
    parseKeyRecord(text);
    parseDmarcRecord(text);
    parseDmarcRecord(`v=DMARC1; ${text}`);
  },
};

const signatures: Reader = {
  ...TAGS,
  name: 'DKIM signatures and ARC chains: a result for each',
  read: async (text) => {
    const verifier = new DkimVerifier({ resolver: { resolveTxt: async () => [[text]] } });
    const chain = new ArcVerifier(verifier);
    verifier.header('From', ' a@src.test');
    for (const name of ['DKIM-Signature', 'ARC-Seal', 'ARC-Message-Signature', 'ARC-Authentication-Results'])
      verifier.header(name, ` ${text}`);
    verifier.eoh();
    verifier.body(bytes('a body\r\n'));
    for (const { result } of await verifier.eom()) assert.match(result, /^[a-z]+$/);
    assert.match((await chain.eom()).result, /^(none|pass|fail|temperror)$/);
  },
};

const authenticationResults: Reader = {
  name: 'Authentication-Results: what is read can be written and read again',
  tokens: [
    'mx.test',
    ';',
    '=',
    ' ',
    '\r\n ',
    '1',
    '/',
    'spf=pass',
    'dkim',
    'none',
    'reason=',
    '"',
    '\\',
    '(',
    ')',
    'smtp.',
    'mailfrom=',
    'a@b.test',
    'header.d=',
  ],
  examples: [
    'mx.test 1; spf=pass smtp.mailfrom=a@b.test; dkim=fail reason="bad (sig)" header.d=b.test',
    'mx.test; none',
    '"a b"; auth/1=pass (a (nested) comment) smtp.auth="x y"',
  ],
  documented: ['ERR_MILTER_BAD_ARGUMENT'],
  read: (text) => {
    const read = parseAuthRes(text);
    if (!read) return;
    assert.ok(parseAuthRes(formatAuthRes(read, { utf8: true })));
    const values = read.results.flatMap(({ reason = '', properties = [] }) => [
      reason,
      ...properties.map(({ value }) => value),
    ]);
    for (const character of [read.id, ...values].join(''))
      assert.ok(character === '\t' || (character >= ' ' && character !== '\x7f'));
  },
};

export const readers: readonly Reader[] = [
  ...[mime, html, addresses, srsRoundTrip, headers, hostNames, spf, dns, accessMap, ini],
  ...[tagLists, signatures, authenticationResults],
];
