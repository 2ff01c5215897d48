/** What the configuration file says, checked as far as that is possible without the files that it names. */
import { dirname, resolve } from 'node:path';
import * as Milter from 'tsmilter';
import { ConfigError } from '../shared/config-error';
import { checkNetworks } from './client';
import { Options } from './options';
import { isRedis } from './report-store';
import { resolverFor } from './resolver';

/** What is done with a message. */
export type Task = 'verify' | 'sign' | 'both' | 'none';
const TASKS: readonly Task[] = ['verify', 'sign', 'both', 'none'];

export interface Config {
  readonly milter: {
    readonly socket: string;
    readonly name: string;
    /** Null keeps the umask of the process. */
    readonly umask: number | null;
    /** Worker threads; 0 for none. */
    readonly workers: number;
    readonly untrappedException: Milter.ExceptionPolicy;
    /** Nothing is refused, deferred or quarantined; the log says what would have been. */
    readonly dryRun: boolean;
  };
  readonly clients: {
    readonly internalConnect: readonly string[];
    readonly trustedRelay: readonly string[];
    /** By {daemon_name}, in lower case. */
    readonly ports: ReadonlyMap<string, Task>;
    readonly external: Task;
    readonly internal: Task;
    readonly authenticated: Task;
    readonly relay: Task;
  };
  readonly verify: {
    /** Null: the MTA's name, its macro j. */
    readonly authservId: string | null;
    /** Further ids of ours, whose fields are removed too. */
    readonly ownIds: readonly string[];
    readonly rejectSpfFail: boolean;
    readonly onDnsFailure: 'accept' | 'tempfail';
    /** If empty, the system's servers are used. */
    readonly nameservers: readonly string[];
    readonly maxLookups: number;
    /** Milliseconds for all lookups of a message. */
    readonly dnsTime: number;
  };
  readonly sign: {
    readonly table: string | null;
    readonly keyMode: number;
    readonly headers: readonly string[];
    readonly oversign: readonly string[];
    readonly canonicalization: Canonicalizations;
    /** Seconds; 0: never. */
    readonly expiresIn: number;
    readonly bodyLength: boolean;
  };
  readonly dmarc: {
    readonly policy: DmarcMode;
    /** Exceptions by domain; null for none. */
    readonly policies: string | null;
    readonly onQuarantine: 'accept' | 'quarantine' | 'reject';
    readonly trustedSealers: readonly string[];
  };
  readonly reports: {
    /** A file, or the URL of Redis; null: no reports. */
    readonly store: string | null;
    readonly orgName: string | null;
    readonly email: string | null;
    readonly extraContact: string | null;
    /** The program that is given the mails. */
    readonly sendmail: string;
    /** Seconds that a report covers. */
    readonly period: number;
  };
  readonly arc: {
    readonly seal: 'forwarded' | 'always' | 'never';
    /** Null: nothing is sealed. */
    readonly domain: string | null;
    readonly selector: string | null;
    readonly keyFile: string | null;
  };
  readonly forward: {
    readonly localDomains: readonly string[];
    readonly forwarded: readonly string[];
  };
  readonly srs: {
    /** Null: no sender is rewritten. */
    readonly domain: string | null;
    readonly secretsFile: string | null;
    readonly ownDomains: readonly string[];
    readonly maxAge: number;
  };
}

const DMARC_MODES = ['enforce', 'dry_run', 'off'] as const;
/** What follows from DMARC: what the domain asks for, nothing but a line in the log, or it is not checked at all. */
export type DmarcMode = (typeof DMARC_MODES)[number];

const CANONICALIZATIONS = ['relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple'] as const;
type Canonicalizations = (typeof CANONICALIZATIONS)[number];

const EXCEPTION_POLICIES: Readonly<Record<string, Milter.ExceptionPolicy>> = {
  tempfail: Milter.TEMPFAIL,
  reject: Milter.REJECT,
  continue: Milter.CONTINUE,
  accept: Milter.ACCEPT,
};

/** RFC 5322 2.2: printable ASCII but the colon. */
const FIELD_NAME = /^[!-9;-~]+$/;
const DAY = 86_400;
const OCTAL = /^(?:0o?)?[0-7]{1,3}$/;

/**
 * Reads the configuration file.
 *
 * @throws ConfigError, or MilterError ERR_MILTER_CONFIG for a file that is not well-formed
 */
