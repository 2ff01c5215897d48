// The checks that CI runs are worth something only if they fail: each is given a small tree with what it must find.
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectThat } from '../support/expect.js';

const root = path.resolve(__dirname, '..', '..', '..');

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tsmilter-checks-test-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

function tree(files: Record<string, string>): string {
  const top = fs.mkdtempSync(path.join(folder, 'tree-'));
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(top, name)), { recursive: true });
    fs.writeFileSync(path.join(top, name), text);
  }
  return top;
}

function node(script: string, ...args: string[]) {
  const result = spawnSync(process.execPath, [path.join(root, 'scripts', script), ...args], {
    encoding: 'utf8',
  });
  return { ok: result.status === 0, output: result.stdout + result.stderr };
}

describe('check-includes', () => {
  const fine = {
    'addon.cc': '#include "binding/calls.h"\n',
    'binding/napi_setup.h': '#include <napi.h>\n',
    'binding/calls.h': '#include "binding/napi_setup.h"\n#include "bridge/event.h"\n',
    'bridge/event.h': '#include <string>\n',
    'libmilter/runtime.h': '#include "bridge/event.h"\n',
    'libmilter/runtime.cc': '#include "runtime.h"\n#include <libmilter/mfapi.h>\n',
    'tests/event_test.cc': '#include "bridge/event.h"\n',
    'tests/runtime_libmilter_test.cc': '#include "libmilter/runtime.h"\n#include <libmilter/mfapi.h>\n',
  };

  test('accepts a tree that keeps the rule', () => {
    const { ok, output } = node('check-includes.js', tree(fine));
    expectThat(ok, output).toBe(true);
  });

  for (const [what, files, expected] of [
    [
      'libmilter in the binding',
      { 'binding/x.cc': '#include <libmilter/mfapi.h>\n' },
      /binding\/x\.cc:1: .*belong/,
    ],
    [
      'libmilter in the bridge, without a folder',
      { 'bridge/x.cc': '#include <mfdef.h>\n' },
      /bridge\/x\.cc:1/,
    ],
    [
      'libmilter by way of a header',
      {
        'libmilter/runtime.h': '#include <libmilter/mfapi.h>\n',
        'addon.cc': '\n#include "libmilter/runtime.h"\n',
      },
      /native\/addon\.cc:2: libmilter\/mfapi\.h \(by way of libmilter\/runtime\.h\)/,
    ],
    ['a second include site of napi.h', { 'binding/x.cc': '#include <napi.h>\n' }, /the one include site/],
    [
      'napi.h in libmilter',
      { 'libmilter/x.cc': '#include "binding/napi_setup.h"\n' },
      /must not see binding/,
    ],
    ['napi.h in the bridge', { 'bridge/x.h': '  #  include <node_api.h>\n' }, /bridge\/x\.h:1: node_api\.h/],
    [
      'the bridge looking up',
      { 'bridge/x.cc': '#include "libmilter/runtime.h"\n' },
      /bridge must not see libmilter/,
    ],
    [
      'a pure test with libmilter',
      { 'tests/x_test.cc': '#include "libmilter/runtime.h"\n' },
      /must not see libmilter/,
    ],
    ["libuv's headers", { 'binding/x.cc': '#include <uv.h>\n' }, /tie the addon/],
    ["Node's own headers", { 'binding/x.cc': '#include <node.h>\n' }, /tie the addon/],
    ['a folder that nobody knows', { 'extra/x.cc': '' }, /"extra" has no place/],
    [
      'a header that is not there',
      { 'bridge/x.cc': '#include "bridge/gone.h"\n' },
      /is not a file of native/,
    ],
  ] as const) {
    test(`finds ${what}`, () => {
      const { ok, output } = node('check-includes.js', tree({ ...fine, ...files }));
      expectThat(ok, output).toBe(false);
      expect(output).toMatch(expected);
    });
  }
});

