/** tsmilter/spf: each mechanism, include and redirect, with all that DNS may say (RFC 7208 5, 6.1). */
import { describe } from '@jest/globals';
import { SpfBench, txt } from '../support/spf';

const bench = new SpfBench();
const rows = bench.rows.bind(bench);

const spf = (record: string) => ({ TXT: txt(record) });
const label = (length: number) => 'x'.repeat(length);

describe('ip4 and ip6 (RFC 7208 5.6)', () => {
  const six = '2001:db8:0:1::8000:1';
  rows([
    ['the address', 'v=spf1 ip4:192.0.2.1 -all', 'pass'],
    ['another address', 'v=spf1 ip4:192.0.2.2 -all', 'fail'],
    ['/32', 'v=spf1 ip4:192.0.2.1/32 -all', 'pass'],
    ['/31, in it', 'v=spf1 ip4:192.0.2.0/31 -all', 'pass'],
    ['/31, next to it', 'v=spf1 ip4:192.0.2.2/31 -all', 'fail'],
    ['bits that do not count are passed over', 'v=spf1 ip4:192.0.2.255/24 -all', 'pass'],
    ['/1', 'v=spf1 ip4:128.0.0.0/1 -all', 'pass'],
    ['/0', 'v=spf1 ip4:10.0.0.0/0 -all', 'pass'],
    ['/0 for a client with IPv6', 'v=spf1 ip4:0.0.0.0/0 -all', 'fail', { ip: six }],
    ['IPv6: the address', `v=spf1 ip6:${six} -all`, 'pass', { ip: six }],
    ['IPv6: in capital letters and zeros', 'v=spf1 ip6:2001:0DB8:0:1:0:0:8000:1 -all', 'pass', { ip: six }],
    ['IPv6: another address', 'v=spf1 ip6:2001:db8:0:1::8000:2 -all', 'fail', { ip: six }],
    ['IPv6: /128', `v=spf1 ip6:${six}/128 -all`, 'pass', { ip: six }],
    ['IPv6: /97, in it', 'v=spf1 ip6:2001:db8:0:1::ffff:0/97 -all', 'pass', { ip: six }],
    ['IPv6: /97, next to it', 'v=spf1 ip6:2001:db8:0:1::7fff:0/97 -all', 'fail', { ip: six }],
    ['IPv6: /64', 'v=spf1 ip6:2001:db8:0:1::/64 -all', 'pass', { ip: six }],
    ['IPv6: /0', 'v=spf1 ip6:::1/0 -all', 'pass', { ip: six }],
    ['IPv6: an IPv4 address at its end', 'v=spf1 ip6:2001:db8:0:1::128.0.0.1 -all', 'pass', { ip: six }],
    ['IPv6 /0 for a client with IPv4', 'v=spf1 ip6:::/0 -all', 'fail'],
    ['IPv4-mapped is not ip6', 'v=spf1 ip6:::ffff:192.0.2.1 ip6:::ffff:0:0/96 -all', 'fail'],
    [
      'IPv4-mapped is not ip6, for a mapped client',
      'v=spf1 ip6:::ffff:192.0.2.1 -all',
      'fail',
      { ip: '::ffff:192.0.2.1' },
    ],
    [
      'no DNS is needed',
      `v=spf1 ${'ip4:192.0.2.9 '.repeat(30)}-all`,
      'fail',
      { asks: ['TXT example.com'], is: { lookups: 0 } },
    ],
  ]);
});

describe('include (RFC 7208 5.2)', () => {
  const included = (record: string) => ({ zone: { 'other.test': spf(record) } });
  const failing = (fault: 'SERVFAIL' | 'silence') => ({ zone: { 'other.test': { fault } } });
  const term = 'v=spf1 ~include:other.test -all';
  rows([
    [
      'pass matches',
      term,
      'softfail',
      { ...included('v=spf1 +all'), is: { mechanism: 'include:other.test', lookups: 1 } },
    ],
    ['fail does not match', term, 'fail', included('v=spf1 -all')],
    ['softfail does not match', term, 'fail', included('v=spf1 ~all')],
    ['neutral does not match', term, 'fail', included('v=spf1 ?all')],
    ['no mechanism that matches does not match', term, 'fail', included('v=spf1')],
    ['temperror', term, 'temperror', failing('SERVFAIL')],
    ['no answer', term, 'temperror', failing('silence')],
    ['permerror', term, 'permerror', included('v=spf1 moo')],
    [
      'no record',
      term,
      'permerror',
      { ...included('other'), is: { problem: /other\.test has no SPF record: include/ } },
    ],
    ['no such name', term, 'permerror'],
    ['two records', term, 'permerror', { zone: { 'other.test': { TXT: ['v=spf1', 'v=spf1'] } } }],
    ['a malformed name by a macro', 'v=spf1 include:%{h} -all', 'permerror', { helo: 'localhost' }],
    [
      'of another',
      term,
      'softfail',
      {
        zone: {
          'other.test': spf('v=spf1 include:third.test -all'),
          'third.test': spf('v=spf1 ip4:192.0.2.1'),
        },
        is: { mechanism: 'include:other.test', lookups: 2 },
      },
    ],
    [
      'a fail within is the end of the included record only',
      term,
      'fail',
      included('v=spf1 -ip4:192.0.2.0/24 +all'),
    ],
    [
      'a redirect within',
      term,
      'softfail',
      {
        zone: { 'other.test': spf('v=spf1 redirect=third.test'), 'third.test': spf('v=spf1 +all') },
      },
    ],
    ['a redirect within that leads nowhere', term, 'permerror', included('v=spf1 redirect=nowhere.test')],
    ['itself', 'v=spf1 include:example.com', 'permerror', { is: { problem: /maxLookups/, lookups: 10 } }],
    [
      'not asked for where something matches before',
      'v=spf1 +all include:other.test',
      'pass',
      { asks: ['TXT example.com'] },
    ],
  ]);
});