export async function readConfig(file: string): Promise<Config> {
  const options = new Options(file);
  const path = (name: string | null) => (name === null ? null : resolve(dirname(file), name));
  const config: Config = {
    milter: readMilter(options),
    clients: readClients(options),
    verify: {
      authservId: options.text('verify', 'authserv_id'),
      ownIds: options.list('verify', 'own_authserv_ids'),
      rejectSpfFail: options.flag('verify', 'reject_spf_fail', false),
      onDnsFailure: options.choice('verify', 'on_dns_failure', ['accept', 'tempfail'], 'accept'),
      nameservers: options.list('verify', 'nameservers'),
      maxLookups: options.number('verify', 'max_lookups', 60, 1, 1000),
      dnsTime: options.number('verify', 'dns_time', 20, 1, 300) * 1000,
    },
    sign: {
      table: path(options.text('sign', 'signing_table')),
      keyMode: options.flag('sign', 'keys_group_readable', false) ? 0o640 : 0o600,
      headers: options.list('sign', 'headers'),
      oversign: options.list('sign', 'oversign'),
      canonicalization: options.choice('sign', 'canonicalization', CANONICALIZATIONS, 'relaxed/relaxed'),
      expiresIn: options.number('sign', 'expires_in', 0, 0, 2 ** 31 - 1),
      bodyLength: options.flag('sign', 'body_length', false),
    },
    dmarc: {
      policy: options.choice('dmarc', 'policy', DMARC_MODES, 'dry_run'),
      policies: path(options.text('dmarc', 'policies')),
      onQuarantine: options.choice('dmarc', 'on_quarantine', ['accept', 'quarantine', 'reject'], 'accept'),
      trustedSealers: options.list('dmarc', 'trusted_sealers'),
    },
    reports: readReports(options, path),
    arc: {
      seal: options.choice('arc', 'seal', ['forwarded', 'always', 'never'], 'forwarded'),
      domain: options.text('arc', 'domain'),
      selector: options.text('arc', 'selector'),
      keyFile: path(options.text('arc', 'key_file')),
    },
    forward: {
      localDomains: options.list('forward', 'local_domains'),
      forwarded: options.list('forward', 'forwarded'),
    },
    srs: {
      domain: options.text('srs', 'domain'),
      secretsFile: path(options.text('srs', 'secrets_file')),
      ownDomains: options.list('srs', 'own_domains'),
      maxAge: options.number('srs', 'max_age', 21, 1, 512),
    },
  };
  options.finish();
  await checkValues(config, options);
  return config;
}

function readMilter(options: Options): Config['milter'] {
  const socket = options.text('milter', 'socketname');
  if (socket === null) {
    throw options.error(
      'milter',
      'socketname',
      'is missing; set it to the socket that the MTA connects to, such as /run/authmilter/sock',
    );
  }
  const umask = options.text('milter', 'umask');
  if (umask !== null && !OCTAL.test(umask)) {
    throw options.error('milter', 'umask', `${umask} is not an octal number such as 0117`);
  }
  const policy = options.choice('milter', 'untrapped_exception', Object.keys(EXCEPTION_POLICIES), 'tempfail');
  return {
    socket,
    name: options.text('milter', 'name') ?? 'authmilter',
    umask: umask === null ? null : Number.parseInt(umask.replace('o', ''), 8),
    workers: options.number('milter', 'workers', 0, 0, 256),
    untrappedException: EXCEPTION_POLICIES[policy] as Milter.ExceptionPolicy,
    dryRun: options.flag('milter', 'dry_run', false),
  };
}

function readReports(options: Options, path: (name: string | null) => string | null): Config['reports'] {
  const store = options.text('reports', 'store');
  const config = {
    store: store !== null && isRedis(store) ? store : path(store),
    orgName: options.text('reports', 'org_name'),
    email: options.text('reports', 'email'),
    extraContact: options.text('reports', 'extra_contact'),
    sendmail: path(options.text('reports', 'sendmail')) ?? '/usr/sbin/sendmail',
    period: options.number('reports', 'period', DAY, 1, 7 * DAY),
  };
  if (store !== null && (config.orgName === null || config.email === null)) {
    throw options.error('reports', 'store', 'needs org_name and email beside it');
  }
  return config;
}

function readClients(options: Options): Config['clients'] {
  const task = (option: string, fallback: Task) => options.choice('clients', option, TASKS, fallback);
  const ports = options.list('clients', 'ports').map((entry): [string, Task] => {
    const [name = '', word = '', ...more] = entry.split(/\s+/);
    if (word === '' || more.length > 0) {
      throw options.error(
        'clients',
        'ports',
        `${entry} is not a name and what is done, such as submission sign`,
      );
    }
    return [name.toLowerCase(), options.word('clients', 'ports', word, TASKS)];
  });
  const external = task('external', 'verify');
  if (external === 'sign' || external === 'both') {
    throw options.error('clients', 'external', `${external} would sign the mail of strangers with your keys`);
  }
  return {
    internalConnect: options.list('clients', 'internal_connect'),
    trustedRelay: options.list('clients', 'trusted_relay'),
    ports: new Map(ports),
    external,
    internal: task('internal', 'sign'),
    authenticated: task('authenticated', 'sign'),
    relay: task('relay', 'none'),
  };
}

/** What other modules know how to check; their errors get the option's name. */
async function checkValues(config: Config, options: Options): Promise<void> {
  const check = async (section: string, option: string, run: () => unknown) => {
    try {
      await run();
    } catch (error) {
      throw options.error(section, option, (error as Error).message);
    }
  };
  await check('clients', 'internal_connect', () => checkNetworks(config.clients.internalConnect));
  await check('clients', 'trusted_relay', () => checkNetworks(config.clients.trustedRelay));
  await check('verify', 'nameservers', () => resolverFor(config));
  for (const option of ['headers', 'oversign'] as const) {
    await check('sign', option, () => checkHeaderNames(config.sign[option]));
  }
  if (config.srs.domain !== null && config.srs.secretsFile === null) {
    throw options.error('srs', 'secrets_file', 'is missing; it is needed with [srs] domain');
  }
  if (config.arc.domain !== null && (config.arc.selector === null || config.arc.keyFile === null)) {
    throw options.error('arc', 'domain', 'needs selector and key_file beside it');
  }
}

/** The field that this filter adds and removes must not be signed by it. */
function checkHeaderNames(names: readonly string[]): void {
  const own = names.find((name) => name.toLowerCase() === 'authentication-results');
  if (own !== undefined) throw new ConfigError(`${own} is changed on its way, and must not be signed`);
  const bad = names.find((name) => !FIELD_NAME.test(name));
  if (bad !== undefined) throw new ConfigError(`${bad} is not the name of a header field`);
}
