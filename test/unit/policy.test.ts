/** tsmilter/policy: what an access map says about a sender. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AccessMap, type AccessMapOptions, MilterError, MTAPolicy } from 'tsmilter/policy';
import { installation, unavailable } from '../../tools/mta/installation';
import { errorWith, expectThat } from '../support/expect';
import { describeUnless, itUnless } from '../support/skip';

const TEXT = `# a comment
SPF-Pass:example.com\tOK

SMTP-Auth:good@example.com      OK
SMTP-Auth:example.com\t\tREJECT
SMTP-Auth:Bad@localhost.localdomain  REJECT
SMTP-Test:\tERROR:5.7.1:"550 go away"
SMTP-Test:.baz.example\tWILDCARD
SMTP-Test:.deep.baz.example DEEP
SMTP-Test:[192.0.2.1]\tLITERAL
Bare DISCARD
`;

/** A sender, a prefix, what the map above says. */
const LOOKUPS: readonly (readonly [sender: string, prefix: string, value: string | null])[] = [
  // the address, then its domain
  ['<good@example.com>', 'SMTP-Auth', 'OK'],
  ['<other@example.com>', 'SMTP-Auth', 'REJECT'],
  ['good@example.com', 'SMTP-Auth', 'OK'],
  // the domain is no pattern for what is below it
  ['<good@sub.example.com>', 'SMTP-Auth', null],
  // .parent domains, the nearest first
  ['<x@a.baz.example>', 'SMTP-Test', 'WILDCARD'],
  ['<x@a.b.c.baz.example>', 'SMTP-Test', 'WILDCARD'],
  ['<x@a.deep.baz.example>', 'SMTP-Test', 'DEEP'],
  ['<x@deep.baz.example>', 'SMTP-Test', 'WILDCARD'],
  // and not the domain itself: the bare prefix
  ['<x@baz.example>', 'SMTP-Test', 'ERROR:5.7.1:"550 go away"'],
  ['<x@xbaz.example>', 'SMTP-Test', 'ERROR:5.7.1:"550 go away"'],
  ['<x@[192.0.2.1]>', 'SMTP-Test', 'LITERAL'],
  ['<x@[192.0.2.baz.example]>', 'SMTP-Test', 'ERROR:5.7.1:"550 go away"'],
  ['<x@elsewhere.example>', 'Bare', 'DISCARD'],
  // the null sender, and one without a domain
  ['<>', 'SMTP-Test', 'ERROR:5.7.1:"550 go away"'],
  ['', 'SMTP-Test', 'ERROR:5.7.1:"550 go away"'],
  ['<>', 'SMTP-Auth', null],
  ['root', 'SMTP-Test', 'ERROR:5.7.1:"550 go away"'],
  // letter case, a final dot, a source route, a separator with the prefix
  ['<BAD@LocalHost.localdomain>', 'smtp-AUTH', 'REJECT'],
  ['<x@example.com.>', 'SPF-Pass', 'OK'],
  ['<@relay.example,@b.example:x@example.com>', 'SPF-Pass', 'OK'],
  ['<"a@b"@example.com>', 'SPF-Pass', 'OK'],
  ['<x@example.com>', 'SPF-Pass:', 'OK'],
  // nothing
  ['<x@example.com>', 'SPF-None', null],
  // longer than any domain: its parents are not looked up
  [`<x@${'a.'.repeat(200)}baz.example>`, 'SMTP-Test', 'ERROR:5.7.1:"550 go away"'],
];

