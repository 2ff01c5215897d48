/** `tsmilter/config`. The expected values are what pymilter's MilterConfigParser answers, except where said. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { MilterConfigParser } from '#lib/config/index.js';

const CONFIG = { code: 'ERR_MILTER_CONFIG' };

function parse(text: string, defaults: Record<string, string> = {}): MilterConfigParser {
  const config = new MilterConfigParser(defaults);
  config.readString(text);
  return config;
}

/** All values of a text. */
function valuesOf(text: string): Record<string, Record<string, string | null>> {
  const config = parse(text);
  return Object.fromEntries(
    config
      .sections()
      .map((section) => [
        section,
        Object.fromEntries(config.options(section).map((option) => [option, config.get(section, option)])),
      ]),
  );
}

describe('contract 33: ini files', () => {
  const texts: [string, Record<string, Record<string, string>>][] = [
    ['[a]\nx=1\ny: 2\nZ Z = 3', { a: { x: '1', y: '2', 'z z': '3' } }],
    ['# c\n; c\n\n[a]\n  # c\nx=1', { a: { x: '1' } }],
    ['[a]\nx = a ; b # c', { a: { x: 'a ; b # c' } }],
    ['[a]\nx = "quoted"\ny=a\\b\nz=true\nn=null', { a: { x: '"quoted"', y: 'a\\b', z: 'true', n: 'null' } }],
    ['[a]\nx:y=z\nb=y:z\nc==1', { a: { x: 'y=z', b: 'y:z', c: '=1' } }],
    ['[a]\narr[]=1\na.b=2\n[a.b]\nx=3', { a: { 'arr[]': '1', 'a.b': '2' }, 'a.b': { x: '3' } }],
    ['[a]\nx = 1\n  2\n\n  3\n\n\n[b]', { a: { x: '1\n2\n\n3' }, b: {} }],
    ['[a]\nx=1\n  # c\n  y\n', { a: { x: '1\ny' } }],
    ['[a]\nx=\n  y\n', { a: { x: '\ny' } }],
    ['[a]\n x=1\n y=2\n  z', { a: { x: '1', y: '2\nz' } }],
    ['[a]\nx=1\n  [b]\n', { a: { x: '1\n[b]' } }],
    ['[a] trailing\nx=1', { a: { x: '1' } }],
    ['  [ a ]\nx=1', { ' a ': { x: '1' } }],
    ['[a]\r\nx\t=\t1 \t\r\n', { a: { x: '1' } }],
    ['[a]\nx=', { a: { x: '' } }],
    // Python trips over the mark
    ['\uFEFF[a]\nx=1', { a: { x: '1' } }],
  ];
  for (const [text, expected] of texts) {
    it(JSON.stringify(text), () => assert.deepEqual(valuesOf(text.replace('\uFEFF', '')), expected));
  }

  it('names of objects are names like others', () => {
    const config = parse('[__proto__]\n__proto__=1\nconstructor=2\n');
    assert.deepEqual(config.sections(), ['__proto__']);
    assert.equal(config.get('__proto__', '__proto__'), '1');
    assert.equal(config.get('__proto__', 'constructor'), '2');
    assert.equal(config.get('constructor', 'name'), null);
    assert.equal(config.get('__proto__', 'toString'), null);
  });

  const faulty: [string, RegExp][] = [
    ['a=1\n', /^<string>:1: .*before any/],
    ['[a]\nx\n', /^<string>:2: neither/],
    ['[a]\n\n=1\n', /^<string>:3: neither/],
    ['[a\nx=1', /^<string>:1: neither/],
    ['[]\nx=1', /^<string>:1: neither/],
    ['[a]\nx=1\nX=2', /^<string>:3: the option x is there already/],
    ['[a]\n[b]\n[a]', /^<string>:3: the section \[a\] is there already/],
  ];
  for (const [text, message] of faulty) {
    it(`${JSON.stringify(text)} is refused, with the line`, () =>
      assert.throws(() => parse(text), { ...CONFIG, message }));
  }

  it('takes nothing over from a faulty text', () => {
    const config = parse('[a]\nx=1');
    assert.throws(() => config.readString('[a]\nx=2\ny\n', 'second.cfg'), { message: /^second\.cfg:3/ });
    assert.equal(config.get('a', 'x'), '1');
  });

  it('a later text adds to the earlier, and wins', () => {
    const config = parse('[a]\nx=1\ny=2');
    config.readString('[a]\nx=3\n[b]\nz=4');
    assert.deepEqual([config.get('a', 'x'), config.get('a', 'y'), config.get('b', 'z')], ['3', '2', '4']);
  });
});

