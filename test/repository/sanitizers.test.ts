/** Which reports of the sanitizers count (scripts/runner/sanitizers.mjs): those about our code. */
import { spawnSync } from 'node:child_process';
import * as path from 'node:path';
import { describe, test } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';
import { expectThat } from '../support/expect';

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
      const file = path.join(projectRoot, 'scripts/runner/sanitizers.mjs');
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
