/** What an MTA knows about a session, from options of the command line: the client, its greeting, TLS, AUTH and macros. */
import { isIPv4, isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { HeaderRules } from '../../testing/simulator/test-message.js';
import type { Macros } from '../../testing/wire/macros.js';
import type { PeerAddress } from '../../testing/wire/peer-address.js';
import type { Step } from '../../testing/wire/protocol.js';
import { STEPS } from '../../testing/wire/protocol.js';
import { parseAddr } from '../../utils/index.js';
import { count, oneOf } from '../values.js';

/** The options, as commander collects them. */
export interface FactOptions {
  client: PeerAddress;
  clientName?: string;
  helo?: string;
  mta: HeaderRules;
  queueId: string;
  protocolVersion: number;
  tls?: string | true;
  auth?: string;
  macro?: readonly GivenMacro[];
}

interface GivenMacro {
  readonly step: Step;
  readonly name: string;
  readonly value: string;
}

/** A session's facts. */
export interface SessionFacts {
  readonly clientName: string;
  readonly client: PeerAddress;
  readonly helo: string;
  readonly version: number;
  readonly mta: HeaderRules;
  readonly macros: Readonly<Partial<Record<Step, Macros>>>;
}

const DEFAULT_CLIENT: PeerAddress = { family: 'inet', address: '192.0.2.1', port: 40000 };
const DEFAULT_TLS = 'TLSv1.3';

/** Adds the options to a subcommand. */
export function addFactOptions(command: Command): Command {
  return command
    .option(
      '--client <address>',
      'the SMTP client: IP, IP:PORT, [IPV6]:PORT, unix:/path or unknown',
      client,
      DEFAULT_CLIENT,
    )
    .option('--client-name <name>', "the client's host name; default: client.example")
    .option('--helo <name>', "the name in HELO; default: the client's host name")
    .option(
      '--mta <mta>',
      'whose macros and header rules apply: postfix or sendmail',
      oneOf('postfix', 'sendmail'),
      'postfix',
    )
    .option('--queue-id <id>', 'the queue id', '4TSMILTER')
    .option('--protocol-version <n>', 'the version of the milter protocol, 2 to 6', count(2, 6), 6)
    .option('--tls [version]', `the client uses TLS; default version: ${DEFAULT_TLS}`)
    .option('--auth <user>', 'the client has authenticated as this user')
    .option('--macro <[step:]name=value>', 'a macro, at connect if no step is named; may be repeated', macro);
}

/** The facts that the options describe. */
export function sessionFacts(options: FactOptions, sender: string): SessionFacts {
  const { client, clientName = 'client.example', mta, protocolVersion: version } = options;
  const steps: Partial<Record<Step, Record<string, string>>> = {
    connect: connectMacros(clientName, client, mta),
    helo: tlsMacros(options.tls),
    mail: { ...mailMacros(sender), ...authMacros(options.auth) },
  };
  // Postfix has no queue id before the first recipient; Sendmail has it from MAIL on (docs/macros.md).
  const withId: readonly Step[] = mta === 'sendmail' ? ['mail'] : ['data', 'header', 'eoh', 'body', 'eom'];
  for (const step of withId) steps[step] = { ...steps[step], i: options.queueId };
  for (const { step, name, value } of options.macro ?? []) steps[step] = { ...steps[step], [name]: value };
  return { clientName, client, helo: options.helo ?? clientName, version, mta, macros: steps };
}

function connectMacros(name: string, client: PeerAddress, mta: HeaderRules): Record<string, string> {
  const address = 'address' in client ? client.address : 'localhost';
  const common = { j: hostname(), _: `${name} [${address}]`, daemon_name: 'smtpd' };
  return mta === 'postfix'
    ? { ...common, daemon_addr: '127.0.0.1', v: 'Postfix 3.7.11' }
    : { ...common, if_name: 'localhost' };
}

function tlsMacros(tls: string | true | undefined): Record<string, string> {
  if (tls === undefined) return {};
  return {
    tls_version: tls === true ? DEFAULT_TLS : tls,
    cipher: 'TLS_AES_256_GCM_SHA384',
    cipher_bits: '256',
    verify: 'NOT',
  };
}

function authMacros(user: string | undefined): Record<string, string> {
  return user === undefined ? {} : { auth_type: 'PLAIN', auth_authen: user };
}

function mailMacros(sender: string): Record<string, string> {
  const [user, domain] = parseAddr(sender.split(' ')[0] ?? '');
  return {
    mail_mailer: 'smtp',
    mail_host: domain ?? '',
    mail_addr: domain === undefined ? user : `${user}@${domain}`,
  };
}

/** The macros of a recipient. */
export function recipientMacros(recipient: string): Macros {
  const [user, domain] = parseAddr(recipient);
  return {
    rcpt_mailer: 'smtp',
    rcpt_host: domain ?? '',
    rcpt_addr: domain === undefined ? user : `${user}@${domain}`,
  };
}

function client(text: string): PeerAddress {
  if (text === 'unknown') return { family: 'unknown' };
  if (text.startsWith('unix:')) return { family: 'unix', path: text.slice(5) };
  const [, bracketed, plain = text, port = '40000'] =
    /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = bracketed ?? plain;
  if (isIPv4(address) && Number(port) <= 65535) return { family: 'inet', address, port: Number(port) };
  if (isIPv6(address) && Number(port) <= 65535) return { family: 'inet6', address, port: Number(port) };
  throw new InvalidArgumentError('Write IP, IP:PORT, [IPV6]:PORT, unix:/path or unknown.');
}

function macro(text: string, previous: readonly GivenMacro[] = []): GivenMacro[] {
  const [, step = 'connect', name, value] = /^(?:([a-z]+):)?(\{?\w+\}?)=([^\0]*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined || !(step in STEPS)) {
    throw new InvalidArgumentError(
      `Write name=value or step:name=value, with one of the steps ${Object.keys(STEPS).join(', ')}.`,
    );
  }
  return [...previous, { step: step as Step, name, value }];
}