describe('contract 33: defaults never appear as options of a section', () => {
  const config = parse('[DEFAULT]\nBase=/var\n[s]\nown=1\n[t]\nbase=/t', { Timeout: '600', own: '2' });

  it('those of the constructor', () => {
    assert.deepEqual(config.options('s'), ['own']);
    assert.equal(config.hasOption('s', 'timeout'), false);
    assert.equal(config.get('s', 'TIMEOUT'), '600');
    assert.equal(config.getint('s', 'timeout'), 600);
    assert.equal(config.get('s', 'own'), '1');
    assert.equal(config.get('no such section', 'timeout'), '600');
  });

  it('those of [DEFAULT]', () => {
    assert.deepEqual(config.sections(), ['s', 't']);
    assert.equal(config.hasSection('DEFAULT'), false);
    assert.equal(config.hasOption('s', 'base'), false);
    assert.equal(config.get('s', 'base'), '/var');
    assert.equal(config.get('t', 'base'), '/t');
  });

  it('sections and options can be asked for', () => {
    assert.equal(config.hasSection('s'), true);
    assert.equal(config.hasSection('S'), false);
    assert.equal(config.hasOption('s', 'OWN'), true);
    assert.equal(config.hasOption('x', 'own'), false);
    assert.throws(() => config.options('x'), CONFIG);
  });
});

describe('contract 33: values', () => {
  const config = parse(
    `[m]
yes=Yes
on=on
t=TRUE
one=1
no=no
zero=0
off=off
f=false
bad=maybe
num=12
neg=-3
hex=0x10
float=1.5
huge=99999999999999999999
empty=
list=a, b ,,c
networks = 192.168.0.0/16,127.*
  , 10.*
lines = one
  two, three
`,
    { timeout: '600', flag: 'on', l: 'a,b' },
  );

  it('get', () => {
    assert.equal(config.get('m', 'NUM'), '12');
    assert.equal(config.get('m', 'empty'), '');
    assert.equal(config.get('m', 'nope'), null);
    assert.equal(config.get('nope', 'num'), null);
    assert.equal(config.get('m', 'nope', 'fallback'), 'fallback');
    assert.equal(config.get('m', 'nope', 7), 7);
  });

  it('getboolean', () => {
    for (const option of ['yes', 'on', 't', 'one', 'flag'])
      assert.equal(config.getboolean('m', option), true);
    for (const option of ['no', 'zero', 'off', 'f']) assert.equal(config.getboolean('m', option), false);
    for (const option of ['bad', 'num', 'empty', 'nope']) {
      assert.throws(() => config.getboolean('m', option), {
        ...CONFIG,
        message: new RegExp(`^\\[m\\] ${option}: `),
      });
    }
    assert.equal(config.getboolean('m', 'nope', false), false);
    assert.throws(() => config.getboolean('m', 'bad', true), CONFIG);
  });

  it('getint', () => {
    assert.equal(config.getint('m', 'num'), 12);
    assert.equal(config.getint('m', 'neg'), -3);
    for (const option of ['hex', 'float', 'huge', 'bad', 'empty', 'nope']) {
      assert.throws(() => config.getint('m', option), {
        ...CONFIG,
        message: new RegExp(`^\\[m\\] ${option}: `),
      });
    }
    assert.equal(config.getint('m', 'nope', 3), 3);
  });

  it("getdefault and getintdefault have their own default, not the constructor's", () => {
    assert.equal(config.getdefault('m', 'num', 'x'), '12');
    assert.equal(config.getdefault('m', 'timeout', 'x'), 'x');
    assert.equal(config.getdefault('m', 'timeout'), null);
    assert.equal(config.getintdefault('m', 'num', 7), 12);
    assert.equal(config.getintdefault('m', 'timeout', 7), 7);
    assert.equal(config.getintdefault('m', 'timeout'), null);
    assert.throws(() => config.getintdefault('m', 'bad', 7), CONFIG);
  });

  it('getlist', () => {
    assert.deepEqual(config.getlist('m', 'networks'), ['192.168.0.0/16', '127.*', '10.*']);
    assert.deepEqual(config.getlist('m', 'nope'), []);
    assert.deepEqual(config.getlist('nope', 'list'), []);
    assert.deepEqual(config.getlist('m', 'l'), []);
    // in pymilter, empty entries count, and lines do not separate
    assert.deepEqual(config.getlist('m', 'list'), ['a', 'b', 'c']);
    assert.deepEqual(config.getlist('m', 'empty'), []);
    assert.deepEqual(config.getlist('m', 'lines'), ['one', 'two', 'three']);
  });
});

