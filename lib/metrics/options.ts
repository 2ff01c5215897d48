/** The option of runmilter that says where metrics are read. */
import { resolve } from 'node:path';
import { badArgument, MilterError } from '../internal/errors.js';
import { checkWord, type OptionNames } from '../internal/validate.js';

/** Whether metrics are collected, and where they are read. */
export interface MetricsOptions {
  /**
   * Serves metrics for Prometheus (`/metrics`) and the filter's health (`/healthz`, `/readyz`) by HTTP on `inet:port`, which is a port of
   * 127.0.0.1, `inet:port@host`, `inet6:port@host` or `unix:/path`. Needs the package `prom-client`. Default: none of it.
   */
  metrics?: string;
}

export const METRICS_OPTIONS: OptionNames<MetricsOptions> = { metrics: true };

/** Where the HTTP server listens. */
export type MetricsAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** Bytes of the path of a unix socket: sun_path less its NUL. Of a longer one, libuv would listen on the beginning. */
const MAX_PATH = process.platform === 'linux' ? 107 : 103;

/** Absolute, because the file is removed when the filter stops, wherever the process is by then. */
function socketPath(path: string): string {
  const absolute = resolve(path);
  const length = Buffer.byteLength(absolute);
  if (length <= MAX_PATH) return absolute;
  throw new MilterError(
    'ENAMETOOLONG',
    `metrics: ${absolute} has ${length} bytes, and the path of a unix socket at most ${MAX_PATH}: choose a shorter path`,
  );
}

/** @throws MilterError ERR_MILTER_BAD_ARGUMENT, or ENAMETOOLONG for the path of a unix socket */
export function normaliseMetricsOptions({ metrics }: MetricsOptions): MetricsAddress | null {
  if (metrics === undefined) return null;
  checkWord('metrics', metrics);
  const [, path] = /^(?:unix|local):(.+)$/.exec(metrics) ?? [];
  if (path !== undefined) return { path: socketPath(path) };
  const [, family, port, host] = /^(inet6?):(\d{1,5})(?:@(.+))?$/.exec(metrics) ?? [];
  if (family === undefined || Number(port) > 65535) throw malformed(metrics);
  const { isIP } = require('node:net') as typeof import('node:net'); // a tenth of the package's start, which few filters need
  const address = host?.replace(/^\[(.*)\]$/, '$1') ?? (family === 'inet6' ? '::1' : '127.0.0.1');
  if (isIP(address) === 0 && address !== 'localhost') throw malformed(metrics);
  return { host: address, port: Number(port) };
}

const malformed = (metrics: string) =>
  badArgument(
    `metrics must be unix:/path, inet:port, inet:port@address or inet6:port@address, not ${JSON.stringify(metrics)}`,
  );