/** Maps and senders that mean the same, in other spellings. */
const SPELLINGS: readonly (readonly [key: string, sender: string])[] = [
  ['mallory@mixed.example', '<"mallory"@mixed.example>'],
  ['mallory@mixed.example', '<"Mall\\ory"@mixed.example>'],
  ['mallory@mixed.example', '<mallory@mixed.example.>'],
  ['mallory@mixed.example', '<mallory@MIXED.example..>'],
  ['mal.lory@mixed.example', '<mal."lory"@mixed.example>'],
  ['"mal@lory"@mixed.example', '<"mal\\@lory"@mixed.example>'],
  ['"mallory"@mixed.example', '<"mallory"@mixed.example>'],
  ['xn--mnchen-3ya.example', '<x@münchen.example>'],
  ['münchen.example', '<x@xn--mnchen-3ya.example>'],
  ['münchen.example', '<x@XN--MNCHEN-3YA.example.>'],
  ['MÜNCHEN.example', '<x@mu\u0308nchen.example>'],
  ['x@xn--mnchen-3ya.example', '<x@münchen.example>'],
  ['x@münchen.example', '<"x"@xn--mnchen-3ya.example>'],
  ['.xn--mnchen-3ya.example', '<x@mail.münchen.example>'],
  ['.münchen.example', '<x@mail.xn--mnchen-3ya.example>'],
  ['.münchen.example', '<x@mail.münchen.example>'],
  ['grün.xn--mnchen-3ya.example', '<x@grün.xn--mnchen-3ya.example>'],
  ['jörg@mixed.example', '<jo\u0308rg@mixed.example>'],
];

describe('spellings of a sender', () => {
  for (const [key, sender] of SPELLINGS) {
    it(`${sender} is found as ${key}`, async () => {
      const map = await textMap(`SPF-Pass:${key}\tREJECT\nSPF-Pass: OK\n`);
      expect(new MTAPolicy(sender, map).getPolicy('SPF-Pass')).toBe('REJECT');
    });
  }

  it('are not others: a quoted address that is no other address, invalid names, look-alikes', async () => {
    const map = await textMap('SPF-Pass:mallory@mixed.example REJECT\nSPF-Pass:mixed.example OK\n');
    for (const sender of [
      '<"mallory "@mixed.example>',
      '<"mall@ory"@mixed.example>',
      '<mällory@mixed.example>',
    ]) {
      expectThat(new MTAPolicy(sender, map).getPolicy('SPF-Pass'), sender).toBe('OK');
    }
    for (const sender of [
      '<mallory@xn--a.example>',
      '<x@-.example>',
      '<x@\udcfc.example>',
      '<@>',
      '<x@>',
      '<x@..>',
    ]) {
      expectThat(new MTAPolicy(sender, map).getPolicy('SPF-Pass'), sender).toBeNull();
    }
  });
});