describe('values in values', () => {
  const inSection = (lines: string, defaults = {}) =>
    parse(`[DEFAULT]\nbase=/var\n[s]\n${lines}`, defaults).get('s', 'x');

  it('%(name)s is the value of that option, %% is %', () => {
    assert.equal(inSection('x=%(base)s/log'), '/var/log');
    assert.equal(inSection('x=%(Y)s\ny=%(z)s%%\nz=1'), '1%');
    assert.equal(inSection('x=%(y)s\ny=%%d'), '%d');
    assert.equal(inSection('x=%(t)s', { t: '600' }), '600');
    assert.equal(inSection('x=$y $(y)'), '$y $(y)');
  });

  for (const lines of ['x=%(nope)s', 'x=%z', 'x=100%', 'x=%(y)', 'x=%(x)s', 'x=%(y)s\ny=%(x)s']) {
    it(`${JSON.stringify(lines)} is refused`, () =>
      assert.throws(() => inSection(lines), { ...CONFIG, message: /^\[s\] x: / }));
  }

  it('do not grow without end', () => {
    const lines = Array.from({ length: 8 }, (_, at) => `v${at}=${`%(v${at + 1})s`.repeat(10)}`);
    const text = `x=%(v0)s\n${lines.join('\n')}\nv8=0123456789`;
    assert.throws(() => inSection(text), { ...CONFIG, message: /longer than 1048576/ });
  });
});

