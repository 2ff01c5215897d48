/** Values of options as they are written on a command line or in a configuration file. */
import { InvalidArgumentError } from 'commander';
import { DnsSession } from '../dns/index.js';
import { MilterError } from '../internal/errors.js';
import { normaliseMetricsOptions } from '../metrics/options.js';

/** @throws InvalidArgumentError, which commander completes with the option's name */
export type Parse<Value> = (text: string) => Value;

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const BYTES: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };
const MAX_MILLISECONDS = 2 ** 31 - 1;

/** `500ms`, `30s`, `5m`, `1h`, `0`: in milliseconds. A bare number would be read as seconds by some and as milliseconds by others. */
export function duration(text: string): number {
  if (text === '0') return 0;
  const [, digits, unit = ''] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  const value = Number(digits) * (MILLISECONDS[unit] ?? Number.NaN);
  if (value <= MAX_MILLISECONDS) return value;
  throw new InvalidArgumentError('Write a time with its unit: 500ms, 30s, 5m, 1h.');
}

/** `4096`, `64K`, `128M`, `1G`: in bytes. */
export function size(text: string): number {
  const [, digits, unit = '-'] = /^(\d+)([KMG]?)$/.exec(text) ?? [];
  const value = Number(digits) * (BYTES[unit] ?? Number.NaN);
  if (Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('Write a number of bytes: 4096, 64K, 128M, 1G.');
}

/** A whole number from `min` to `max`. */
export function count(min: number, max = 2 ** 31 - 1): Parse<number> {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Write a whole number from ${min} to ${max}.`);
  };
}

/** Permissions in octal, as chmod reads them: `660`, `0660`, `0o660`. */
export function fileMode(text: string): number {
  const digits = /^(?:0o)?0*([0-7]{1,3})$/.exec(text)?.[1];
  if (digits !== undefined) return Number.parseInt(digits, 8);
  throw new InvalidArgumentError('Write permissions in octal, as for chmod: 660.');
}

/** One of several words. */
export function oneOf<const Word extends string>(...words: readonly Word[]): Parse<Word> {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`Write one of ${words.join(', ')}.`);
  };
}

/** `yes`, `no` and the other words that configuration files have for them. */
export function truth(text: string): boolean {
  if (/^(?:yes|true|on|1)$/i.test(text)) return true;
  if (/^(?:no|false|off|0)$/i.test(text)) return false;
  throw new InvalidArgumentError('Write yes or no.');
}

/** Where the metrics are served; also a value of runmilter's option. */
export const metricsAddress: Parse<string> = (text) =>
  checked(
    text,
    () => normaliseMetricsOptions({ metrics: text }),
    'Write inet:port, inet:port@address or unix:/path.',
  );

/** A DNS server, as DnsSession takes it. */
export const dnsServer: Parse<string> = (text) =>
  checked(
    text,
    () => new DnsSession({ servers: [text] }),
    'Write an IP address with an optional port: 192.0.2.53:53.',
  );

/** `text`, if `check` does not throw. */
function checked(text: string, check: () => unknown, advice: string): string {
  try {
    check();
    return text;
  } catch (error) {
    if (!(error instanceof MilterError)) throw error;
    throw new InvalidArgumentError(advice);
  }
}

export const asIs: Parse<string> = (text) => text;
