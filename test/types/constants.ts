/** Constants are literal types, in both faces. */
import * as Milter from 'tsmilter';
import * as lowlevel from 'tsmilter/lowlevel';
import { check, type Equal } from './equal.js';

check<Equal<typeof Milter.CONTINUE, 0>>();
check<Equal<typeof Milter.REJECT, 1>>();
check<Equal<typeof Milter.DISCARD, 2>>();
check<Equal<typeof Milter.ACCEPT, 3>>();
check<Equal<typeof Milter.TEMPFAIL, 4>>();
check<Equal<typeof Milter.NOREPLY, 7>>();
check<Equal<typeof Milter.SKIP, 8>>();
check<Equal<typeof Milter.ALL_OPTS, 10>>();
check<Equal<typeof Milter.ADDHDRS, 1>>();
check<Equal<typeof Milter.CURR_ACTS, 511>>();
check<Equal<typeof Milter.M_EOH, 6>>();
check<Equal<typeof Milter.P_RCPT_REJ, 0x800>>();
check<Equal<typeof Milter.AF_INET6, 10>>();
check<Equal<typeof Milter.AF_UNSPEC, 0>>();
check<Equal<typeof lowlevel.CONTINUE, 0>>();
check<Equal<typeof lowlevel.P_NR_HDR, 0x80>>();

check<Equal<Milter.DecodePolicy, 'surrogateescape' | 'bytes' | 'strict' | 'ignore' | 'replace'>>();
check<
  Equal<
    Milter.ExceptionPolicy,
    typeof Milter.TEMPFAIL | typeof Milter.REJECT | typeof Milter.CONTINUE | typeof Milter.ACCEPT
  >
>();

/** A literal keeps its type through a variable, so a verdict can be kept in one. */
export function verdictFor(bad: boolean): Milter.Status {
  const verdict = bad ? Milter.REJECT : Milter.CONTINUE;
  check<Equal<typeof verdict, 0 | 1>>();
  // @ts-expect-error 5 is no status
  const wrong: Milter.Status = 5;
  void wrong;
  return verdict;
}

/** The code of an error is one of the words that are documented. */
export function explain(error: Milter.MilterError): string {
  // @ts-expect-error no such code
  if (error.code === 'ERR_MILTER_NONSENSE') return 'never';
  if (error.code === 'EADDRINUSE' || error.code === 'ERR_MILTER_IN_USE') return 'taken';
  // @ts-expect-error the code is read only
  error.code = 'EACCES';
  return new Milter.DisabledAction('progress', 'NONE') instanceof Milter.MilterError ? 'ours' : '';
}

/** Callbacks of the low level are typed by their step. */
export function lowLevel(): void {
  lowlevel.setEnvfromCallback((context, sender, ...params) => {
    check<Equal<typeof sender, string>>();
    check<Equal<typeof params, string[]>>();
    context.setreply('550', '5.7.1', 'no');
    return lowlevel.REJECT;
  });
  lowlevel.setBodyCallback((_context, chunk) => {
    check<Equal<typeof chunk, Buffer>>();
    return lowlevel.SKIP;
  });
  lowlevel.setConnectCallback((_context, _hostname, ...[family, hostaddr]) => {
    if (family === lowlevel.AF_INET) check<Equal<typeof hostaddr, [ip: string, port: number]>>();
    return lowlevel.CONTINUE;
  });
  lowlevel.setHeaderCallback(null);
  // @ts-expect-error a callback is a function or null
  lowlevel.setEomCallback('eom');
  // @ts-expect-error a chunk is no text
  lowlevel.setBodyCallback((_context, chunk: string) => chunk);
}
