/**
 * Running Node with an addon that a sanitizer watches. Node itself is not instrumented: the sanitizer's library is
 * preloaded, sees every allocation and lock of the process, and writes its reports to files, one per process. These
 * are judged here afterwards, so that no report is lost in a child's output.
 *
 * There are no suppressions. Suppressing leaks "of Node" would hide our own, since every call of ours comes from a
 * function of Node's and suppressions match any line of a stack. Instead a leak counts when our code allocated it, by
 * itself or through Node-API, and a race when our code is in one of its stacks. Any other report of AddressSanitizer
 * counts, unless it is about memory that libmilter alone has allocated, freed and used; undefined behaviour is one of
 * them, because it traps (native/CMakeLists.txt).
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { logs, root, run, tail } from './processes.mjs';

/**
 * Lines of stacks in our code. The addon is never unloaded (binding.gyp: nodelete), so they can always be told.
 * "unknown module" is code that V8 has compiled.
 */
const OURS =
  /tsmilter\.node|canary\.node|\/native\/(?:addon|bridge|libmilter|binding|tests)\b|\/canary\.cc|\/napi(?:-inl)?\.h/;

/** Lines of stacks that act for their callers: the sanitizer, the C++ library, Node-API. */
const ON_BEHALF =
  /\/libsanitizer\/|\/include\/c\+\+\/|libstdc\+\+|libc\.so| in (?:v8impl::|napi_|node_napi_env__)/;

/** libmilter never joins its thread for signals. */
const LIBMILTER_THREAD = /thread leak[\s\S]*#0 pthread_create .*\n\s*#1 mi_control_startup /;

/** How many reports of a suite are printed whole. */
const PRINTED = 10;

/** The path of one of the compiler's libraries. */
function libraryOf(name) {
  const compiler = process.env.CXX?.split(' ')[0] ?? 'g++';
  const file = execFileSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
  if (!path.isAbsolute(file)) throw new Error(`${compiler} has no ${name}`);
  return fs.realpathSync(file);
}

function options(settings) {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(':');
}

/**
 * The environment in which Node runs under a sanitizer.
 *
 * @param {'asan' | 'tsan'} kind
 * @param {string} reports prefix of the files that receive the reports
 */
export function environmentFor(kind, reports) {
  const common = { log_path: reports, symbolize: 1 };
  const addon = path.join(root, 'build', kind, 'tsmilter.node');
  if (kind === 'tsan') {
    return {
      MILTER_ADDON: addon,
      MILTER_SANITIZER: kind,
      LD_PRELOAD: libraryOf('libtsan.so'),
      // Node is not instrumented: only its locks are seen, and its own accesses say nothing. Exit codes stay the
      // program's own, the reports are judged afterwards.
      TSAN_OPTIONS: options({
        ...common,
        ignore_noninstrumented_modules: 1,
        second_deadlock_stack: 1,
        history_size: 4,
        exitcode: 0,
        // Tests measure how fast a filter ends; the default of a second at exit would be all they see.
        atexit_sleep_ms: 50,
      }),
    };
  }
  return {
    MILTER_ADDON: addon,
    MILTER_SANITIZER: kind,
    LD_PRELOAD: libraryOf('libasan.so'),
    ASAN_OPTIONS: options({
      ...common,
      detect_leaks: 1,
      detect_stack_use_after_return: 1,
      check_initialization_order: 1,
      strict_string_checks: 1,
      allow_user_segv_handler: 1,
      handle_sigill: 1,
      // For each frame in code that V8 has compiled, the search for leaks at exit reads /proc/self/maps some 30 times.
      // Such frames lie deep in the stacks of what Node leaks by the hundred in a process that calls exit: with all 30
      // frames that took it 4 s on an idle machine. What is judged (doerOf, upToEntry) lies at the top.
      malloc_context_size: 12,
      exitcode: 99,
    }),
    // A leak of Node's must not change an exit code that a test looks at.
    LSAN_OPTIONS: options({ exitcode: 0 }),
  };
}

