/** Addons that were built for another Node.js or machine: real files, refused at once with the command that builds them again. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { projectRoot } from '../../tools/project-root.js';

describe('an addon that was built for another Node.js', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsmilter-build-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  /** Compiles C into a shared library in the directory, and returns its path. */
  function build(name: string, source: string, ...options: string[]): string {
    const file = join(directory, name);
    writeFileSync(`${file}.c`, source);
    // The sanitizer's library is for Node, not for the compiler.
    const env = { ...process.env, LD_PRELOAD: '' };
    execFileSync('cc', ['-shared', '-fPIC', '-o', file, `${file}.c`, ...options], { env });
    return file;
  }

  /** What a start with that addon prints: the code and the message of its error. */
  function start(addon: string): string {
    const script = `
      const Milter = require('tsmilter');
      Milter.runmilter('other', 'unix:/nonexistent/sock', { factory: Milter.Base })
        .catch((error) => console.log(error.code, error.message));`;
    const { stdout, stderr, signal } = spawnSync(process.execPath, ['-e', script], {
      cwd: projectRoot,
      env: { ...process.env, MILTER_ADDON: addon },
      encoding: 'utf8',
    });
    return `${stdout}${stderr}${signal ?? ''}`;
  }

  /** The message, from its code to the command. */
  const refused = (why: string) =>
    new RegExp(
      `^ERR_MILTER_ADDON_MISMATCH the native part of tsmilter was built for another Node\\.js .*` +
        `\\(Node\\.js ${process.versions.node}, ${process.platform} ${process.arch}\\): .*${why}.*run \`npm rebuild tsmilter\`\\n$`,
    );

  it('linked with the library of another Node, whether or not that is there: it is not even loaded', () => {
    const second = '__attribute__((constructor)) void second(void) { puts("a second Node"); }';
    const library = build('libnode.so.999', `#include <stdio.h>\n${second}`, '-Wl,-soname,libnode.so.999');
    const addon = build(
      'linked.node',
      'void napi_register_module_v1(void) {}',
      '-Wl,--no-as-needed',
      library,
      `-Wl,-rpath,${directory}`,
    );
    expect(start(addon)).toMatch(refused('libnode\\.so\\.999'));
    unlinkSync(library);
    expect(start(addon)).toMatch(refused('libnode\\.so\\.999'));
  });

  it.each(['napi_of_the_future', 'node_api_of_the_future', '_ZN2v87Isolate5GoneEv', '_ZN4node4GoneEv'])(
    'with a function that this Node lacks: %s',
    (symbol) => {
      const source = `void ${symbol}(void); void napi_register_module_v1(void) { ${symbol}(); }`;
      expect(start(build('symbol.node', source, '-Wl,-z,now'))).toMatch(refused(symbol));
    },
  );

  it('of the kind that is bound to one version of Node', () => {
    const source = `
      struct module { int version; unsigned flags; void *handle; const char *file; void *init, *context; const char *name; void *data, *next; };
      static void init(void) {}
      static struct module module = { .version = 64, .file = __FILE__, .init = init, .name = "tsmilter" };
      void node_module_register(void *);
      __attribute__((constructor)) void start(void) { node_module_register(&module); }`;
    expect(start(build('version.node', source))).toMatch(refused('different Node\\.js version'));
  });

  it('that is not a program of this machine', () => {
    const file = join(directory, 'text.node');
    writeFileSync(file, 'a program for another kind of machine\n'.repeat(100));
    expect(start(file)).toMatch(refused('(?:ELF|architecture|format)'));
  });

  it('a function that libmilter lacks is another fault', () => {
    const source =
      'void smfi_of_the_future(void); void napi_register_module_v1(void) { smfi_of_the_future(); }';
    const told = start(build('milter.node', source, '-Wl,-z,now'));
    expect(told).toMatch(
      /^ERR_MILTER_ADDON the native part of tsmilter cannot be loaded: install libmilter-dev /,
    );
  });

  it('an addon that is not there is another fault', () => {
    expect(start(join(directory, 'none.node'))).toMatch(
      /^ERR_MILTER_ADDON the native part .* cannot be loaded/,
    );
  });
});