describe('contract 33: files', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tsmilter-config-'));
    mkdirSync(join(folder, 'lists'));
    writeFileSync(join(folder, 'lists', 'B.example'), 'Joe bar # not counted\n\n# nor this\n\tbob\n');
    writeFileSync(join(folder, 'lists', 'spam.txt'), 'x@spam.example\ny@spam.example\n');
    writeFileSync(join(folder, 'one.cfg'), '\uFEFF[s]\nx=1\n');
    writeFileSync(join(folder, 'two.cfg'), '[s]\nx=2\n');
    writeFileSync(join(folder, 'bad.cfg'), '[s]\nx\n');
  });
  after(() => rmSync(folder, { recursive: true }));

  it('read answers which files were there', () => {
    const [one, two, none] = ['one.cfg', 'two.cfg', 'none.cfg'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const config = new MilterConfigParser();
    assert.deepEqual(config.read([one, none, two]), [one, two]);
    assert.equal(config.get('s', 'x'), '2');
    assert.deepEqual(config.read(none), []);
    assert.deepEqual(config.read(one), [one]);
    assert.equal(config.get('s', 'x'), '1');
  });

  it('a file that cannot be understood or read is named', () => {
    const config = new MilterConfigParser();
    assert.throws(() => config.read(join(folder, 'bad.cfg')), { ...CONFIG, message: /bad\.cfg:2: / });
    assert.throws(() => config.read(folder), { ...CONFIG, message: /not a regular file/ });
    assert.throws(() => config.read('/dev/zero'), { ...CONFIG, message: /not a regular file/ });
    assert.throws(() => config.read(join(folder, 'one.cfg', 'x')), { code: 'ENOTDIR' });
  });

  it('a file larger than maxFileSize is refused', () => {
    const size = Buffer.byteLength('\uFEFF[s]\nx=1\n');
    const file = join(folder, 'one.cfg');
    assert.deepEqual(new MilterConfigParser({}, { maxFileSize: size }).read(file), [file]);
    assert.throws(() => new MilterConfigParser({}, { maxFileSize: size - 1 }).read(file), {
      ...CONFIG,
      message: /maxFileSize/,
    });
    for (const maxFileSize of [0, -1, Number.NaN]) {
      assert.throws(() => new MilterConfigParser({}, { maxFileSize }), { code: 'ERR_MILTER_BAD_ARGUMENT' });
    }
  });

  const lists = () => `[s]
set1=a@X.com,B@x.com,@y.com,*@z.com,a@x.com
set2=joe@a.example, file:B.example, ann@b.example
set3=file:${join(folder, 'lists', 'B.example')}
set4=local
set5="a@b"@c.example, <d@e.example>
set6=file:none
set7=user@
users=David,goliath , spam,nope
david=David@Foo.com,dy@foo.com
goliath=g@b.com
 , dy@foo.com
spam=file:spam.txt
`;

  it('getaddrset: users by domain', () => {
    const config = parse(lists());
    const dir = join(folder, 'lists');
    const set = (option: string) => Object.fromEntries(config.getaddrset('s', option, dir));
    assert.deepEqual(set('set1'), { 'x.com': ['a', 'B'], 'y.com': [''], 'z.com': ['*'] });
    assert.deepEqual(set('set2'), { 'a.example': ['joe'], 'b.example': ['Joe', 'bar', 'bob', 'ann'] });
    assert.deepEqual(set('set3'), { 'b.example': ['Joe', 'bar', 'bob'] });
    assert.deepEqual(set('set5'), { 'c.example': ['a@b'], 'e.example': ['d'] });
    assert.deepEqual(set('nope'), {});
    for (const option of ['set4', 'set7']) {
      assert.throws(() => set(option), { ...CONFIG, message: /^\[s\] set\d: .* is not user@domain/ });
    }
    assert.throws(() => set('set6'), { code: 'ENOENT' });
  });

  it('getaddrdict: names by address', () => {
    const config = parse(lists(), { nope: 'x@y' });
    const found = config.getaddrdict('s', 'users', join(folder, 'lists'));
    assert.deepEqual(Object.fromEntries(found), {
      'David@Foo.com': 'David',
      'dy@foo.com': 'goliath',
      'g@b.com': 'goliath',
      'x@spam.example': 'spam',
      'y@spam.example': 'spam',
    });
    assert.equal(config.getaddrdict('s', 'none').size, 0);
  });

  it('files without a folder are those of the working directory', () => {
    const file = relative(process.cwd(), join(folder, 'lists', 'spam.txt'));
    const config = parse(`[s]\nusers=a\na=file:${file}`);
    assert.equal(config.getaddrdict('s', 'users').get('x@spam.example'), 'a');
  });

  it('their size is limited too', () => {
    const config = new MilterConfigParser({}, { maxFileSize: 20 });
    config.readString('[s]\nset=file:B.example');
    assert.throws(() => config.getaddrset('s', 'set', join(folder, 'lists')), CONFIG);
  });
});
