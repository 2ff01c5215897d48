// The checks that CI runs are worth something only if they fail: each is given a small tree with what it must find.
import { spawnSync } from 'node:child_process';
import * as path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';
import { expectThat } from '../support/expect';
import { tree } from './trees';

function node(script: string, ...args: string[]) {
  const result = spawnSync(process.execPath, [path.join(projectRoot, 'scripts', script), ...args], {
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
