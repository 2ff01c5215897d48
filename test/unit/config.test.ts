/** `tsmilter/config`. The expected values are what pymilter's MilterConfigParser answers, except where said. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MilterConfigParser } from '#lib/config/index.js';
import { errorWith } from '../support/expect';

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

describe('references', () => {
  it('are counted, also those to empty values', () => {
    const many = (count: number) =>
      parse(`[s]\nempty=\nmany=${'%(empty)s'.repeat(count)}\nmore=%(many)s%(many)s\n`);
    expect(many(10_000).get('s', 'many')).toBe('');
    expect(many(9998).get('s', 'more')).toBe('');
    for (const [count, option] of [
      [10_001, 'many'],
      [9999, 'more'],
      [100_000, 'more'],
    ] as const) {
      expect(() => many(count).get('s', option)).toThrow(
        errorWith({ ...CONFIG, message: /leads to more than 10000 references/ }),
      );
    }
  });
});

/** @contract 33 */
describe('ini files', () => {
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
    it(JSON.stringify(text), () => expect(valuesOf(text.replace('\uFEFF', ''))).toStrictEqual(expected));
  }

  it("allows names of Object.prototype's properties as section and option names", () => {
    const config = parse('[__proto__]\n__proto__=1\nconstructor=2\n');
    expect(config.sections()).toStrictEqual(['__proto__']);
    expect(config.get('__proto__', '__proto__')).toBe('1');
    expect(config.get('__proto__', 'constructor')).toBe('2');
    expect(config.get('constructor', 'name')).toBeNull();
    expect(config.get('__proto__', 'toString')).toBeNull();
  });

  const faulty: [string, RegExp][] = [
    ['a=1\n', /^<string>:1: .*before the first/],
    ['[a]\nx\n', /^<string>:2: the line is neither/],
    ['[a]\n\n=1\n', /^<string>:3: the line is neither/],
    ['[a\nx=1', /^<string>:1: the line is neither/],
    ['[]\nx=1', /^<string>:1: the line is neither/],
    ['[a]\nx=1\nX=2', /^<string>:3: duplicate option x/],
    ['[a]\n[b]\n[a]', /^<string>:3: duplicate section \[a\]/],
  ];
  for (const [text, message] of faulty) {
    it(`${JSON.stringify(text)} is refused, with the line`, () =>
      expect(() => parse(text)).toThrow(errorWith({ ...CONFIG, message })));
  }

  it('takes nothing from an invalid text', () => {
    const config = parse('[a]\nx=1');
    expect(() => config.readString('[a]\nx=2\ny\n', 'second.cfg')).toThrow(
      errorWith({ message: /^second\.cfg:3/ }),
    );
    expect(config.get('a', 'x')).toBe('1');
  });

  it('adds a later text to the earlier one, whose values it overrides', () => {
    const config = parse('[a]\nx=1\ny=2');
    config.readString('[a]\nx=3\n[b]\nz=4');
    expect([config.get('a', 'x'), config.get('a', 'y'), config.get('b', 'z')]).toStrictEqual(['3', '2', '4']);
  });
});

/** @contract 33 */
describe('defaults never appear as options of a section', () => {
  const config = parse('[DEFAULT]\nBase=/var\n[s]\nown=1\n[t]\nbase=/t', { Timeout: '600', own: '2' });

  it('those given to the constructor', () => {
    expect(config.options('s')).toStrictEqual(['own']);
    expect(config.hasOption('s', 'timeout')).toBe(false);
    expect(config.get('s', 'TIMEOUT')).toBe('600');
    expect(config.getint('s', 'timeout')).toBe(600);
    expect(config.get('s', 'own')).toBe('1');
    expect(config.get('no such section', 'timeout')).toBe('600');
  });

  it('those of [DEFAULT]', () => {
    expect(config.sections()).toStrictEqual(['s', 't']);
    expect(config.hasSection('DEFAULT')).toBe(false);
    expect(config.hasOption('s', 'base')).toBe(false);
    expect(config.get('s', 'base')).toBe('/var');
    expect(config.get('t', 'base')).toBe('/t');
  });

  it('lists sections and options', () => {
    expect(config.hasSection('s')).toBe(true);
    expect(config.hasSection('S')).toBe(false);
    expect(config.hasOption('s', 'OWN')).toBe(true);
    expect(config.hasOption('x', 'own')).toBe(false);
    expect(() => config.options('x')).toThrow(errorWith(CONFIG));
  });
});