describe('redirect (RFC 7208 6.1)', () => {
  const other = (record: string) => ({ zone: { 'other.test': spf(record) } });
  rows([
    [
      'takes the result of the other',
      'v=spf1 redirect=other.test',
      'softfail',
      {
        ...other('v=spf1 ~all'),
        is: { domain: 'example.com', mechanism: 'all', lookups: 1 },
      },
    ],
    ['neutral too', 'v=spf1 redirect=other.test', 'neutral', { ...other('v=spf1'), is: { mechanism: null } }],
    ['comes after all mechanisms', 'v=spf1 redirect=other.test ip4:192.0.2.1', 'pass', other('v=spf1 -all')],
    ['in capital letters', 'v=spf1 REDIRECT=Other.TEST', 'softfail', other('v=spf1 ~all')],
    ['no record', 'v=spf1 redirect=other.test', 'permerror', other('other')],
    ['no such name', 'v=spf1 redirect=other.test', 'permerror'],
    ['a malformed name by a macro', 'v=spf1 redirect=%{h}', 'permerror', { helo: 'a..b' }],
    ['permerror', 'v=spf1 redirect=other.test', 'permerror', other('v=spf1 moo')],
    [
      'temperror',
      'v=spf1 redirect=other.test',
      'temperror',
      { zone: { 'other.test': { fault: 'SERVFAIL' } } },
    ],
    [
      'its own domain is the current one',
      'v=spf1 redirect=other.test',
      'pass',
      {
        zone: { 'other.test': { TXT: ['v=spf1 a -all'], A: ['192.0.2.1'] } },
        asks: ['TXT example.com', 'TXT other.test', 'A other.test'],
      },
    ],
    ['in a circle', 'v=spf1 redirect=other.test', 'permerror', other('v=spf1 redirect=example.com')],
  ]);
});

