/** The sections of the configuration that belong to no rule, and the options that every rule has. */
import * as Milter from 'tsmilter';
import { ConfigError } from '../shared/config-error';
import { authenticationOptions } from './authentication';
import { callbackOptions } from './callback';
import { CLIENT_CLASSES } from './client';
import { addresses, choice, choices, flag, list, networks, number, type Option, path, text } from './options';
import { type AnyRule, MODES } from './rule';
import { stateLocation } from './state';

const POLICIES = {
  tempfail: Milter.TEMPFAIL,
  reject: Milter.REJECT,
  continue: Milter.CONTINUE,
  accept: Milter.ACCEPT,
};
type PolicyWord = keyof typeof POLICIES;

export const exceptionPolicy = (word: PolicyWord): Milter.ExceptionPolicy => POLICIES[word];

const socketname: Option<string> = {
  doc: 'where the MTA connects: a path, `unix:/path`, `inet:port@host` or `inet6:port@host`; required',
  fallback: '',
  read(value) {
    if (value !== '') return value;
    throw new ConfigError(
      'is missing; set it to the socket that the MTA connects to, such as /run/guard/sock',
    );
  },
};

const umask: Option<number | null> = {
  doc: 'the umask while the socket is created, such as `0117`; empty keeps that of the process',
  fallback: '',
  read(value) {
    if (value === '') return null;
    if (/^(?:0o?)?[0-7]{1,3}$/.test(value)) return Number.parseInt(value.replace('o', ''), 8);
    throw new ConfigError(`${value} is not an octal number such as 0117`);
  },
};

export const FRAME = {
  milter: {
    socketname,
    name: text(
      'the name in the log, and in the reply to mail that is deferred because the filter has failed',
      'guard',
    ),
    umask,
    metrics: text(
      'where [metrics and health](monitoring.md) are served by HTTP: `inet:port`, which is a port of 127.0.0.1, `inet:port@address`, `inet6:port@address` or `unix:/path`; needs the package `prom-client`; empty: nowhere',
    ),
    untrapped_exception: choice(
      'the verdict on a message when the filter itself fails',
      Object.keys(POLICIES) as PolicyWord[],
      'tempfail',
    ),
    dry_run: flag('every rule that is on only logs what it would do', false),
    state: stateLocation,
    directory: path('the directory for files of rules, such as bans', '/var/lib/guard'),
  },
  clients: {
    internal_connect: networks('networks of ours', ['127.0.0.1', '::1']),
    trusted_relay: networks('hosts that have checked the mail already, such as a secondary MX'),
    internal_domains: addresses('domains of ours: `example.com`, `.example.com` for those below it'),
  },
  dns: {
    nameservers: list('DNS servers, such as `127.0.0.1:5353`; empty: those of the system'),
    max_lookups: number('questions that one message may cause', 100, 1, 10_000),
    max_time: number(
      'seconds for all lookups of a message; the time-out of the MTA must be longer',
      20,
      1,
      300,
    ),
  },
  authentication: authenticationOptions,
  callback: callbackOptions,
};

/** The options that every rule has. */
export const commonOptions = (rule: Pick<AnyRule, 'name' | 'clients'>) => ({
  mode: choice('what a finding does', MODES, 'off'),
  log_tag: text('the word for this rule in the log', rule.name.toUpperCase()),
  clients: choices('which clients are asked about', CLIENT_CLASSES, rule.clients),
  subject: text('put before the Subject in mode `tag`, such as `[SPAM]`'),
});
