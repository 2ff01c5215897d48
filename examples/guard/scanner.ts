/** What the rules that ask a content scanner have in common: where it listens, and what follows if it gives no result. */
import { ScanError, type ScannerOptions } from 'tsmilter/scan';
import { ConfigError } from '../shared/config-error';
import { choice, number, type Option, type Values } from './options';
import type { CheckResult } from './rule';
import { shown } from './shown';

const MEGABYTE = 2 ** 20;

type Address = Pick<ScannerOptions, 'path' | 'host' | 'port'>;

/** `/path`, `unix:/path`, or `host:port`, with brackets around an IPv6 address. */
function addressOf(value: string): Address {
  const path = /^(?:unix:)?(\/.+)$/i.exec(value)?.[1];
  if (path !== undefined) return { path };
  const [, bracketed, name, digits] = /^(?:\[([\da-f:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/i.exec(value) ?? [];
  const host = bracketed ?? name;
  const port = Number(digits);
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port };
  throw new ConfigError(`${value} is neither a path, such as /run/clamav/clamd.ctl, nor host:port`);
}

/** Where a scanner listens. */
export function address(example: string): Option<Address | null> {
  return {
    doc: `where it listens: a path, or \`host:port\`, such as \`${example}\`; empty: it is not asked`,
    fallback: '',
    read: (value) => (value === '' ? null : addressOf(value)),
  };
}

/** The options of a rule that asks a scanner. @param example an address of it, for the documentation */
export const scannerOptions = (example: string) => ({
  address: address(example),
  failure: choice(
    'what becomes of a message when the scanner cannot be reached, takes too long, or fails',
    ['defer', 'accept'],
    'defer',
  ),
  max_time: number('seconds for one message; the time-out of the MTA must be longer', 30, 1, 300),
  max_size: number('megabytes; a larger message is accepted without being scanned', 25, 1, 1024),
});

type ScannerValues = Values<ReturnType<typeof scannerOptions>>;

/** The options as `tsmilter/scan` takes them; null if no address is configured. */
export function scannerAt({ address: at, max_time, max_size }: ScannerValues): ScannerOptions | null {
  return at && { ...at, timeout: max_time * 1000, maxSize: max_size * MEGABYTE };
}

/**
 * What a scan finds. A scan without a result says nothing about the message: it can be put off until the scanner works again, but
 * for one that is too large, which would be so the next time as well.
 */
export async function scanned(
  scan: () => Promise<CheckResult>,
  failure: ScannerValues['failure'],
  report: (message: string) => void,
): Promise<CheckResult> {
  try {
    return await scan();
  } catch (error) {
    if (!(error instanceof ScanError)) throw error;
    if (failure === 'accept' || error.reason === 'too large') {
      report(`a message was not scanned: ${shown(error.message)}`);
      return null;
    }
    return {
      reason: `not scanned: ${shown(error.message)}`,
      reply: 'Your message cannot be checked at the moment. Please try again later.',
      detail: '3.0',
      atMost: 'defer',
    };
  }
}
