/** tsmilter/spf: the syntax of a record, and which of its terms decides (RFC 7208 4.6, 4.7). */
import { describe } from '@jest/globals';
import { type Row, SpfBench, txt } from '../support/spf';

const bench = new SpfBench();
const rows = bench.rows.bind(bench);

const spf = (record: string) => ({ TXT: txt(record) });
const label = (length: number) => 'x'.repeat(length);

describe('one syntax error makes the whole record invalid (RFC 7208 4.6)', () => {
  /** Terms that are wrong, whatever stands beside them. */
  const broken = `
    moo - + --all +-all = =all 1=x -a=b all. all:example.com all/8
    include.a.test include_a.test ip4-192.0.2.1 ip6.::1 a_b.test a.b.test ptr-a.test exists,a.test
    include include: include/24 include:a.test/24 include:a.test//64 include:test
    a: a/ a:a.test/ a/33 a/032 a/00 a//129 a// a/24/ a/24// a///64 a/24/64 a/-1 a:/24 a:a.test:8080 a:192.0.2.1 a:a.123 a:test
    a:test. a:a.-test a:a.test- a:a.te_st a:a..test a:.a.test a:${label(64)}.test mx: mx/33 mx//129 mx:a.test/x mx:a.test:25
    ptr: ptr/24 ptr:a.test/24 exists exists: exists/8 exists:a.test/24
    ip4 ip4: ip4/24 ip4:192.0.2 ip4:192.0.2.256 ip4:192.0.2.01 ip4:192.0.2.1/33 ip4:192.0.2.1/032 ip4:192.0.2.1/
    ip4:192.0.2.1//24 ip4:192.0.2.1:25 ip4:a.test ip4:2001:db8::1 ip4:%{i} ip4:0x7f.1
    ip6 ip6: ip6:192.0.2.1 ip6:2001:db8 ip6:2001:db8::1/129 ip6:2001:db8::1//64 ip6:::1/ ip6:fe80::1%eth0 ip6:[::1] ip6:::12345
    redirect= redirect=a.test/24 redirect:a.test redirect exp= exp=a exp:a.test -redirect=a.test -exp=a.test
    foo=% foo=%{x} foo=%abc moo.cow/far=dog moo.cow:far=dog _moo=dog
    exists:%{d exists:%{}.test exists:%{d0}.test exists:%{d00r}.test exists:%{rd}.test exists:%{d2rr}.test exists:%{d*}.test
    exists:%{ir}.%{v exists:%(i).test exists:%i.test exists:a.test% exists:%{d}test exists:%{d}.1
    exists:%{c}.test exists:%{r}.test exists:%{t}.test include:%{C}.test redirect=%{r}.test exp=%{t}.test`.trim();
  const permerror = (term: string): Row[] => [
    [`"${term}" before what matches`, `v=spf1 ${term} +all`, 'permerror', { asks: ['TXT example.com'] }],
    [`"${term}" after what matches`, `v=spf1 +all ${term}`, 'permerror', { asks: ['TXT example.com'] }],
  ];
  rows(broken.split(/\s+/).flatMap(permerror));
  rows([
    ['redirect twice', 'v=spf1 +all redirect=a.test REDIRECT=a.test', 'permerror'],
    ['exp twice', 'v=spf1 +all exp=a.test exp=b.test', 'permerror'],
    [
      'a byte that is not ASCII',
      'v=spf1 +all exp=gr\xfcn.test',
      'permerror',
      { is: { problem: /not printable ASCII: v=spf1 / } },
    ],
    ['a control character', 'v=spf1 a:ctrl.example.com\rptr +all', 'permerror'],
    ['a tab between terms', 'v=spf1 ip4:192.0.2.1\t-all', 'permerror'],
    ['a zero byte', 'v=spf1 +all\0', 'permerror'],
    [
      'the problem quotes the term',
      'v=spf1 moo:cow +all',
      'permerror',
      { is: { problem: /unknown mechanism: moo:cow/ } },
    ],
    ['modifiers that are not known', 'v=spf1 moo.cow-far_out=man:dog/cat a=b include=c all=d +all', 'pass'],
    ['such a modifier without a value, and twice', 'v=spf1 moo= moo= moo=%{c}%%%_ +all', 'pass'],
    ['modifiers before mechanisms', 'v=spf1 exp=a.test redirect=b.test +all', 'pass'],
    ['names of many kinds', 'v=spf1 +all exists:_a-b+c!d.%{l/}.x--1.test a:a.1-2 a:1.2.3.x4', 'pass'],
    ['bits of many kinds', 'v=spf1 +all a/0 a//0 a/32//128 mx/8//16 mx:a.test/9//99', 'pass'],
  ]);
});

describe('results (RFC 7208 4.6.2, 4.7)', () => {
  rows([
    ['+', 'v=spf1 +all', 'pass', { is: { mechanism: 'all' } }],
    ['none of them', 'v=spf1 all', 'pass'],
    ['-', 'v=spf1 -all', 'fail', { is: { mechanism: 'all' } }],
    ['~', 'v=spf1 ~all', 'softfail'],
    ['?', 'v=spf1 ?all', 'neutral', { is: { mechanism: 'all' } }],
    [
      'the first that matches',
      'v=spf1 -ip4:192.0.2.9 ~ip4:192.0.2.1 +all',
      'softfail',
      { is: { mechanism: 'ip4:192.0.2.1' } },
    ],
    ['none that matches', 'v=spf1 ip4:192.0.2.9', 'neutral', { is: { mechanism: null } }],
    ['what comes after all', 'v=spf1 -all +ip4:192.0.2.1', 'fail'],
    [
      'redirect beside all',
      'v=spf1 redirect=failing.test ?all',
      'neutral',
      {
        zone: { 'failing.test': { fault: 'SERVFAIL' } },
        asks: ['TXT example.com'],
      },
    ],
    [
      'any letter case',
      'v=spf1 -IP4:192.0.2.9 -Include:A.TEST ~ALL',
      'softfail',
      { zone: { 'a.test': spf('v=spf1 -all') } },
    ],
  ]);
});
