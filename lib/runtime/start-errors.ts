/** The errors of starting a filter, each with advice on what to do. */
import { StartResult } from '../addon/kinds.js';
import { MilterError, type MilterErrorCode } from '../internal/errors.js';

const ADVICE: Partial<Record<MilterErrorCode, (about: string) => string>> = {
  EADDRINUSE: (about) =>
    `${about} is in use: another filter (or an earlier start of this one) has it; stop that, or choose another socket`,
  EADDRNOTAVAIL: (about) =>
    `${about}: this machine has no such address; use one of its own, or leave the host out`,
  EACCES: (about) =>
    `${about}: permission denied; give the filter's user write permission on the directory, or use a port above 1023`,
  EROFS: (about) =>
    `${about}: the file system is read-only; choose another directory, or make this one writable ` +
    '(systemd: ReadWritePaths= or RuntimeDirectory=)',
  ENOENT: (about) => `${about}: the directory does not exist; create it (systemd: RuntimeDirectory=)`,
  ENOTDIR: (about) => `${about}: a part of the path is not a directory`,
  ENOTSOCK: (about) =>
    about.startsWith('fd:')
      ? `${about} is no listening socket; hand over one that listens (systemd: a .socket unit)`
      : `${about} is not a socket; move it away, or choose another path`,
  ERR_MILTER_SOCKET_REPLACED: (about) =>
    `${about}: another process has put something else in the place of the socket while it was opened; choose a directory that ` +
    'no other user can write to',
  EMFILE: (about) =>
    `${about}: this process has too many open descriptors; raise its limit (ulimit -n, systemd: LimitNOFILE=)`,
  ENFILE: (about) => `${about}: the system has too many open files (Linux: fs.file-max)`,
  ENAMETOOLONG: (about) => `${about}: the path of a unix socket must be shorter than 107 bytes`,
  EBADF: (about) =>
    `${about}: no such open descriptor; start the filter by socket activation, or name a socket`,
  ENOTFOUND: (about) => `${about}: unknown host or service name`,
  EPERM: (about) =>
    `${about}: not permitted; only root can choose any owner and group, other users must be in the socket's group`,
  ERR_MILTER_UNKNOWN_ACCOUNT: (about) =>
    `${about}: the system does not know that name; correct it, or create the account`,
  ERR_MILTER_BAD_SOCKET: (about) => {
    const meant = fromPostfix(about);
    return meant === null
      ? `${JSON.stringify(about)} is not a socket that libmilter knows: write unix:/path, inet:port@host, ` +
          'inet6:port@host, or fd:number or fd:name where the library has it'
      : `${JSON.stringify(about)} is how Postfix spells a socket; libmilter has the port first: write ${meant}`;
  },
};

/** What libmilter calls a socket that is spelled for Postfix, `inet:host:port`; null for any other text. */
function fromPostfix(spec: string): string | null {
  const [, bracketed, plain, port] = /^inet6?:(?:\[([^\]@]+)\]|([^:@[\]]+)):(\d{1,5})$/i.exec(spec) ?? [];
  if (bracketed !== undefined) return `inet6:${port}@${bracketed}`;
  return plain === undefined ? null : `inet:${port}@${plain}`;
}

/** The error for a code of errno's or of this package's, as the native side reports it. */
export function startError(code: string, about: string): MilterError {
  if (code === 'ERR_MILTER_ALREADY_RUN') {
    return new MilterError(
      code,
      `${about}: libmilter has opened a socket in this process and cannot open another: start a new process`,
    );
  }
  const advice = ADVICE[code as MilterErrorCode];
  if (advice) return new MilterError(code as MilterErrorCode, advice(about));
  return new MilterError(
    'ERR_MILTER_OPEN_SOCKET',
    `${about}: libmilter could not open the socket (see syslog)`,
  );
}

/** The error for a file of this package that could not be loaded: with advice, if no descriptor was left to read it. */
export function loadError(error: unknown): unknown {
  const { code, path = 'tsmilter' } = error as NodeJS.ErrnoException;
  return code === 'EMFILE' || code === 'ENFILE' ? startError(code, path) : error;
}

/** A name of an inherited socket that is not the name of exactly one. */
export function noSuchSocket(spec: string, names: readonly string[]): MilterError {
  const passed = names.length > 0 ? names.join(', ') : 'none';
  return new MilterError(
    'EBADF',
    `${spec}: systemd has not passed one socket of that name to this process; it has passed: ${passed} (FileDescriptorName= of ` +
      "the .socket unit, by default the unit's name)",
  );
}

/** A filter runs already. */
export function inUse(): MilterError {
  return new MilterError(
    'ERR_MILTER_IN_USE',
    'milter module in use: a filter is running in this process already',
  );
}

/** A filter runs, and this thread serves it. */
export function inWorker(): MilterError {
  return new MilterError(
    'ERR_MILTER_IN_USE',
    'milter module in use: this thread is a worker of a filter; call runmilter in the main thread only ' +
      '(isMainThread of node:worker_threads)',
  );
}

/** A filter has run. */
export function alreadyRun(): MilterError {
  return new MilterError(
    'ERR_MILTER_ALREADY_RUN',
    'a filter has run and ended in this process; libmilter cannot start again: start a new process',
  );
}

/** The error for what the addon's start() returned in place of StartResult.ready. */
export function startRefused(result: number): MilterError {
  if (result === StartResult.inUse) return inUse();
  if (result === StartResult.alreadyRun) return alreadyRun();
  return new MilterError('ERR_MILTER_NOT_REGISTERED', 'register() and setconn() come before main()');
}
