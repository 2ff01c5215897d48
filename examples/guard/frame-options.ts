/** The sections of the configuration that belong to no rule, and the options that every rule has. */
import { nameservers } from '../shared/dns';
import { milterOptions } from '../shared/milter-options';
import { authenticationOptions } from './authentication';
import { callbackOptions } from './callback';
import { CLIENT_CLASSES } from './client';
import { addresses, choice, choices, flag, networks, number, path, text } from './options';
import { type AnyRule, MODES } from './rule';
import { stateLocation } from './state';

export const FRAME = {
  milter: {
    ...milterOptions('guard'),
    metrics: text(
      'where [metrics and health](monitoring.md) are served by HTTP: `inet:port`, which is a port of 127.0.0.1, `inet:port@address`, `inet6:port@address` or `unix:/path`; needs the package `prom-client`; empty: nowhere',
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
    nameservers,
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
