/**
 * Every error that this package throws on purpose is a {@link MilterError} with a stable `code`; its message says what to
 * do. Codes of the operating system (EADDRINUSE, EACCES, ...) are passed on unchanged.
 */

import { shareInstanceof } from './shared-instanceof.js';

/** What went wrong, in a form that programs can rely on. */
export type MilterErrorCode =
  /** Another process listens on the socket or port. */
  | 'EADDRINUSE'
  /** The address of an `inet:` or `inet6:` socket is not one of this machine's. */
  | 'EADDRNOTAVAIL'
  /** This user has no permission for the socket's directory, file or port. */
  | 'EACCES'
  /** The directory of a unix socket is on a read-only file system, or is read-only for this service. */
  | 'EROFS'
  /** The directory of a unix socket does not exist. */
  | 'ENOENT'
  /** The path of a unix socket leads through something that is not a directory. */
  | 'ENOTDIR'
  /** The path of a unix socket names a file that is not a socket. */
  | 'ENOTSOCK'
  /** The path of a unix socket is longer than the system allows. */
  | 'ENAMETOOLONG'
  /** Another process has put something else in the place of a unix socket while it was opened. */
  | 'ERR_MILTER_SOCKET_REPLACED'
  /** This process has no descriptor left for the socket. */
  | 'EMFILE'
  /** The system has no file descriptor left for the socket. */
  | 'ENFILE'
  /** The descriptor of `fd:N` is not open. */
  | 'EBADF'
  /** The host or service name of an `inet:` or `inet6:` socket is unknown; a name that does not exist (tsmilter/dns). */
  | 'ENOTFOUND'
  /** This user may not give a unix socket that owner or group. */
  | 'EPERM'
  /** The system has no user or group of the name that is given for a unix socket. */
  | 'ERR_MILTER_UNKNOWN_ACCOUNT'
  /** The socket's description cannot be understood. */
  | 'ERR_MILTER_BAD_SOCKET'
  /** libmilter could not open the socket, and no reason could be found; syslog may have it. */
  | 'ERR_MILTER_OPEN_SOCKET'
  /** libmilter ended with a failure. */
  | 'ERR_MILTER_MAIN'
  /** The native addon is not built or cannot be loaded. */
  | 'ERR_MILTER_ADDON'
  /** The native addon was built for another Node.js, or for another machine. */
  | 'ERR_MILTER_ADDON_MISMATCH'
  /** A worker thread of a filter could not be started, or has ended before the filter. */
  | 'ERR_MILTER_WORKER'
  /** The thread that serves the metrics has ended before the filter. */
  | 'ERR_MILTER_METRICS'
  /** A filter is running in this process already, or `tsmilter replay` has loaded its module. */
  | 'ERR_MILTER_IN_USE'
  /** A filter has run in this process; libmilter allows one per process. */
  | 'ERR_MILTER_ALREADY_RUN'
  /** `main` before `register` or `setconn`. */
  | 'ERR_MILTER_NOT_REGISTERED'
  /** The context has ended, or its MTA is not waiting for an answer. */
  | 'ERR_MILTER_BAD_CONTEXT'
  /** An action that changes the message was called outside eom. */
  | 'ERR_MILTER_NOT_IN_EOM'
  /** The right to an action was not negotiated; see {@link DisabledAction}. */
  | 'ERR_MILTER_DISABLED_ACTION'
  /** setsymlist outside negotiate, twice for a stage, or with too many macros. */
  | 'ERR_MILTER_BAD_SYMLIST'
  /** A reply that libmilter or the MTA would refuse. */
  | 'ERR_MILTER_BAD_REPLY'
  /** An argument of the wrong type or out of range. */
  | 'ERR_MILTER_BAD_ARGUMENT'
  /** A handler answered with something that is not a status. */
  | 'ERR_MILTER_BAD_STATUS'
  /** A handler did not answer in time. */
  | 'ERR_MILTER_HANDLER_TIMEOUT'
  /** A handler answered after an answer had been given in its place. */
  | 'ERR_MILTER_LATE_ANSWER'
  /** A macro was asked for in a step without reply, and another step's value may have replaced it. */
  | 'ERR_MILTER_MACRO_NOT_KEPT'
  /** A modification could not be sent to the MTA. */
  | 'ERR_MILTER_WRITE'
  /** A message, or a ZIP file in it, reaches a limit (tsmilter/mime). */
  | 'ERR_MILTER_MIME_LIMIT'
  /** A ZIP file that cannot be read (tsmilter/mime). */
  | 'ERR_MILTER_BAD_ZIP'
  /** An access map that cannot be read or understood, or reaches a limit (tsmilter/policy). */
  | 'ERR_MILTER_ACCESS_MAP'
  /** A list of addresses or networks that cannot be read or understood, or reaches a limit (tsmilter/lists). */
  | 'ERR_MILTER_LIST'
  /** A configuration file, or a value in it, that cannot be understood or is too large (tsmilter/config). */
  | 'ERR_MILTER_CONFIG'
  /** A store cannot be reached or used (tsmilter/greylist, tsmilter/reputation, tsmilter/cache and others). */
  | 'ERR_MILTER_STORE'
  /** A content scanner has given no result (tsmilter/scan). */
  | 'ERR_MILTER_SCAN'
  /** The directory of temporary files cannot be used, or a file in it was damaged (tsmilter/message). */
  | 'ERR_MILTER_SPOOL'
  /** A mailbox, or a saved message, that must not or cannot be used, or whose lock is held too long (tsmilter/archive). */
  | 'ERR_MILTER_ARCHIVE'
  /** DNS has no record of this type under the name (tsmilter/dns). */
  | 'ENODATA'
  /** A DNS server failed (tsmilter/dns). */
  | 'ESERVFAIL'
  /** A DNS server refused to answer (tsmilter/dns). */
  | 'EREFUSED'
  /** No DNS server or no mail server answered in time (tsmilter/dns, tsmilter/dsn). */
  | 'ETIMEOUT'
  /** A loop of aliases, or an answer of a DNS server that cannot be parsed (tsmilter/dns). */
  | 'EBADRESP'
  /** A name that DNS cannot have (tsmilter/dns). */
  | 'EBADNAME'
  /** Cancelled by an AbortSignal (tsmilter/dns). */
  | 'ECANCELLED'
  /** A session of DNS look-ups has reached one of its limits (tsmilter/dns). */
  | 'ERR_MILTER_DNS_LIMIT'
  /** A private key that cannot be read, or cannot sign mail (tsmilter/dkim). */
  | 'ERR_MILTER_BAD_KEY'
  /** A notification that cannot be made from its template (tsmilter/dsn). */
  | 'ERR_MILTER_DSN'
  /** An optional package that is needed is not installed, or cannot be loaded. */
  | 'ERR_MILTER_MISSING_PACKAGE'
  /** A filter did not answer in time (tsmilter/testing). */
  | 'ERR_MILTER_TIMEOUT'
  /** The other side violated the milter protocol (tsmilter/testing). */
  | 'ERR_MILTER_PROTOCOL'
  /** The other side closed the connection (tsmilter/testing). */
  | 'ERR_MILTER_CLOSED';

/** An error of this package. */
export class MilterError extends Error {
  override readonly name: string = 'MilterError';
  /** What went wrong; stable across versions. */
  readonly code: MilterErrorCode;

  constructor(code: MilterErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
shareInstanceof(MilterError, 'MilterError');

/** Thrown by an action whose right was not negotiated with the MTA. pymilter: DisabledAction. */
export class DisabledAction extends MilterError {
  override readonly name = 'DisabledAction';

  constructor(action: string, flag: string) {
    super(
      'ERR_MILTER_DISABLED_ACTION',
      `${action}: the right ${flag} was not negotiated; request it with setFlags() before runmilter(), ` +
        'unless the MTA does not offer it',
    );
  }
}
shareInstanceof(DisabledAction, 'DisabledAction');

/** The error for an argument of the wrong type or out of range. */
export function badArgument(message: string): MilterError {
  return new MilterError('ERR_MILTER_BAD_ARGUMENT', message);
}
