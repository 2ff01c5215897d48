/** The options of the configuration file, by section. */
import { resolve } from 'node:path';
import { ConfigError } from '../shared/config-error';
import { nameservers } from '../shared/dns';
import { milterOptions } from '../shared/milter-options';
import { networks } from '../shared/networks';
import { choice, flag, list, number, type Option, path, text } from '../shared/options';
import { isRedis } from './report-store';
import { externalTask, portTasks, TASKS } from './task';

const DAY = 86_400;
const SENDMAIL = '/usr/sbin/sendmail';

/** RFC 5322 2.2: printable ASCII but the colon. */
const FIELD_NAME = /^[!-9;-~]+$/;

/** Names of fields that are signed. */
function fields(doc: string): Option<readonly string[]> {
  const names = list(doc);
  return {
    ...names,
    async read(value, context) {
      const found = await names.read(value, context);
      // This filter adds and removes that field itself.
      const own = found.find((name) => name.toLowerCase() === 'authentication-results');
      if (own !== undefined) throw new ConfigError(`${own} is changed on its way, and must not be signed`);
      const bad = found.find((name) => !FIELD_NAME.test(name));
      if (bad !== undefined) throw new ConfigError(`${bad} is not the name of a header field`);
      return found;
    },
  };
}

const store: Option<string | null> = {
  doc: 'where messages are counted for [aggregate reports](#reports): a file (needs the package better-sqlite3), or `redis://host:port`, which several hosts may share (needs the package redis); empty: there are no reports',
  fallback: '',
  read: (value, { directory }) => (value === '' ? null : isRedis(value) ? value : resolve(directory, value)),
};

const sendmail: Option<string> = {
  doc: "the program that is given the mails: Sendmail's, or Postfix's of the same name",
  fallback: SENDMAIL,
  read: (value, { directory }) => resolve(directory, value || SENDMAIL),
};

export const OPTIONS = {
  milter: {
    ...milterOptions('authmilter'),
    workers: number('threads that serve sessions ([workers.md](workers.md)); 0 for the main one', 0, 0, 256),
    dry_run: flag('refuse, defer and quarantine nothing; the log says what would have been done', false),
  },
  clients: {
    internal_connect: networks(
      'clients of our own: a list for [iniplist](utils.md#iniplist), host names too. A program on this host is always internal',
    ),
    trusted_relay: networks('hosts that have verified the mail already; the same kind of list'),
    ports: portTasks,
    authenticated: choice('what is done with mail of users who have logged in', TASKS, 'sign'),
    internal: choice('with mail of internal clients', TASKS, 'sign'),
    relay: choice('with mail of trusted relays', TASKS, 'none'),
    external: externalTask,
  },
  verify: {
    authserv_id: text("our name in Authentication-Results; empty: the MTA's name (macro `j`)"),
    own_authserv_ids: list('further names of ours: fields with them are removed as well'),
    reject_spf_fail: flag('refuse what SPF forbids', false),
    on_dns_failure: choice(
      'what is done when DNS cannot tell, see [Decisions](#decisions)',
      ['accept', 'tempfail'],
      'accept',
    ),
    nameservers,
    max_lookups: number(
      'questions to DNS for one message: SPF and the keys of signatures get at most half of them each, and three quarters together; the rest is for DMARC',
      60,
      1,
      1000,
    ),
    dns_time: number(
      'seconds that a message may wait for all answers together, divided in the same way',
      20,
      1,
      300,
    ),
  },
  sign: {
    signing_table: path('whose mail is signed, with which keys: see below; empty: nothing is signed'),
    keys_group_readable: flag('the group may read key files (0640)', false),
    headers: fields('fields to be signed if they are there; From always is; empty: those of RFC 6376 5.4.1'),
    oversign: fields(
      'fields to be signed once more than they are there, so that none can be added; empty: From',
    ),
    canonicalization: choice(
      'of header and body',
      ['relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple'],
      'relaxed/relaxed',
    ),
    expires_in: number('seconds until a signature expires; 0 for never', 0, 0, 2 ** 31 - 1),
    body_length: flag(
      'sign the length of the body (`l=`): text can then be added below it without breaking the signature',
      false,
    ),
  },
  dmarc: {
    policy: choice(
      'do what the domain asks for, only log it, or do not check',
      ['enforce', 'dry_run', 'off'],
      'dry_run',
    ),
    policies: path('exceptions by domain: see below'),
    on_quarantine: choice(
      'what quarantine means: only Authentication-Results says it, the MTA holds the message, or it is refused',
      ['accept', 'quarantine', 'reject'],
      'accept',
    ),
    no_author: choice(
      'what a message does whose From field names no author that can be asked, or several: it is refused, held by the MTA, or accepted',
      ['reject', 'quarantine', 'accept'],
      'reject',
    ),
    trusted_sealers: list('domains whose ARC seals are believed; `.example.com` stands for all subdomains'),
  },
  reports: {
    store,
    org_name: text('who reports; required with `store`'),
    email: text('the address that reports come from, and that can be written to; required with `store`'),
    extra_contact: text('a page, or another address, for questions'),
    sendmail,
    period: number('seconds that a report covers, from 0:00 UTC on', DAY, 1, 7 * DAY),
  },
  arc: {
    seal: choice('which verified messages are sealed', ['forwarded', 'always', 'never'], 'forwarded'),
    domain: text("the sealer's domain (`d=`); empty: nothing is sealed"),
    selector: text('the selector of its key; required with `domain`'),
    key_file: path('the private key; required with `domain`'),
  },
  forward: {
    local_domains: list(
      'domains whose mail is delivered here; a recipient in any other makes a message a forwarded one, and senders in these are not rewritten; empty: no recipient counts as elsewhere',
    ),
    forwarded: list(
      'addresses in local domains whose mail is forwarded: `alumni@example.com`, `*@old.example.com`',
    ),
  },
  srs: {
    domain: text('the domain of rewritten senders; the MTA must accept mail for it; empty: senders stay'),
    secrets_file: path('a secret in each line, the newest first; mode 0600 or 0640; required with `domain`'),
    own_domains: list('further domains whose senders are not rewritten'),
    max_age: number('days that a rewritten address is valid', 21, 1, 512),
  },
};