/** The line of a stack that wanted what was done: the memory, the access. */
function doerOf(stack) {
  const lines = stack.split('\n').filter((line) => /^\s*#\d+ /.test(line));
  return lines.find((line) => !ON_BEHALF.test(line)) ?? '';
}

/**
 * A race of libmilter with itself: both accesses are its own, whatever made the threads. Or the lock under which smfi_stop
 * closes the listening socket: the listener destroys it when it ends, which it does as soon as smfi_stop has set its flag.
 * No caller comes in between, and glibc does not destroy a lock that is held.
 */
function isLibmilters(race) {
  if (/use of an invalid mutex/.test(race)) return /mi_stop_milters .*libmilter\.so/.test(doerOf(race));
  const accesses = race.split(/\n\s*\n/).filter((part) => /(?:read|write|Read|Write) of size/.test(part));
  return accesses.length > 0 && accesses.every((part) => /libmilter\.so/.test(doerOf(part)));
}

/** Where libmilter begins in a stack of one of our threads: what is below has only started it. */
const ENTRY_OF_LIBMILTER = / in smfi_(?:main|stop) /;

/** The lines of a stack from the place of the error down to where libmilter was started. */
function upToEntry(stack) {
  const frames = stack.split('\n').filter((line) => /^\s*#\d+ /.test(line));
  const entry = frames.findIndex((line) => ENTRY_OF_LIBMILTER.test(line));
  return entry < 0 ? frames : frames.slice(0, entry);
}

/**
 * An error of libmilter's own with memory of its own: in each stack (the use, the freeing, the allocation) it is libmilter that
 * acted, and nothing of ours had called it. What only says where a thread was created does not matter.
 */
function isLibmiltersMemory(report) {
  if (!/AddressSanitizer: (?:heap-use-after-free|heap-buffer-overflow|attempting double-free)/.test(report))
    return false;
  const stacks = report
    .split(/\n\s*\n|\n(?=(?:freed|previously allocated|allocated) by thread)/)
    .filter((part) => /^\s*#0 /m.test(part) && !/^Thread T\d+ .*created by/m.test(part));
  return (
    stacks.length >= 2 &&
    stacks.every(
      (stack) => /libmilter\.so/.test(doerOf(stack)) && !upToEntry(stack).some((line) => OURS.test(line)),
    )
  );
}

/** Whether a report (one paragraph, or one of ThreadSanitizer's boxes) is about us. */
export function counts(report) {
  if (isLibmiltersMemory(report)) return false;
  if (/ERROR: AddressSanitizer|Sanitizer: CHECK failed/.test(report)) return true;
  if (LIBMILTER_THREAD.test(report)) return false;
  if (/(?:Direct|Indirect) leak of/.test(report)) return OURS.test(doerOf(report));
  if (/WARNING: ThreadSanitizer/.test(report)) return OURS.test(report) && !isLibmilters(report);
  if (/FATAL: ThreadSanitizer|LeakSanitizer has encountered a fatal error/.test(report)) return true;
  return false;
}

/** Splits one process's file into its reports. */
function split(text) {
  if (text.includes('ThreadSanitizer')) return text.split(/^={18,}$/m);
  if (/ERROR: AddressSanitizer/.test(text)) return [text];
  return text.split(/\n\s*\n/);
}

/** The reports about us among the files with the given prefix, each once. */
function reportsIn(prefix) {
  const folder = path.dirname(prefix);
  const files = fs.existsSync(folder)
    ? fs.readdirSync(folder).filter((name) => name.startsWith(`${path.basename(prefix)}.`))
    : [];
  const seen = new Map();
  for (const name of files) {
    for (const report of split(fs.readFileSync(path.join(folder, name), 'utf8'))) {
      if (!counts(report)) continue;
      // The same place reported by another process differs in addresses and numbers only.
      const key = report.replace(/0x[0-9a-f]+|==\d+==|\d+ byte\(s\)|\d+ object\(s\)|pid=\d+|T\d+/g, '');
      if (!seen.has(key)) seen.set(key, report.trim());
    }
  }
  return [...seen.values()];
}

/** Removes the reports of an earlier run; returns the prefix for the new ones. */
export function freshReports(kind, name) {
  const folder = path.join(logs, `${kind}-reports`, name);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  fs.chmodSync(folder, 0o777); // some tests run filters as an ordinary user
  return path.join(folder, 'report');
}

/** Counts each report about us as a failure, and their absence as one passed test. */
export function judge(kind, prefix, tally) {
  const reports = reportsIn(prefix);
  reports.forEach((report, index) => {
    const text =
      index < PRINTED ? report : `${report.split('\n', 1)[0]} … see ${path.relative(root, prefix)}.*`;
    tally.fail(`${kind} report`, text.replace(/^/gm, '      '));
  });
  if (reports.length === 0) tally.step(`${kind}: no report about the addon`, true);
}

/**
 * The control: an addon that does wrong on purpose must be reported, in each way that matters, or the sanitizer's
 * silence afterwards would prove nothing.
 */
export async function checkCanary(kind, tally) {
  const deeds =
    kind === 'tsan'
      ? { race: 'a race' }
      : { leak: 'a leak', useAfterFree: 'a use after free', overflow: 'an overflow' };
  const addon = path.join(root, 'build', kind, 'canary.node');
  for (const [deed, name] of Object.entries(deeds)) {
    const prefix = freshReports(kind, `canary-${deed}`);
    const log = path.join(logs, kind, `canary-${deed}.log`);
    await run([process.execPath, '-e', `require(${JSON.stringify(addon)}).${deed}()`], {
      log,
      env: { ...process.env, ...environmentFor(kind, prefix) },
      seconds: 60,
    });
    tally.step(`${kind} sees ${name}`, reportsIn(prefix).length > 0, tail(log));
  }
}