describe('a (RFC 7208 5.3)', () => {
  const a = (...A: string[]) => ({ zone: { 'host.test': { A } } });
  const aaaa = (...AAAA: string[]) => ({
    ip: '2001:db8::1',
    zone: { 'host.test': { A: ['192.0.2.1'], AAAA } },
  });
  rows([
    [
      'the domain itself',
      'v=spf1 a -all',
      'pass',
      { zone: { 'example.com': { TXT: ['v=spf1 a -all'], A: ['192.0.2.1'] } } },
    ],
    [
      'a host',
      'v=spf1 a:host.test -all',
      'pass',
      { ...a('192.0.2.1'), is: { mechanism: 'a:host.test', lookups: 1 } },
    ],
    ['one of its addresses', 'v=spf1 a:host.test -all', 'pass', a('192.0.2.7', '192.0.2.1')],
    ['other addresses', 'v=spf1 a:host.test -all', 'fail', a('192.0.2.7', '192.0.2.8')],
    ['a dot at the end', 'v=spf1 a:host.test. -all', 'pass', a('192.0.2.1')],
    [
      'an alias',
      'v=spf1 a:alias.test -all',
      'pass',
      {
        zone: { 'alias.test': { CNAME: 'host.test' }, 'host.test': { A: ['192.0.2.1'] } },
      },
    ],
    ['/24', 'v=spf1 a:host.test/24 -all', 'pass', a('192.0.2.200')],
    ['/25', 'v=spf1 a:host.test/25 -all', 'fail', a('192.0.2.200')],
    ['/0 needs an address', 'v=spf1 a:nowhere.test/0 -all', 'fail'],
    ['/0', 'v=spf1 a:host.test/0 -all', 'pass', a('10.0.0.1')],
    ['//0 is not for IPv4', 'v=spf1 a:host.test//0 -all', 'fail', a('10.0.0.1')],
    ['/24//64 for IPv4', 'v=spf1 a:host.test/24//64 -all', 'pass', a('192.0.2.200')],
    [
      'IPv6',
      'v=spf1 a:host.test -all',
      'pass',
      { ...aaaa('2001:db8::1'), asks: ['TXT example.com', 'AAAA host.test'] },
    ],
    ['IPv6: other addresses', 'v=spf1 a:host.test -all', 'fail', aaaa('2001:db8::2')],
    ['IPv6: none', 'v=spf1 a:host.test -all', 'fail', aaaa()],
    ['IPv6: //64', 'v=spf1 a:host.test//64 -all', 'pass', aaaa('2001:db8::2')],
    ['IPv6: /0 is not for it', 'v=spf1 a:host.test/0 -all', 'fail', aaaa('2001:db8::2')],
    ['IPv6: //0', 'v=spf1 a:host.test//0 -all', 'pass', aaaa('::2')],
    [
      'IPv6: an IPv4-mapped AAAA record is an IPv6 address',
      'v=spf1 a:host.test//0 -all',
      'pass',
      aaaa('::ffff:c000:201'),
    ],
    ['no such host', 'v=spf1 a:nowhere.test -all', 'fail'],
    [
      'a name that DNS cannot have, by a macro',
      'v=spf1 a:%{h}.test -all',
      'fail',
      { helo: label(64), asks: ['TXT example.com'] },
    ],
    ['SERVFAIL', 'v=spf1 a:host.test +all', 'temperror', { zone: { 'host.test': { fault: 'SERVFAIL' } } }],
    ['no answer', 'v=spf1 a:host.test +all', 'temperror', { zone: { 'host.test': { fault: 'silence' } } }],
    [
      'IPv6: SERVFAIL',
      'v=spf1 a:host.test +all',
      'temperror',
      {
        ip: '2001:db8::1',
        zone: { 'host.test': { A: ['192.0.2.1'], fault: 'SERVFAIL', faultTypes: ['AAAA'] } },
      },
    ],
    [
      'SERVFAIL of what is not asked for',
      'v=spf1 a:host.test -all',
      'pass',
      {
        zone: { 'host.test': { A: ['192.0.2.1'], fault: 'SERVFAIL', faultTypes: ['AAAA'] } },
      },
    ],
  ]);
});

describe('mx (RFC 7208 5.4)', () => {
  const mx = (...exchangers: string[]) =>
    exchangers.map((exchange, at) => ({ exchange, priority: 10 * (3 - at) }));
  const hosts = {
    'one.test': { A: ['192.0.2.1'], AAAA: ['2001:db8::1'] },
    'two.test': { A: ['192.0.2.2'], AAAA: ['2001:db8::2'] },
  };
  const of = (...exchangers: string[]) => ({ zone: { ...hosts, 'mx.test': { MX: mx(...exchangers) } } });
  rows([
    [
      'the domain itself',
      '',
      'pass',
      { zone: { ...hosts, 'example.com': { TXT: ['v=spf1 mx -all'], MX: mx('one.test') } } },
    ],
    [
      'the best first, and no more than needed',
      'v=spf1 mx:mx.test -all',
      'pass',
      {
        ...of('two.test', 'one.test'),
        asks: ['TXT example.com', 'MX mx.test', 'A one.test'],
        is: { mechanism: 'mx:mx.test', lookups: 1 },
      },
    ],
    ['the last', 'v=spf1 mx:mx.test -all', 'pass', of('one.test', 'two.test')],
    ['other hosts', 'v=spf1 mx:mx.test -all', 'fail', of('two.test')],
    ['/24', 'v=spf1 mx:mx.test/24 -all', 'pass', of('two.test')],
    ['IPv6', 'v=spf1 mx:mx.test -all', 'pass', { ...of('one.test'), ip: '2001:db8::1' }],
    ['IPv6: //64', 'v=spf1 mx:mx.test//64 -all', 'pass', { ...of('two.test'), ip: '2001:db8::1' }],
    ['none', 'v=spf1 mx:mx.test -all', 'fail', { zone: { 'mx.test': { A: ['192.0.2.1'] } } }],
    ['no such name', 'v=spf1 mx:mx.test -all', 'fail'],
    [
      'the null MX (RFC 7505)',
      'v=spf1 mx:mx.test -all',
      'fail',
      { ...of(''), asks: ['TXT example.com', 'MX mx.test'] },
    ],
    ['a host that is not there', 'v=spf1 mx:mx.test -all', 'pass', of('one.test', 'nowhere.test')],
    ['SERVFAIL', 'v=spf1 mx:mx.test +all', 'temperror', { zone: { 'mx.test': { fault: 'SERVFAIL' } } }],
    ['no answer', 'v=spf1 mx:mx.test +all', 'temperror', { zone: { 'mx.test': { fault: 'silence' } } }],
    [
      'SERVFAIL of a host',
      'v=spf1 mx:mx.test +all',
      'temperror',
      {
        zone: { 'mx.test': { MX: mx('one.test') }, 'one.test': { fault: 'SERVFAIL' } },
      },
    ],
  ]);
});