describe('check-imports', () => {
  const fine = {
    'index.ts': "export { Base } from './filter/base.js';\nexport * from './addon/constants.js';\n",
    'internal/errors.ts': '',
    'addon/constants.ts': 'export const CONTINUE = 0;\n',
    'addon/steps.ts': "import { CONTINUE } from './constants.js';\n",
    'addon/native.ts':
      "import '../internal/errors.js';\nimport './steps.js';\nrequire('bindings')('tsmilter');\n",
    'session/session.ts': "import type { Addon } from '../addon/native.js';\n",
    'filter/base.ts': "import { Session } from '../session/session.js';\n",
    'runtime/runtime.ts': "import { Session } from '../session/session.js';\n",
    'workers/worker.ts': "import '../filter/base.js';\nimport '../runtime/runtime.js';\n",
    'dns/index.ts': "import '../internal/errors.js';\n",
    'spf/index.ts': "import '../dns/index.js';\nimport '../addon/steps.js';\nimport 'node:net';\n",
    'testing/index.ts': "export * from './wire/frames.js';\nexport * from './simulator/context.js';\n",
    'testing/wire/frames.ts': "import '../../internal/errors.js';\n",
    'testing/simulator/context.ts': "import '../wire/frames.js';\nimport '../../filter/base.js';\n",
  };

  test('accepts a tree that keeps the rule', () => {
    const { ok, output } = node('check-imports.js', tree(fine));
    expectThat(ok, output).toBe(true);
    expect(output).toMatch(/holds in 14 files/);
  });

  for (const [what, files, expected] of [
    [
      'a layer that looks up',
      { 'session/x.ts': "\nimport { runtime } from '../runtime/runtime.js';\n" },
      /lib\/session\/x\.ts:2: \.\.\/runtime\/runtime\.js: session must not import runtime/,
    ],
    [
      'an import of a type alone',
      { 'addon/x.ts': "import type { Session } from '../session/session.js';\n" },
      /addon must not import session/,
    ],
    [
      'what is exported again',
      { 'runtime/x.ts': "export * from '../filter/base.js';\n" },
      /runtime must not import filter/,
    ],
    [
      'an import in the middle of the code',
      { 'filter/x.ts': "const load = () => import('../runtime/runtime.js');\n" },
      /filter must not import runtime/,
    ],
    ['a require', { 'internal/x.ts': "require('../dns/index.js');\n" }, /internal must not import dns/],
    ['a layer that uses a helper', { 'filter/x.ts': "import '../spf/index.js';\n" }, /must not import spf/],
    [
      'a helper that needs the addon',
      { 'dns/x.ts': "import '../addon/native.js';\n" },
      /a helper \(dns\) must not import addon/,
    ],
    [
      'plain data that is not',
      { 'addon/steps.ts': "import '../internal/errors.js';\n" },
      /steps\.ts:1: .*plain data only/,
    ],
    ['a second loader', { 'runtime/x.ts': "require('bindings')('x');\n" }, /only addon\/native\.ts loads/],
    [
      "the wire with the addon's constants",
      { 'testing/wire/x.ts': "import '../../addon/constants.js';\n" },
      /testing\/wire must not import addon/,
    ],
    [
      'testing in use',
      { 'dsn/x.ts': "import '../testing/wire/frames.js';\n" },
      /must not import testing\/wire/,
    ],
    [
      'a circle within a layer',
      { 'session/session.ts': "import './a.js';\n", 'session/a.ts': "import './session.js';\n" },
      /lib\/session\/session\.ts -> lib\/session\/a\.ts -> lib\/session\/session\.ts: a circle/,
    ],
    [
      'a circle of helpers whose files have none',
      { 'dns/x.ts': "import '../spf/y.js';\n", 'spf/y.ts': '' },
      /lib\/dns -> lib\/spf -> lib\/dns: a circle/,
    ],
    ['a file that is not there', { 'filter/x.ts': "import './gone.js';\n" }, /gone\.js is not a file of lib/],
  ] as const) {
    test(`finds ${what}`, () => {
      const { ok, output } = node('check-imports.js', tree({ ...fine, ...files }));
      expectThat(ok, output).toBe(false);
      expect(output).toMatch(expected);
    });
  }
});

