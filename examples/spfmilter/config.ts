/** Reads the configuration file and checks it as far as possible before the filter starts. */
import { dirname, resolve } from 'node:path';
import * as Milter from 'tsmilter';
import { MilterConfigParser } from 'tsmilter/config';
import { DnsSession } from 'tsmilter/dns';
import { ConfigError } from '../shared/config-error';
import { checkNetworks } from './networks';

export interface Config {
  readonly socket: string;
  readonly name: string;
  /** Null keeps the umask of the process. */
  readonly umask: number | null;
  readonly internalConnect: readonly string[];
  readonly trustedRelay: readonly string[];
  readonly untrappedException: Milter.ExceptionPolicy;
  /** Null applies the defaults to everybody. */
  readonly accessFile: string | null;
  readonly trustedForwarder: readonly string[];
  /** If empty, the system's servers are used. */
  readonly nameservers: readonly string[];
}

/** `access_file_nulls` is accepted because pymilter's configuration files have it; it has no effect here. */
const OPTIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ['milter', ['socketname', 'umask', 'name', 'internal_connect', 'trusted_relay', 'untrapped_exception']],
  ['spf', ['access_file', 'access_file_nulls', 'trusted_forwarder', 'nameservers']],
]);

const EXCEPTION_POLICIES: ReadonlyMap<string, Milter.ExceptionPolicy> = new Map([
  ['TEMPFAIL', Milter.TEMPFAIL],
  ['REJECT', Milter.REJECT],
  ['CONTINUE', Milter.CONTINUE],
  ['ACCEPT', Milter.ACCEPT],
]);

const OCTAL = /^(?:0o?)?[0-7]{1,3}$/;
const DOMAIN = /^(?=.{1,253}$)[a-z0-9_-]+(?:\.[a-z0-9_-]+)+$/i;

/**
 * Reads the configuration file.
 *
 * @throws ConfigError, or MilterError ERR_MILTER_CONFIG for a file that is not well-formed
 */
export async function readConfig(file: string): Promise<Config> {
  const parser = new MilterConfigParser();
  if (parser.read(file).length === 0) {
    throw new ConfigError(
      `${file}: the file does not exist; examples/spfmilter/spfmilter.cfg is a starting point`,
    );
  }
  const optionError = (section: string, option: string, why: string) =>
    new ConfigError(`${parser.placeOf(section, option) ?? file}: [${section}] ${option}: ${why}`);
  parser.checkNames(OPTIONS);
  const text = (section: string, option: string) => parser.get(section, option)?.trim() || null;

  const socket = text('milter', 'socketname');
  if (socket === null) {
    throw optionError(
      'milter',
      'socketname',
      'is missing; set it to the socket that the MTA connects to, such as /run/spfmilter/sock',
    );
  }
  const umask = text('milter', 'umask');
  if (umask !== null && !OCTAL.test(umask)) {
    throw optionError('milter', 'umask', `${umask} is not an octal number such as 0117`);
  }
  const policy = text('milter', 'untrapped_exception') ?? 'TEMPFAIL';
  const untrappedException = EXCEPTION_POLICIES.get(policy.toUpperCase());
  if (untrappedException === undefined) {
    const known = [...EXCEPTION_POLICIES.keys()].join(', ');
    throw optionError('milter', 'untrapped_exception', `${policy} is not one of ${known}`);
  }
  const config: Config = {
    socket,
    name: text('milter', 'name') ?? 'spfmilter',
    umask: umask === null ? null : Number.parseInt(umask.replace('o', ''), 8),
    internalConnect: parser.getlist('milter', 'internal_connect'),
    trustedRelay: parser.getlist('milter', 'trusted_relay'),
    untrappedException,
    accessFile: resolveFrom(file, text('spf', 'access_file')),
    trustedForwarder: parser.getlist('spf', 'trusted_forwarder'),
    nameservers: parser.getlist('spf', 'nameservers'),
  };

  const withOption = async (section: string, option: string, check: () => unknown) => {
    try {
      await check();
    } catch (error) {
      throw optionError(section, option, (error as Error).message);
    }
  };
  await withOption('milter', 'internal_connect', () => checkNetworks(config.internalConnect));
  await withOption('milter', 'trusted_relay', () => checkNetworks(config.trustedRelay));
  await withOption('spf', 'nameservers', () => dnsFor(config));
  const invalidDomain = config.trustedForwarder.find((name) => !DOMAIN.test(name));
  if (invalidDomain !== undefined)
    throw optionError('spf', 'trusted_forwarder', `${invalidDomain} is not a domain such as example.com`);
  return config;
}

/** The resolver for one message or one client. Its limits bound the DNS queries that a sender can cause. */
export function dnsFor({ nameservers }: Pick<Config, 'nameservers'>): DnsSession {
  return new DnsSession({
    ...(nameservers.length > 0 && { servers: nameservers }),
    // Two checks, and one per trusted forwarder; each has its own limits.
    maxLookups: 1000,
    // For all of them together. The MTA's time-out must be longer.
    maxTime: 20_000,
  });
}

function resolveFrom(file: string, path: string | null): string | null {
  return path === null ? null : resolve(dirname(file), path);
}