/** @contract 33 */
describe('values', () => {
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
    expect(config.get('m', 'NUM')).toBe('12');
    expect(config.get('m', 'empty')).toBe('');
    expect(config.get('m', 'nope')).toBeNull();
    expect(config.get('nope', 'num')).toBeNull();
    expect(config.get('m', 'nope', 'fallback')).toBe('fallback');
    expect(config.get('m', 'nope', 7)).toBe(7);
  });

  it('getboolean', () => {
    for (const option of ['yes', 'on', 't', 'one', 'flag']) expect(config.getboolean('m', option)).toBe(true);
    for (const option of ['no', 'zero', 'off', 'f']) expect(config.getboolean('m', option)).toBe(false);
    for (const option of ['bad', 'num', 'empty', 'nope']) {
      expect(() => config.getboolean('m', option)).toThrow(
        errorWith({
          ...CONFIG,
          message: new RegExp(`^<string>:\\d+: \\[m\\] ${option}: `),
        }),
      );
    }
    expect(config.getboolean('m', 'nope', false)).toBe(false);
    expect(() => config.getboolean('m', 'bad', true)).toThrow(errorWith(CONFIG));
  });

  it('getint', () => {
    expect(config.getint('m', 'num')).toBe(12);
    expect(config.getint('m', 'neg')).toBe(-3);
    for (const option of ['hex', 'float', 'huge', 'bad', 'empty', 'nope']) {
      expect(() => config.getint('m', option)).toThrow(
        errorWith({
          ...CONFIG,
          message: new RegExp(`^<string>:\\d+: \\[m\\] ${option}: `),
        }),
      );
    }
    expect(config.getint('m', 'nope', 3)).toBe(3);
  });

  it("getdefault and getintdefault have their own default, not the constructor's", () => {
    expect(config.getdefault('m', 'num', 'x')).toBe('12');
    expect(config.getdefault('m', 'timeout', 'x')).toBe('x');
    expect(config.getdefault('m', 'timeout')).toBeNull();
    expect(config.getintdefault('m', 'num', 7)).toBe(12);
    expect(config.getintdefault('m', 'timeout', 7)).toBe(7);
    expect(config.getintdefault('m', 'timeout')).toBeNull();
    expect(() => config.getintdefault('m', 'bad', 7)).toThrow(errorWith(CONFIG));
  });

  it('getlist', () => {
    expect(config.getlist('m', 'networks')).toStrictEqual(['192.168.0.0/16', '127.*', '10.*']);
    expect(config.getlist('m', 'nope')).toStrictEqual([]);
    expect(config.getlist('nope', 'list')).toStrictEqual([]);
    expect(config.getlist('m', 'l')).toStrictEqual([]);
    // in pymilter, empty entries count, and lines do not separate
    expect(config.getlist('m', 'list')).toStrictEqual(['a', 'b', 'c']);
    expect(config.getlist('m', 'empty')).toStrictEqual([]);
    expect(config.getlist('m', 'lines')).toStrictEqual(['one', 'two', 'three']);
  });
});

describe('interpolation of values', () => {
  const inSection = (lines: string, defaults = {}) =>
    parse(`[DEFAULT]\nbase=/var\n[s]\n${lines}`, defaults).get('s', 'x');

  it("replaces %(name)s by that option's value, and %% by %", () => {
    expect(inSection('x=%(base)s/log')).toBe('/var/log');
    expect(inSection('x=%(Y)s\ny=%(z)s%%\nz=1')).toBe('1%');
    expect(inSection('x=%(y)s\ny=%%d')).toBe('%d');
    expect(inSection('x=%(t)s', { t: '600' })).toBe('600');
    expect(inSection('x=$y $(y)')).toBe('$y $(y)');
  });

  for (const lines of ['x=%(nope)s', 'x=%z', 'x=100%', 'x=%(y)', 'x=%(x)s', 'x=%(y)s\ny=%(x)s']) {
    it(`${JSON.stringify(lines)} is refused`, () =>
      expect(() => inSection(lines)).toThrow(errorWith({ ...CONFIG, message: /^<string>:4: \[s\] x: / })));
  }

  it('limits how large an interpolated value may grow', () => {
    const lines = Array.from({ length: 8 }, (_, at) => `v${at}=${`%(v${at + 1})s`.repeat(10)}`);
    const text = `x=%(v0)s\n${lines.join('\n')}\nv8=0123456789`;
    expect(() => inSection(text)).toThrow(errorWith({ ...CONFIG, message: /more than 1048576/ }));
  });
});