let dir = '';
const inDir = (name: string) => join(dir, name);
const open: AccessMap[] = [];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'policy-'));
});
afterAll(() => {
  for (const map of open) map.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Opens a file that is looked at only when asked to. */
async function opened(file: string, options: AccessMapOptions = {}): Promise<AccessMap> {
  const map = await AccessMap.open(file, { pollInterval: 0, ...options });
  open.push(map);
  return map;
}

let files = 0;
function fileWith(content: string | Buffer): string {
  const file = inDir(`map${files++}`);
  writeFileSync(file, content);
  return file;
}

const textMap = (content: string | Buffer, options?: AccessMapOptions) => opened(fileWith(content), options);

function looksUp(map: AccessMap): void {
  for (const [sender, asked, value] of LOOKUPS) {
    const prefix = asked.replace(':', map.separator);
    expectThat(new MTAPolicy(sender, map).getPolicy(prefix), `${prefix} ${sender}`).toBe(value);
  }
}

/** Resolves when the map says it was reloaded, or that it cannot be. */
function watching(options: AccessMapOptions = {}) {
  const reloads: string[] = [];
  let told: ((what: string) => void) | undefined;
  const tell = (what: string) => {
    if (told) told(what);
    else reloads.push(what);
    told = undefined;
  };
  const next = () =>
    new Promise<string>((resolve, reject) => {
      const first = reloads.shift();
      if (first !== undefined) return resolve(first);
      const timer = setTimeout(() => reject(new Error('nothing was told within 20 s')), 20_000);
      told = (what) => {
        clearTimeout(timer);
        resolve(what);
      };
    });
  const onReload = (map: AccessMap) => tell(`reloaded ${map.size}`);
  const onError = (error: MilterError) => tell(error.message);
  return { next, reloads, options: { pollInterval: 5, onReload, onError, ...options } };
}

async function fails(action: () => unknown, code: string, message: RegExp): Promise<void> {
  await expect(async () => action()).rejects.toThrow(errorWith({ code, message }, MilterError));
}
const failsToOpen = (file: string, message: RegExp, options?: AccessMapOptions) =>
  fails(() => opened(file, options), 'ERR_MILTER_ACCESS_MAP', message);

/** @contract 34 */
describe('an access map as source text', () => {
  it('is looked up by address, domain, .parent domains and bare prefix', async () =>
    looksUp(await textMap(TEXT)));

  it('may use ! as the separator', async () => {
    const map = await textMap(TEXT.replace(/^([\w-]+):/gm, '$1!'), { separator: '!' });
    expect(map.get('SPF-Pass:example.com')).toBeNull();
    looksUp(map);
  });

  it('may have CRLF line ends, and none on the last line', async () => {
    const map = await textMap('a:x\tOK\r\nb:x\tREJECT');
    expect([map.size, map.get('a:x'), map.get('B:X')]).toStrictEqual([2, 'OK', 'REJECT']);
  });

  it('may have continuation lines, as in Postfix', async () => {
    const map = await textMap('a:x\tERROR\n  # between\n\n  "550 no"\nb:x OK\n');
    expect([map.get('a:x'), map.get('b:x')]).toStrictEqual(['ERROR "550 no"', 'OK']);
  });

  it('escapes bytes that are not UTF-8 as handlers receive them', async () => {
    const map = await textMap(Buffer.from('a:gr\xfc\xdfe@example.com\tOK\n', 'latin1'));
    expect(new MTAPolicy('gr\udcfc\udcdfe@example.com', map).getPolicy('a')).toBe('OK');
  });

  it('may be empty', async () => expect((await textMap('')).size).toBe(0));

  it("does not find names of Object.prototype's properties", async () => {
    const map = await textMap('__proto__:\tOK\n');
    expect([map.get('__proto__'), map.get('constructor'), map.get('__PROTO__:')]).toStrictEqual([
      null,
      null,
      'OK',
    ]);
  });
});

/** @contract 34 */
describeUnless(unavailable(), 'an access map compiled by the MTA', () => {
  let env: Record<string, string> = {};
  let makemap = '';
  let postmap = '';

  beforeAll(() => {
    const { root, libraryPath } = installation();
    makemap = join(root, 'usr/sbin/makemap');
    postmap = join(root, 'usr/sbin/postmap');
    const etc = inDir('postfix');
    mkdirSync(etc);
    // the accounts are those of tools/mta/postfix.ts
    const settings = {
      compatibility_level: '3.6',
      mail_owner: 'news',
      setgid_group: 'uucp',
      queue_directory: etc,
      data_directory: etc,
      meta_directory: etc,
      command_directory: join(root, 'usr/sbin'),
      daemon_directory: join(root, 'usr/lib/postfix/sbin'),
      shlib_directory: join(root, 'usr/lib/postfix'),
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
    writeFileSync(join(etc, 'main.cf'), lines.join(''));
    writeFileSync(join(etc, 'dynamicmaps.cf'), '');
    // A sanitizer watches this process, not the MTA's programs.
    env = { MAIL_CONFIG: etc, LD_LIBRARY_PATH: libraryPath, LD_PRELOAD: '' };
  });

  function run(program: string, args: string[], input = ''): void {
    const { status, stderr } = spawnSync(program, args, {
      input,
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    expectThat(status, stderr).toBe(0);
  }

  function bySendmail(type: string, ...flags: string[]): string {
    const file = inDir(`sendmail-${type}${flags.join('')}.db`);
    run(makemap, ['-C', '/dev/null', ...flags, type, file], TEXT);
    return file;
  }

  function byPostfix(type: string): string {
    const source = inDir(`postfix-${type}`);
    writeFileSync(source, TEXT);
    run(postmap, [`${type}:${source}`]);
    return `${source}.db`;
  }

  for (const type of ['hash', 'btree']) {
    it(`${type}, by makemap`, async () => looksUp(await opened(bySendmail(type), { makemap, env })));
    it(`${type}, by makemap -N, with NULs`, async () => {
      const file = bySendmail(type, '-N');
      expect(readFileSync(file).includes('smtp-test:\0')).toBe(true);
      looksUp(await opened(file, { makemap, env }));
    });
    it(`${type}, by makemap -f, with capitals`, async () => {
      looksUp(await opened(bySendmail(type, '-f'), { makemap, env }));
    });
    it(`${type}, by makemap, read with postmap`, async () => {
      looksUp(await opened(bySendmail(type), { postmap, env }));
    });
    it(`${type}, by postmap, with NULs`, async () =>
      looksUp(await opened(byPostfix(type), { postmap, env })));
    it(`${type}, by postmap, read with makemap`, async () => {
      looksUp(await opened(byPostfix(type), { makemap, env }));
    });
  }

  it('may be empty', async () => {
    const file = inDir('empty.db');
    run(makemap, ['-C', '/dev/null', 'hash', file]);
    expect((await opened(file, { makemap, env })).size).toBe(0);
  });

  it('is reloaded after makemap', async () => {
    const file = inDir('changing.db');
    copyFileSync(bySendmail('hash'), file);
    const { next, options } = watching({ makemap, env });
    const map = await opened(file, options);
    const entries = map.size;
    run(makemap, ['-C', '/dev/null', '-o', 'hash', file], 'New:\tOK\n');
    while (map.get('new:') === null) await next();
    expect(map.size).toBe(entries + 1);
  });

  it('is an error if it is damaged', async () => {
    const file = inDir('damaged.db');
    writeFileSync(file, readFileSync(bySendmail('hash')).subarray(0, 5000));
    await failsToOpen(file, /makemap -C \/dev\/null -u hash \S+damaged: ended with \d+: .+/, {
      makemap,
      env,
    });
    await failsToOpen(file, /postmap -s hash:\S+damaged: ended with 1: .+/, { postmap, env });
  });

  it('is an error if its name lacks the suffix that the programs require', async () => {
    const file = inDir('no-suffix');
    writeFileSync(file, readFileSync(bySendmail('hash')));
    await failsToOpen(file, /its name must end in \.db/, { makemap, env });
  });

  it('says what to install if there is no program to read it', async () => {
    const none = inDir('none');
    const file = bySendmail('hash');
    await failsToOpen(file, /none cannot be run; set the option makemap or postmap/, { makemap: none });
    await failsToOpen(file, /none cannot be run/, { postmap: none });
  });

  const places = ['/usr/sbin', '/usr/libexec/sendmail', '/usr/lib/sendmail', '/usr/local/sbin', '/usr/bin'];
  const installed = (name: string) => places.some((place) => existsSync(join(place, name)));
  const otherMta =
    !installed('makemap') &&
    installed('postmap') &&
    'this machine has a Postfix, whose configuration is not known';
  itUnless(otherMta, 'is found in the usual places', async () => {
    const file = bySendmail('hash');
    if (installed('makemap')) looksUp(await opened(file));
    else await failsToOpen(file, /neither makemap nor postmap was found/);
  });

  it('is subject to the same limits as source text', async () => {
    const file = bySendmail('btree');
    await failsToOpen(file, /more than 3 entries; raise maxEntries/, { makemap, env, maxEntries: 3 });
    await failsToOpen(file, /more than 50 bytes; raise maxBytes/, { makemap, env, maxBytes: 50 });
    await failsToOpen(file, /longer than 30 bytes/, { makemap, env, maxLineLength: 30 });
  });
});

describe("the MTA's program", () => {
  function program(text: string): string {
    const file = fileWith(`#!/bin/sh\n${text}\n`);
    chmodSync(file, 0o755);
    return file;
  }

  /** Begins as a Berkeley DB hash does. */
  function database(order: 'LE' | 'BE' = 'LE'): string {
    const head = Buffer.alloc(64);
    if (order === 'LE') head.writeUInt32LE(0x061561, 12);
    else head.writeUInt32BE(0x061561, 12);
    const file = `${fileWith('')}.db`;
    writeFileSync(file, head);
    return file;
  }

  it('is killed if it takes too long', async () => {
    const makemap = program('exec sleep 600');
    await failsToOpen(database(), /took longer than 50 ms/, { makemap, programTimeout: 50 });
  });

  it('is killed if its output is endless', async () => {
    const pidFile = inDir('endless.pid');
    const makemap = program(`echo $$ >${pidFile}; while :; do echo 'a:b\tOK'; done`);
    await failsToOpen(database(), /more than 1000 bytes/, { makemap, maxBytes: 1000 });
    const pid = Number(readFileSync(pidFile, 'utf8'));
    // killed, but perhaps not reaped yet
    const deadline = Date.now() + 20_000;
    while (existsSync(`/proc/${pid}`) && Date.now() < deadline) await new Promise(setImmediate);
    expectThat(existsSync(`/proc/${pid}`), 'it still runs').toBe(false);
  });

  it('can write much to stderr when it fails', async () => {
    const makemap = program('i=0; while [ $i -lt 3000 ]; do echo complaint >&2; i=$((i+1)); done; exit 3');
    await fails(
      () => opened(database('BE'), { makemap }),
      'ERR_MILTER_ACCESS_MAP',
      /^.{0,200}: ended with 3: (complaint\n){400,410}compla/,
    );
  });

  it('must print pairs', async () => {
    await failsToOpen(database(), /entry 1 has no value/, { makemap: program('echo hello') });
  });

  it('may print NULs', async () => {
    const map = await opened(database(), { makemap: program(String.raw`printf 'a:b\0\tOK\0\n'`) });
    expect(map.get('a:b')).toBe('OK');
  });

  it('is an error if it cannot be started', async () => {
    const makemap = inDir('not-a-program');
    writeFileSync(makemap, '#!/nowhere/at/all\n', { mode: 0o755 });
    await failsToOpen(database(), /ENOENT/, { makemap });
  });

  it('is postmap for lmdb', async () => {
    const file = inDir('map.lmdb');
    const head = Buffer.alloc(64);
    head.writeUInt32LE(0xbeefc0de, 16);
    writeFileSync(file, head);
    const postmap = program(`[ "$1" = -s ] && [ "$2" = "lmdb:${inDir('map')}" ] && printf 'a:b\\tOK\\n'`);
    const makemap = program('exit 1');
    expect((await opened(file, { makemap, postmap })).get('a:b')).toBe('OK');
    await failsToOpen(file, /neither makemap nor postmap was found|cannot be run/, { makemap });
  });
});

describe('an access map whose file changes', () => {
  it('is reloaded when another file replaces it', async () => {
    const file = fileWith('a:\tOLD\n');
    const { next, options } = watching();
    const map = await opened(file, options);
    const before = statSync(file);
    writeFileSync(`${file}.new`, 'a:\tNEW\n');
    renameSync(`${file}.new`, file);
    expect(statSync(file).ino).not.toBe(before.ino);
    expect(await next()).toBe('reloaded 1');
    expect(map.get('a:')).toBe('NEW');
  });

  it('is reloaded when the file is overwritten', async () => {
    const file = fileWith('a:\tOLD\n');
    const { next, options } = watching();
    const map = await opened(file, options);
    writeFileSync(file, 'a:\tNEWER\n');
    // it may be seen empty in between
    let last = await next();
    while (last !== 'reloaded 1') last = await next();
    expect(map.get('a:')).toBe('NEWER');
  });

  it('is kept if the new version is invalid, which is reported once', async () => {
    const file = fileWith('a:\tOLD\n');
    const { next, reloads, options } = watching();
    const map = await opened(file, options);
    const replace = (text: string) => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    replace('broken\n');
    expect(await next()).toMatch(/line 1: "broken" has no value/);
    expect(map.get('a:')).toBe('OLD');
    await fails(() => map.reload(), 'ERR_MILTER_ACCESS_MAP', /has no value/);
    replace('broken\n');
    expect(await next()).toMatch(/line 1: "broken" has no value/);
    replace('a:\tNEW\n');
    expect(await next()).toBe('reloaded 1');
    expect([map.get('a:'), reloads]).toStrictEqual(['NEW', []]);
  });

  it('is kept while the file is missing, and reloaded when it is back', async () => {
    const file = fileWith('a:\tOLD\n');
    const { next, options } = watching();
    const map = await opened(file, options);
    renameSync(file, `${file}.away`);
    expect(await next()).toMatch(/ENOENT/);
    expect(map.get('a:')).toBe('OLD');
    renameSync(`${file}.away`, file);
    writeFileSync(`${file}.new`, 'a:\tNEW\n');
    renameSync(`${file}.new`, file);
    while (map.get('a:') !== 'NEW') await next();
  });

  it('is reloaded on request', async () => {
    const file = fileWith('a:\tOLD\n');
    const map = await opened(file);
    expect(await map.reload()).toBe(false);
    writeFileSync(file, 'a:\tNEWER\n');
    expect(await Promise.all([map.reload(), map.reload()])).toStrictEqual([true, true]);
    expect(map.get('a:')).toBe('NEWER');
  });

  it('is not polled after close, but can still be queried', async () => {
    const file = fileWith('a:\tOLD\n');
    const { reloads, options } = watching();
    const map = await opened(file, { ...options, pollInterval: 1 });
    map[Symbol.dispose]();
    writeFileSync(file, 'a:\tNEWER\n');
    for (let turn = 0; turn < 50; turn++) await statLater(file);
    expect([map.get('a:'), reloads]).toStrictEqual(['OLD', []]);
  });

  /** As much of a pause as a look at the file takes. */
  const statLater = (file: string) => new Promise((resolve) => setTimeout(() => resolve(statSync(file)), 1));

  it('survives hooks that throw', async () => {
    const file = fileWith('a:\tOLD\n');
    let calls = 0;
    let done: () => void = () => {};
    const called = new Promise<void>((resolve) => {
      done = resolve;
    });
    await opened(file, {
      pollInterval: 5,
      onReload: () => {
        throw new Error('from onReload');
      },
      onError: (error) => {
        calls++;
        expect((error.cause as Error).message).toBe('from onReload');
        done();
        throw new Error('from onError');
      },
    });
    writeFileSync(`${file}.new`, 'a:\tNEW\n');
    renameSync(`${file}.new`, file);
    await called;
    expect(calls).toBe(1);
  });

  it('reports to stderr without a listener', () => {
    const file = fileWith('a:\tOLD\n');
    const program = `
      const { AccessMap } = require('tsmilter/policy');
      const { writeFileSync, renameSync } = require('node:fs');
      const file = ${JSON.stringify(file)};
      const keep = setInterval(() => {}, 1000);
      process.stderr.write = (text) => { process.stdout.write('told: ' + text); clearInterval(keep); return true; };
      AccessMap.open(file, { pollInterval: 5 }).then(() => {
        writeFileSync(file + '.new', 'broken\\n');
        renameSync(file + '.new', file);
      });
    `;
    const root = dirname(require.resolve('tsmilter/package.json'));
    const { stdout, status } = spawnSync(process.execPath, ['-e', program], {
      cwd: root,
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^told: tsmilter\/policy: access map .*"broken" has no value; the old entries stay in use\n$/,
    );
  });

  it('is an error if it changes all the time', async () => {
    const file = `${fileWith('')}.db`;
    const head = Buffer.alloc(64);
    head.writeUInt32LE(0x061561, 12);
    writeFileSync(file, head);
    const makemap = fileWith(`#!/bin/sh\nprintf x >>${file}\n`);
    chmodSync(makemap, 0o755);
    await failsToOpen(file, /changed during each of 5 attempts to read it/, { makemap });
  });
});

describe('access maps that cannot be read', () => {
  const TEXTS: readonly (readonly [text: string, message: RegExp, options?: AccessMapOptions])[] = [
    ['a:x OK\n\n\nb:x\n', /line 4: "b:x" has no value/],
    ['b:x \t \n', /line 1: "b:x" has no value/],
    ['  a:x OK\n', /line 1 begins with a blank/],
    ['a:x OK\nA:X REJECT\n', /line 2: duplicate key "A:X"/],
    [`a:x OK\n${' '.repeat(600)}\0\n`, /line 1 contains a NUL|line 2 contains a NUL/],
    ['\0\0\0\0', /is neither text nor a hash, btree or lmdb database/],
    ['a:x OK\nb:x OK\nc:x OK\n', /more than 2 entries; raise maxEntries/, { maxEntries: 2 }],
    ['a:x OK\nb:x OK\n', /more than 13 bytes; raise maxBytes/, { maxBytes: 13 }],
    ['a:x OK\nb:x REJECT\n', /line 2 is longer than 8 bytes/, { maxLineLength: 8 }],
    ['a:x OK\nb:x REJECT', /line 2 is longer than 8 bytes/, { maxLineLength: 8 }],
    [`a:x ${'y'.repeat(200_000)}`, /line 1 is longer than 8192 bytes/],
  ];
  for (const [text, message, options] of TEXTS) {
    it(`${JSON.stringify(text.slice(0, 30))} ${JSON.stringify(options ?? {})}`, async () => {
      await failsToOpen(fileWith(text), message, options);
    });
  }

  it('can be read at the limits', async () => {
    const limits = { maxEntries: 2, maxBytes: 14, maxLineLength: 6 };
    expect((await textMap('a:x OK\nb:x OK\n', limits)).size).toBe(2);
    // a line, and chunks, of any length below the limits
    const long = `a:x ${'y'.repeat(200_000)}`;
    expect((await textMap(long, { maxLineLength: 200_004 })).get('a:x')?.length).toBe(200_000);
  });

  it('a missing file, a directory, a pipe', async () => {
    await failsToOpen(inDir('missing'), /cannot be read: ENOENT/);
    await failsToOpen(dir, /is not a regular file/);
    const pipe = inDir('pipe');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    await failsToOpen(pipe, /is not a regular file/);
  });

  it('a file that disappears while it is read', async () => {
    const file = `${fileWith('')}.db`;
    writeFileSync(file, 'x');
    const makemap = fileWith(`#!/bin/sh\nrm ${file}\n`);
    chmodSync(makemap, 0o755);
    await failsToOpen(file, /cannot be read: ENOENT/, { type: 'hash', makemap });
  });

  it('with an explicit type, a text file is read as text whatever its first bytes', async () => {
    await failsToOpen(fileWith('a\0b c\n'), /line 1 contains a NUL, so this is not a text file/, {
      type: 'text',
    });
  });
});

describe('arguments', () => {
  const bad = (action: () => unknown, message: RegExp) => fails(action, 'ERR_MILTER_BAD_ARGUMENT', message);

  it('of AccessMap.open', async () => {
    const file = fileWith('');
    await bad(() => opened(''), /AccessMap: file must not be empty/);
    await bad(() => opened(file, { type: 'cdb' as 'text' }), /type must be/);
    await bad(() => opened(file, { separator: '/' as ':' }), /separator must be ':' or '!'/);
    await bad(() => opened(file, { pollInterval: -1 }), /pollInterval/);
    await bad(() => opened(file, { programTimeout: 0 }), /programTimeout/);
    await bad(() => opened(file, { maxBytes: 0 }), /maxBytes/);
    await bad(() => opened(file, { maxLineLength: 0.5 }), /maxLineLength/);
    await bad(() => opened(file, { maxEntries: 0 }), /maxEntries/);
    await bad(() => opened(file, { onReload: 1 as unknown as () => void }), /onReload/);
    await bad(() => opened(file, { onError: 1 as unknown as () => void }), /onError/);
  });

  it('of MTAPolicy', async () => {
    const map = await textMap('');
    await bad(() => new MTAPolicy(null as unknown as string, map), /sender must be a string/);
    await bad(() => new MTAPolicy('a\0b', map), /NUL/);
    await bad(() => new MTAPolicy('a', map).getPolicy(''), /prefix must not be empty/);
  });
});