describe('check-mfapi', () => {
  const names = Array.from({ length: 20 }, (_, index) => `smfi_call${index}`);
  const header = `
#define SMFI_VERSION 1
# define SMFIS_CONTINUE 0 /* SMFIS_IN_A_COMMENT */
/* #define SMFIP_ 0x4 reserved */
struct smfiDesc { int (*xxfi_eom) SM__P((SMFICTX *)); };
${names.map((name) => `LIBMILTER_API int ${name} __P((SMFICTX *, char *));`).join('\n')}
`;
  const use = `int f() { return SMFI_VERSION + SMFIS_CONTINUE + d.xxfi_eom + MILTER_X + ${names.join('() + ')}(); }\n`;
  const check = (code: string, leftOut: Record<string, string>) => {
    const top = tree({
      'include/mfapi.h': header,
      'include/mfdef.h': '#define MILTER_X 1\n',
      'libmilter/all.cc': code,
      'libmilter/left-out.json': JSON.stringify(leftOut),
    });
    return node('check-mfapi.js', '--header', path.join(top, 'include', 'mfapi.h'), '--native', top);
  };

  test('passes if every function is used', () => {
    const { ok, output } = check(use, {});
    expectThat(ok, output).toBe(true);
    expect(output).toMatch(/Of 24 names .* 24 are bound/);
  });

  test('passes if every unused function has a reason, by name or by prefix', () => {
    const { ok, output } = check(use.replace('SMFI_VERSION', '0').replace('smfi_call7', 'g'), {
      SMFI_VERSION: 'a reason that can be read',
      'smfi_call*': 'another such reason',
    });
    expectThat(ok, output).toBe(true);
    expect(output).toMatch(/22 are bound and 2 left out/);
  });

  for (const name of ['smfi_call7', 'SMFIS_CONTINUE', 'xxfi_eom', 'MILTER_X']) {
    test(`finds that ${name} is missing`, () => {
      const { ok, output } = check(use.replace(name, `/* ${name} */ other`), {});
      expect(ok).toBe(false);
      expect(output).toMatch(new RegExp(`^${name} is neither used`, 'm'));
    });
  }

  test('reports an exception for a used function, and one without a reason', () => {
    const { ok, output } = check(use, { smfi_call3: 'it was left out once', SMFI_OLD: '' });
    expect(ok).toBe(false);
    expect(output).toMatch(/smfi_call3 is used, and yet listed/);
    expect(output).toMatch(/SMFI_OLD in left-out\.json has no reason/);
  });

  test('does not mistake a header of another form for an empty one', () => {
    const top = tree({ 'mfapi.h': '', 'mfdef.h': '', 'libmilter/left-out.json': '{}' });
    const { ok, output } = node('check-mfapi.js', '--header', path.join(top, 'mfapi.h'), '--native', top);
    expect(ok).toBe(false);
    expect(output).toMatch(/form must have changed/);
  });
});

describe('the test runner', () => {
  /** Runs compiled test files in a tree with the runner's own modules; returns what it printed. */
  const run = (files: Record<string, string>) => {
    const top = tree({
      'jest.config.mjs':
        "export default { roots: ['<rootDir>/.build'], transform: {}, testTimeout: 60_000, cacheDirectory: '<rootDir>/.cache' };\n",
      'main.mjs': `
        import { runTestFiles } from './scripts/runner/test-files.mjs';
        import { Tally, conclude } from './scripts/runner/tally.mjs';
        const tally = new Tally('suite');
        await runTestFiles(process.argv.slice(2), { label: 'suite', seconds: 15 }, tally);
        process.exitCode = conclude([tally]);
      `,
      ...Object.fromEntries(
        Object.entries(files).map(([name, text]) => [`.build/test/unit/${name}.test.js`, text]),
      ),
    });
    fs.cpSync(path.join(root, 'scripts/runner'), path.join(top, 'scripts/runner'), { recursive: true });
    fs.symlinkSync(path.join(root, 'node_modules'), path.join(top, 'node_modules'));
    const sources = Object.keys(files).map((name) => `test/unit/${name}.test.ts`);
    const { status, stdout } = spawnSync(process.execPath, [path.join(top, 'main.mjs'), ...sources], {
      encoding: 'utf8',
    });
    return { status, output: stdout, last: stdout.trimEnd().split('\n').at(-1) };
  };

  test('counts tests, not groups, and reports skipped ones as such', () => {
    const { status, output, last } = run({
      a: "test('one', () => {}); describe('group', () => { it('two', () => {}); });",
      b: "test('three', () => {}); test.skip('not now (skipped: why)', () => {});",
    });
    expectThat(last, output).toBe('3 passed, 0 failed, 1 skipped');
    expect(output).toMatch(/not now \(skipped: why\)/);
    expect(status).toBe(0);
  });

  test('fails with the errors of the tests', () => {
    const { status, output, last } = run({
      a: "test('one', () => {}); describe('group', () => { it('two', () => { throw new Error('dear me'); }); });",
      b: `describe('first', () => { beforeAll(() => { throw new Error('too early'); }); it('never', () => {}); });
          describe('last', () => { afterAll(() => { throw new Error('too late'); }); it('before', () => {}); });`,
    });
    expectThat(last, output).toBe('2 passed, 3 failed');
    expect(output).toMatch(/group > two[\s\S]*dear me/);
    expect(output).toMatch(/first > never[\s\S]*too early/);
    expect(output).toMatch(/too late/);
    expect(status).toBe(1);
  });

  for (const [what, text, expected] of [
    ['has no test', '', /must contain at least one test/],
    ['cannot be loaded', "require('./nothing');", /Cannot find module/],
    ['ends the process', "test('leaving', () => process.exit(0));", /exit code 0 during: leaving/],
    [
      'crashes',
      "test('crash', () => new Promise(() => setTimeout(() => process.kill(process.pid, 'SIGSEGV'), 50)));",
      /ended by SIGSEGV during: crash/,
    ],
    ['blocks its thread', "test('block', () => { for (;;); }, 1000);", /no end after 15 s during: block/],
    [
      'does not end after its tests',
      "test('fine', () => { setInterval(() => {}, 1000); });",
      /no end after 15 s/,
    ],
    [
      'leaves a process running',
      "test('fork', () => { require('node:child_process').spawn('sleep', ['60'], { stdio: 'ignore' }).unref(); });",
      /left processes running:\n.*sleep 60/,
    ],
    [
      'loads the addon, and is said not to',
      `test('load', () => { require(${JSON.stringify(path.join(root, 'build/Release/tsmilter.node'))}); });`,
      /loads the addon, unlike addon-files\.mjs says/,
    ],
  ] as const) {
    test(`fails for a file that ${what}`, () => {
      const { status, output, last } = run({ a: text, b: "test('other', () => {});" });
      expect(output).toMatch(expected);
      expectThat(last ?? '', output).toMatch(/^[12] passed, 1 failed$/);
      expect(status).toBe(1);
    });
  }
});