/** @contract 33 */
describe('files', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tsmilter-config-'));
    mkdirSync(join(folder, 'lists'));
    writeFileSync(join(folder, 'lists', 'B.example'), 'Joe bar # not counted\n\n# nor this\n\tbob\n');
    writeFileSync(join(folder, 'lists', 'spam.txt'), 'x@spam.example\ny@spam.example\n');
    writeFileSync(join(folder, 'one.cfg'), '\uFEFF[s]\nx=1\n');
    writeFileSync(join(folder, 'two.cfg'), '[s]\nx=2\n');
    writeFileSync(join(folder, 'bad.cfg'), '[s]\nx\n');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('read() returns the files that existed', () => {
    const [one, two, none] = ['one.cfg', 'two.cfg', 'none.cfg'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const config = new MilterConfigParser();
    expect(config.read([one, none, two])).toStrictEqual([one, two]);
    expect(config.get('s', 'x')).toBe('2');
    expect(config.read(none)).toStrictEqual([]);
    expect(config.read(one)).toStrictEqual([one]);
    expect(config.get('s', 'x')).toBe('1');
  });

  it('names the file that cannot be read or parsed', () => {
    const config = new MilterConfigParser();
    expect(() => config.read(join(folder, 'bad.cfg'))).toThrow(
      errorWith({ ...CONFIG, message: /bad\.cfg:2: / }),
    );
    expect(() => config.read(folder)).toThrow(errorWith({ ...CONFIG, message: /not a regular file/ }));
    expect(() => config.read('/dev/zero')).toThrow(errorWith({ ...CONFIG, message: /not a regular file/ }));
    expect(() => config.read(join(folder, 'one.cfg', 'x'))).toThrow(errorWith({ code: 'ENOTDIR' }));
  });

  it('rejects a file larger than maxFileSize', () => {
    const size = Buffer.byteLength('\uFEFF[s]\nx=1\n');
    const file = join(folder, 'one.cfg');
    expect(new MilterConfigParser({}, { maxFileSize: size }).read(file)).toStrictEqual([file]);
    expect(() => new MilterConfigParser({}, { maxFileSize: size - 1 }).read(file)).toThrow(
      errorWith({
        ...CONFIG,
        message: /maxFileSize/,
      }),
    );
    for (const maxFileSize of [0, -1, Number.NaN]) {
      expect(() => new MilterConfigParser({}, { maxFileSize })).toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
      );
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
    expect(set('set1')).toStrictEqual({ 'x.com': ['a', 'B'], 'y.com': [''], 'z.com': ['*'] });
    expect(set('set2')).toStrictEqual({ 'a.example': ['joe'], 'b.example': ['Joe', 'bar', 'bob', 'ann'] });
    expect(set('set3')).toStrictEqual({ 'b.example': ['Joe', 'bar', 'bob'] });
    expect(set('set5')).toStrictEqual({ 'c.example': ['a@b'], 'e.example': ['d'] });
    expect(set('nope')).toStrictEqual({});
    for (const option of ['set4', 'set7']) {
      expect(() => set(option)).toThrow(
        errorWith({ ...CONFIG, message: /^<string>:\d+: \[s\] set\d: .* is not user@domain/ }),
      );
    }
    expect(() => set('set6')).toThrow(errorWith({ code: 'ENOENT' }));
  });

  it('getaddrdict: names by address', () => {
    const config = parse(lists(), { nope: 'x@y' });
    const found = config.getaddrdict('s', 'users', join(folder, 'lists'));
    expect(Object.fromEntries(found)).toStrictEqual({
      'David@Foo.com': 'David',
      'dy@foo.com': 'goliath',
      'g@b.com': 'goliath',
      'x@spam.example': 'spam',
      'y@spam.example': 'spam',
    });
    expect(config.getaddrdict('s', 'none').size).toBe(0);
  });

  it('file names without a folder are relative to the working directory', () => {
    const file = relative(process.cwd(), join(folder, 'lists', 'spam.txt'));
    const config = parse(`[s]\nusers=a\na=file:${file}`);
    expect(config.getaddrdict('s', 'users').get('x@spam.example')).toBe('a');
  });

  it('limits the size of these files too', () => {
    const config = new MilterConfigParser({}, { maxFileSize: 20 });
    config.readString('[s]\nset=file:B.example');
    expect(() => config.getaddrset('s', 'set', join(folder, 'lists'))).toThrow(errorWith(CONFIG));
  });
});

describe('names and places', () => {
  const text = '# comment\n[DEFAULT]\nshared = 1\n[one]\nfirst = a,\n  b\n\nsecond: c\n[two]\n';
  const known = new Map([
    ['one', ['first', 'second', 'third']],
    ['two', ['other']],
  ]);

  it('an option has the place of its line; one that is not written that of its default or its section', () => {
    const config = new MilterConfigParser();
    config.readString(text, 'x.cfg');
    config.readString('[one]\nsecond = d\n', 'local.cfg');
    const placeOf = (section: string, option: string) => config.placeOf(section, option);
    expect(placeOf('one', 'FIRST')).toBe('x.cfg:5');
    expect(placeOf('one', 'second')).toBe('local.cfg:2');
    expect(placeOf('one', 'shared')).toBe('x.cfg:3');
    expect(placeOf('one', 'third')).toBe('x.cfg:4');
    expect(placeOf('two', 'other')).toBe('x.cfg:9');
    expect(placeOf('three', 'other')).toBeNull();
  });

  it('known names pass; in [DEFAULT] those of any section, and what values refer to', () => {
    parse(text.replace('shared', 'Other')).checkNames(known);
    parse(`${text}other = %(Shared)s\n`).checkNames(known);
  });

  it.each([
    ['[one]\nfirst = a\n\nfist = b\n', '<string>:4: [one] fist is unknown; did you mean first?'],
    ['[one]\nzzzzzz = b\n', '<string>:2: [one] zzzzzz is unknown; known are first, second, third'],
    ['[DEFAULT]\nfist = b\n[two]\n', '<string>:2: [DEFAULT] fist is unknown; did you mean first?'],
    ['[twoo]\n', '<string>:1: [twoo] is unknown; did you mean two?'],
    ['[__proto__]\n', '<string>:1: [__proto__] is unknown; known are one, two'],
  ])('refuses %j', (wrong, message) => {
    expect(() => parse(wrong).checkNames(known)).toThrow(errorWith({ ...CONFIG, message }));
  });
});
