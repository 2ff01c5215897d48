/** Where a scanner listens, and how long it may take. */
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';

/** Options of every scanner. */
export interface ScannerOptions {
  /** The path of a unix socket. In place of `host` and `port`. */
  readonly path?: string;
  /** Default: 127.0.0.1. */
  readonly host?: string;
  readonly port?: number;
  /** Milliseconds for a whole scan, including its wait for a connection. Default: 30,000. */
  readonly timeout?: number;
  /** Connections at a time; further scans wait. Default: 10. */
  readonly maxConnections?: number;
  /** Bytes of a message. A larger one is not sent. Default: 25 MiB, clamd's own limit. */
  readonly maxSize?: number;
}

/** Settings of a single scan. */
export interface ScanOptions {
  /** Ends the scan: pass the filter's `this.signal`. */
  readonly signal?: AbortSignal;
}

/** Options with their defaults. */
export interface Settings {
  readonly address: { readonly path: string } | { readonly host: string; readonly port: number };
  readonly timeout: number;
  readonly maxConnections: number;
  readonly maxSize: number;
}

export const SCANNER_OPTIONS: OptionNames<ScannerOptions> = {
  path: true,
  host: true,
  port: true,
  timeout: true,
  maxConnections: true,
  maxSize: true,
};

/** @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function settingsOf<Options extends ScannerOptions>(
  scanner: string,
  options: Options,
  names: OptionNames<Options>,
  defaultPort: number,
): Settings {
  checkOptions(scanner, options, names);
  const { path, host, port, timeout = 30_000, maxConnections = 10, maxSize = 25 * 2 ** 20 } = options;
  if (path !== undefined && (host !== undefined || port !== undefined))
    throw badArgument(`${scanner}: path, or host and port, but not both`);
  checkInteger(`${scanner}: timeout`, timeout, 1);
  checkInteger(`${scanner}: maxConnections`, maxConnections, 1);
  checkInteger(`${scanner}: maxSize`, maxSize, 1);
  if (port !== undefined) checkInteger(`${scanner}: port`, port, 1, 65_535);
  const address = path === undefined ? { host: host ?? '127.0.0.1', port: port ?? defaultPort } : { path };
  return { address, timeout, maxConnections, maxSize };
}