describe('ptr (RFC 7208 5.5)', () => {
  const reverse = '1.2.0.192.in-addr.arpa';
  const six = '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa';
  const there = { A: ['192.0.2.1'], AAAA: ['2001:db8::1'] };
  const named = (...names: string[]) => ({ [reverse]: { PTR: names }, [six]: { PTR: names } });
  rows([
    [
      'the domain itself',
      'v=spf1 ptr:host.test -all',
      'pass',
      {
        zone: { ...named('host.test'), 'host.test': there },
        is: { mechanism: 'ptr:host.test', lookups: 1 },
      },
    ],
    [
      'below the domain',
      'v=spf1 ptr:test.example -all',
      'pass',
      {
        zone: { ...named('a.b.Test.Example'), 'a.b.test.example': there },
      },
    ],
    [
      'the domain of the record',
      '',
      'pass',
      {
        zone: { ...named('mx.example.com'), 'mx.example.com': there, 'example.com': spf('v=spf1 ptr -all') },
      },
    ],
    [
      'a name that only ends alike',
      'v=spf1 ptr:host.test -all',
      'fail',
      {
        zone: { ...named('myhost.test'), 'myhost.test': there },
      },
    ],
    [
      'a name that does not lead back',
      'v=spf1 ptr:host.test -all',
      'fail',
      {
        zone: { ...named('host.test'), 'host.test': { A: ['192.0.2.2'] } },
      },
    ],
    [
      'one of several',
      'v=spf1 ptr:host.test -all',
      'pass',
      {
        zone: { ...named('x.test', 'y.test', 'host.test'), 'host.test': there },
      },
    ],
    [
      'IPv6',
      'v=spf1 ptr:host.test -all',
      'pass',
      { ip: '2001:db8::1', zone: { ...named('host.test'), 'host.test': there } },
    ],
    ['none', 'v=spf1 ptr:host.test -all', 'fail'],
    [
      'SERVFAIL is no name, not an error',
      'v=spf1 ptr:host.test ~all',
      'softfail',
      { zone: { [reverse]: { fault: 'SERVFAIL' } } },
    ],
    [
      'no answer is no name, not an error',
      'v=spf1 ptr:host.test ~all',
      'softfail',
      { zone: { [reverse]: { fault: 'silence' } } },
    ],
    [
      'SERVFAIL of a name is passed over',
      'v=spf1 ptr:host.test ~all',
      'pass',
      {
        zone: {
          ...named('bad.host.test', 'host.test'),
          'bad.host.test': { fault: 'SERVFAIL' },
          'host.test': there,
        },
      },
    ],
    [
      'a name that DNS cannot have',
      'v=spf1 ptr:host.test -all',
      'pass',
      {
        zone: { ...named('a b.host.test', 'host.test'), 'host.test': there },
      },
    ],
    [
      'is looked up once',
      'v=spf1 ptr:a.test ptr:b.test -all',
      'fail',
      {
        zone: { ...named('host.test'), 'host.test': there },
        asks: ['TXT example.com', `PTR ${reverse}`, 'A host.test'],
        is: { lookups: 2 },
      },
    ],
  ]);
});

describe('exists (RFC 7208 5.7)', () => {
  rows([
    [
      'an address, whatever it is',
      'v=spf1 exists:host.test -all',
      'pass',
      { zone: { 'host.test': { A: ['127.0.0.2'] } } },
    ],
    ['no address', 'v=spf1 exists:host.test -all', 'fail', { zone: { 'host.test': { TXT: ['x'] } } }],
    [
      'an IPv6 address only',
      'v=spf1 exists:host.test -all',
      'fail',
      { zone: { 'host.test': { AAAA: ['::1'] } } },
    ],
    [
      'IPv4 is asked for a client with IPv6 too',
      'v=spf1 exists:host.test -all',
      'pass',
      {
        ip: '2001:db8::1',
        zone: { 'host.test': { A: ['127.0.0.2'] } },
        asks: ['TXT example.com', 'A host.test'],
      },
    ],
    ['no such name', 'v=spf1 exists:host.test -all', 'fail'],
    [
      'SERVFAIL',
      'v=spf1 exists:host.test +all',
      'temperror',
      { zone: { 'host.test': { fault: 'SERVFAIL' } } },
    ],
    [
      'no answer',
      'v=spf1 exists:host.test +all',
      'temperror',
      { zone: { 'host.test': { fault: 'silence' } } },
    ],
  ]);
});