describe('classifying sanitizer reports', () => {
  const leak = (...frames: string[]) =>
    [
      'Direct leak of 8 byte(s) in 1 object(s) allocated from:',
      ...frames.map((frame, i) => `    #${i} 0x7f ${frame}`),
    ].join('\n');
  const NEW = 'in operator new(unsigned long) ../../../../src/libsanitizer/asan/asan_new_delete.cpp:95';
  const MALLOC = 'in __interceptor_malloc ../../../../src/libsanitizer/asan/asan_malloc_linux.cpp:69';
  const VECTOR = 'in std::vector<int>::push_back(int&&) /usr/include/c++/12/bits/stl_vector.h:1294';
  const SESSION = 'in milter::Session::carry(milter::Step) /a/project/native/bridge/session.cc:51';
  const CALL = 'in napi_call_function (/usr/bin/node+0xc4d282)';
  const V8 = 'in v8::internal::Factory::NewMap(int) (/usr/bin/node+0x10d0570)';
  const race = (frame: string) =>
    `WARNING: ThreadSanitizer: data race (pid=1)\n  Write of size 8\n    #0 ${frame}\n`;

  const mutex = (frame: string) =>
    'WARNING: ThreadSanitizer: use of an invalid mutex (e.g. uninitialized or destroyed) (pid=1)\n' +
    `    #0 pthread_mutex_unlock ../../../../src/libsanitizer/x.inc:4 (libtsan.so.2+0x4)\n    #1 ${frame}\n` +
    '    #2 operator() /p/native/libmilter/runtime.cc:58 (concurrent_libmilter_test+0x1)\n';

  const LIBRARY = '(/usr/lib/libmilter.so.1.0.1+0x5853)';
  const [ENGINE, CLEAR, READ, LISTENER] = ['mi_engine', 'mi_clr_ctx', 'mi_rd_cmd', 'mi_listener'].map(
    (name) => `in ${name} ${LIBRARY}`,
  ) as [string, string, string, string];
  const [MAIN, GETSYMVAL] = [`in smfi_main ${LIBRARY}`, `in smfi_getsymval ${LIBRARY}`];
  const RUN_MAIN = 'in milter::Runtime::runMain() /p/native/libmilter/runtime.cc:104';
  const CALLS = 'in milter::LibmilterCalls::getsymval() /p/native/libmilter/calls.cc:26';
  const FREE = 'in __interceptor_free ../../../../src/libsanitizer/asan/asan_malloc_linux.cpp:52';
  /** As AddressSanitizer reports it, with the stack that created the thread, which is ours. */
  const useAfterFree = (used: string[], freed: string[], allocated: string[]) => {
    const stack = (frames: string[]) => frames.map((frame, i) => `    #${i} 0x7f ${frame}`).join('\n');
    return (
      '==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x607 at pc 0x7f bp 0x7f sp 0x7f\n' +
      `READ of size 8 at 0x607 thread T5\n${stack(used)}\n\n` +
      '0x607 is located 16 bytes inside of 72-byte region [0x607,0x64f)\n' +
      `freed by thread T4 here:\n${stack(freed)}\n\n` +
      `previously allocated by thread T2 here:\n${stack(allocated)}\n\n` +
      `Thread T5 created by T2 here:\n${stack(['in pthread_create', 'in operator() /p/native/libmilter/runtime.cc:58'])}\n\n` +
      `SUMMARY: AddressSanitizer: heap-use-after-free ${LIBRARY}\n`
    );
  };

  for (const [what, report, counts] of [
    ['a leak of ours', leak(NEW, SESSION, CALL, V8), true],
    ['a leak of ours by way of the C++ library', leak(NEW, VECTOR, SESSION), true],
    [
      'a leak of ours by way of Node-API',
      leak(NEW, 'in v8impl::Reference::New() (/usr/bin/node+0x1)', SESSION),
      true,
    ],
    [
      'a leak in node-addon-api',
      leak(NEW, 'in Napi::F::New() /p/node_modules/node-addon-api/napi-inl.h:12', V8),
      true,
    ],
    ["a leak of V8's below a call of ours", leak(NEW, V8, CALL, SESSION), false],
    [
      "a leak of libmilter's",
      leak(MALLOC, 'in smfi_setconn (/usr/lib/libmilter.so.1.0.1+0x5853)', SESSION),
      false,
    ],
    [
      'a use after free without stacks',
      '==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x6',
      true,
    ],
    [
      'a use after free wholly inside libmilter',
      useAfterFree([ENGINE], [FREE, CLEAR], [MALLOC, READ]),
      false,
    ],
    [
      'one below smfi_main, which we have called',
      useAfterFree([LISTENER, MAIN, RUN_MAIN], [FREE, CLEAR], [MALLOC, LISTENER, MAIN, RUN_MAIN]),
      false,
    ],
    [
      "libmilter's memory, used in a call of ours",
      useAfterFree([GETSYMVAL, CALLS], [FREE, CLEAR], [MALLOC, READ]),
      true,
    ],
    [
      "libmilter's memory, freed by a call of ours",
      useAfterFree([ENGINE], [FREE, GETSYMVAL, CALLS], [MALLOC, READ]),
      true,
    ],
    [
      'memory of ours, used by libmilter',
      useAfterFree([ENGINE], [FREE, CLEAR], [NEW, SESSION, ENGINE]),
      true,
    ],
    [
      "memory of ours, used after libmilter's callback",
      useAfterFree([SESSION, ENGINE], [FREE, CLEAR], [MALLOC, READ]),
      true,
    ],
    [
      "memory of libmilter's, used elsewhere",
      useAfterFree(['in strlen2 (/lib/libother.so)'], [FREE, CLEAR], [MALLOC, READ]),
      true,
    ],
    ['a trap, wherever', '==1==ERROR: AddressSanitizer: ILL on unknown address 0x7', true],
    [
      'a race of ours',
      race('milter::MessageQueue::put() /p/native/bridge/message_queue.cc:9 (tsmilter.node+0x1)'),
      true,
    ],
    [
      "libmilter's lock that its own end destroys",
      mutex('mi_stop_milters <null> (libmilter.so.1.0.1+0xac29)'),
      false,
    ],
    ["libmilter's lock, destroyed elsewhere", mutex('smfi_setconn <null> (libmilter.so.1.0.1+0xac29)'), true],
    [
      'a destroyed lock of ours',
      mutex('milter::MessageQueue::post() /p/native/bridge/message_queue.cc:9'),
      true,
    ],
    ['a race elsewhere', race('memcpy <null> (libc.so.6+0x1)'), false],
    [
      "libmilter's thread for signals, which nobody joins",
      'WARNING: ThreadSanitizer: thread leak (pid=1)\n  Thread T12 (tid=2, finished) created by thread T11 at:\n' +
        '    #0 pthread_create tsan.cpp:1001 (libtsan.so.2+0x5)\n    #1 mi_control_startup <null> (libmilter.so.1+0xa)\n' +
        '    #2 operator() /p/native/libmilter/runtime.cc:50 (tsmilter.node+0x18b4e)\n',
      false,
    ],
  ] as const) {
    test(`${what}: ${counts ? 'counts' : 'does not count'}`, async () => {
      const script = `
        const { counts } = await import(process.argv[1]);
        process.exit(counts(process.argv[2]) ? 10 : 11);
      `;
      const file = path.join(root, 'scripts/runner/sanitizers.mjs');
      const { status, stderr } = spawnSync(process.execPath, [
        '--input-type=module',
        '-e',
        script,
        file,
        report,
      ]);
      expectThat(status, String(stderr)).toBe(counts ? 10 : 11);
    });
  }
});
